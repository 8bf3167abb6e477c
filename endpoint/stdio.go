package endpoint

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"

	"mobius"
	"mobius/connector"
	"mobius/loop"
	"mobius/transport"
)

// A Stdioer is a [Reactor] that has standard input and output. A
// *mobius.Reactor is one.
type Stdioer interface {
	Reactor

	// Stdio is mobius.Reactor's.
	Stdio(p mobius.Protocol) (mobius.Transport, error)
}

var _ Stdioer = (*mobius.Reactor)(nil)

// A StdioServer is standard input and output as the one connection of a server
// that is connected to at once. It is for one use. (Twisted's
// StandardIOEndpoint.)
type StdioServer struct {
	Reactor Reactor // a [Stdioer]

	used atomic.Bool
}

// Listen implements [Server]: the factory builds one protocol, for a peer
// without an address, and is told of nothing else. All of that is done on the first
// loop, at the earliest when it runs. The port listens to nobody, so to stop it does
// nothing; the connection is its transport's. Errors are [ErrUsed],
// connector.ErrNoProtocol, those of mobius.Reactor.Stdio, and
// errors.ErrUnsupported if the reactor has none.
func (s *StdioServer) Listen(f mobius.Factory) *mobius.Future[Port] {
	r, ok := s.Reactor.(Stdioer)
	if !ok {
		return failed[Port](s.Reactor, fmt.Errorf("endpoint %v: %w", s, unable(s.Reactor, "has no standard input")))
	}
	if s.used.Swap(true) {
		return failed[Port](r, fmt.Errorf("endpoint %v: %w", s, ErrUsed))
	}
	l := r.Loops()[0]
	future := loop.NewFuture[Port](l)
	if err := onto(l, func() {
		p, err := build(l, f, "stdio")
		if err == nil {
			_, err = r.Stdio(p)
		}
		if err != nil {
			future.Complete(nil, err)
			return
		}
		future.Complete(stdioPort{l}, nil)
	}); err != nil {
		return failed[Port](r, err)
	}
	return future
}

// String returns the description.
func (*StdioServer) String() string { return "stdio:" }

func parseStdioServer(_ *Parser, r Reactor, d Description) (Server, error) {
	if len(d.Args) == 1 && d.Args[0] == (Arg{}) { // what follows the colon of stdio:
		d.Args = nil
	}
	return &StdioServer{Reactor: r}, d.Arguments().Err()
}

// A stdioPort is the port of a StdioServer.
type stdioPort struct{ l *mobius.Loop }

// Addr returns the address of nothing.
func (stdioPort) Addr() mobius.Address { return mobius.Address{} }

// Loop returns the loop of the connection.
func (p stdioPort) Loop() *mobius.Loop { return p.l }

// StopListening does nothing.
func (p stdioPort) StopListening() *mobius.Future[struct{}] {
	return loop.Completed(p.l, struct{}{}, nil)
}

// build has a factory build a protocol for a peer without an address, on l's
// goroutine. The error is a *ConnError.
func build(l *mobius.Loop, f mobius.Factory, op string) (p mobius.Protocol, err error) {
	defer func() {
		if v := recover(); v != nil {
			l.Report(loop.Trouble{Kind: loop.Panicked, Who: transport.LogPrefix(f), Value: v, Stack: debug.Stack()})
			p, err = nil, &mobius.ConnError{Op: op, Kind: mobius.Panicked, Err: &mobius.PanicError{Value: v}}
		}
	}()
	if p = f.BuildProtocol(mobius.Address{}); p == nil {
		return nil, &mobius.ConnError{Op: op, Kind: mobius.Refused, Err: connector.ErrNoProtocol}
	}
	return p, nil
}

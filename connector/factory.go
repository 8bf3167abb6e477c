package connector

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A Factory builds the protocol of each connection. It is called on the loop
// on which the connection lives; a factory that is used on several loops must
// bear several calls at once.
type Factory interface {
	// BuildProtocol returns the protocol for a connection with peer. nil
	// refuses the connection, which is then closed.
	BuildProtocol(peer proactor.Address) transport.Protocol
}

// A FactoryFunc is a Factory made of a function.
type FactoryFunc func(peer proactor.Address) transport.Protocol

// BuildProtocol calls f.
func (f FactoryFunc) BuildProtocol(peer proactor.Address) transport.Protocol { return f(peer) }

// A ClientFactory is told of the fate of a connector's attempts. For each
// attempt there is exactly one StartedConnecting, and then either one
// ConnectionFailed or one ConnectionLost.
type ClientFactory interface {
	Factory

	// StartedConnecting says that an attempt begins. It is called inside
	// Connect, unless that was called inside another of these methods: then
	// right after it.
	StartedConnecting(c *Connector)

	// ConnectionFailed says that the attempt did not lead to a protocol; err
	// is a *transport.ConnError. c.Connect() tries again.
	ConnectionFailed(c *Connector, err error)

	// ConnectionLost says that the connection has ended, after its protocol
	// was told; err is what the protocol was given. c.Connect() tries again.
	ConnectionLost(c *Connector, err error)
}

// ClientBase has the methods of a ClientFactory that say what happens to the
// attempts, and does nothing in them. Embed it in a factory that does not care.
type ClientBase struct{}

// StartedConnecting does nothing.
func (ClientBase) StartedConnecting(*Connector) {}

// ConnectionFailed does nothing.
func (ClientBase) ConnectionFailed(*Connector, error) {}

// ConnectionLost does nothing.
func (ClientBase) ConnectionLost(*Connector, error) {}

// A Client is a ClientFactory made of a Factory: one that does not care about
// the fate of attempts.
type Client struct {
	ClientBase
	Factory
}

// Unwrap returns the factory, for [transport.As].
func (c Client) Unwrap() any { return c.Factory }

// A Starter is a Factory that counts who uses it. A port that begins to
// listen, and a connector's first attempt, call DoStart; a port that has
// stopped, and a connector that does not try again, call DoStop. [Started]
// implements it.
type Starter interface {
	DoStart()
	DoStop()
}

// Started counts the ports and connectors that use a factory: OnStart is
// called before the first begins, OnStop when the last has gone, and so on if
// others come. (Connections do not count: those of a port that has stopped
// may outlive OnStop.) Embed it in a factory. It may be used from several
// loops: whoever comes while OnStart runs waits for it, so neither function
// may start or stop a port or connector of the same factory itself.
type Started struct {
	OnStart, OnStop func() // may be nil

	mu sync.Mutex
	n  int
}

// DoStart counts one user more.
func (s *Started) DoStart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == 0 && s.OnStart != nil {
		s.OnStart()
	}
	s.n++
}

// DoStop counts one user less; without any it does nothing.
func (s *Started) DoStop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n == 0 {
		return
	}
	s.n--
	if s.n == 0 && s.OnStop != nil {
		s.OnStop()
	}
}

// Users returns how many ports and connectors use the factory.
func (s *Started) Users() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// doStart tells a factory, if it wants to know.
func doStart(f Factory) {
	if s, ok := transport.As[Starter](f); ok {
		s.DoStart()
	}
}

func doStop(f Factory) {
	if s, ok := transport.As[Starter](f); ok {
		s.DoStop()
	}
}

// logUse logs that a port or a connector begins to use a factory, or ends.
func logUse(l *loop.Loop, what string, where fmt.Stringer, f Factory) {
	if log := l.Log(); log.Enabled(context.Background(), slog.LevelDebug) {
		log.Debug(what, "address", where.String(), "factory", transport.LogPrefix(f), "loop", l.Name())
	}
}

// guard calls a callback. What it panics with is reported, and returned.
func guard(l *loop.Loop, callback func()) (value any) {
	defer func() {
		if value = recover(); value != nil {
			l.Report(loop.Trouble{Kind: loop.Panicked, Value: value, Stack: debug.Stack()})
		}
	}()
	callback()
	return nil
}

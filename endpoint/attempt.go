package endpoint

import (
	"context"
	"fmt"

	"mobius"
	"mobius/loop"
	"mobius/transport"
)

// An attempt is one Connect: the factory as its connector sees it.
type attempt struct {
	f      mobius.Factory
	client mobius.ClientFactory // f, if it is one
	to     mobius.Destination
	ctx    context.Context
	future *mobius.Future[mobius.Protocol] // once the connector has begun
	c      *mobius.Connector
	stop   func() bool // listening to ctx
	gaveUp bool
}

// dial begins an attempt.
func dial(ctx context.Context, r Reactor, to mobius.Destination, f mobius.Factory,
	o mobius.ConnectOptions) *mobius.Future[mobius.Protocol] {
	a := &attempt{f: f, to: to, ctx: ctx}
	if ctx.Err() != nil {
		return failed[mobius.Protocol](r, a.aborted(context.Cause(ctx)))
	}
	a.client, _ = mobius.As[mobius.ClientFactory](f)
	if _, err := r.Connect(to, a, o); err != nil {
		return failed[mobius.Protocol](r, &mobius.ConnError{Op: "connect", Addr: to.Address(), Kind: mobius.Stopped, Err: err})
	}
	return a.future
}

// failed returns a future that has failed.
func failed[T any](r Reactor, err error) *mobius.Future[T] {
	var none T
	return loop.Completed(r.Loops()[0], none, err)
}

// on runs f on l's goroutine: at once if that is the caller's.
func on(l *mobius.Loop, f func()) {
	_ = onto(l, f) // an error means that the loop has stopped
}

// onto is on that says so.
func onto(l *mobius.Loop, f func()) error {
	if l.Inside() {
		f()
		return nil
	}
	return l.Insist(f)
}

// StartedConnecting begins to listen to the user's wish to give up.
func (a *attempt) StartedConnecting(c *mobius.Connector) {
	if a.future == nil {
		a.c = c
		a.future = loop.NewFuture[mobius.Protocol](c.Loop())
		a.future.OnCancel(func() { a.giveUp(loop.ErrCanceled) })
		a.stop = context.AfterFunc(a.ctx, func() {
			on(c.Loop(), func() { a.giveUp(context.Cause(a.ctx)) })
		})
	}
	if a.client != nil {
		a.client.StartedConnecting(c)
	}
}

// giveUp ends whatever is under way, unless it is connected already.
func (a *attempt) giveUp(cause error) {
	if a.complete(nil, a.aborted(cause)) {
		a.gaveUp = true
		a.c.Disconnect()
	}
}

// aborted returns the error of an attempt that was given up.
func (a *attempt) aborted(cause error) error {
	if host, _ := a.to.Host(); host != "" {
		cause = fmt.Errorf("%v: %w", a.to, cause)
	}
	return &mobius.ConnError{Op: "connect", Addr: a.to.Address(), Kind: mobius.Aborted, Err: cause}
}

func (a *attempt) complete(p mobius.Protocol, err error) bool {
	if !a.future.Complete(p, err) {
		return false
	}
	a.stop()
	return true
}

// BuildProtocol puts a newcomer around what the factory builds.
func (a *attempt) BuildProtocol(peer mobius.Address) mobius.Protocol {
	p := a.f.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	return &newcomer{Protocol: p, a: a}
}

// ConnectionFailed tells the future and the factory.
func (a *attempt) ConnectionFailed(c *mobius.Connector, err error) {
	a.complete(nil, err)
	a.tell(func() { a.client.ConnectionFailed(c, err) })
}

// ConnectionLost tells the factory.
func (a *attempt) ConnectionLost(c *mobius.Connector, err error) {
	a.tell(func() { a.client.ConnectionLost(c, err) })
}

// tell calls a factory that wants to know. If the user has given up, another
// attempt that it asks for is taken back.
func (a *attempt) tell(call func()) {
	if a.client == nil {
		return
	}
	if a.gaveUp {
		defer a.c.StopConnecting()
	}
	call()
}

// Unwrap returns the factory, for mobius.As.
func (a *attempt) Unwrap() any { return a.f }

// A newcomer is a protocol of which the future is still to be told.
type newcomer struct {
	mobius.Protocol
	a *attempt
}

// ConnectionMade tells the protocol, and then the future.
func (n *newcomer) ConnectionMade(t transport.Transport) {
	n.Protocol.ConnectionMade(t)
	n.a.complete(n.Protocol, nil)
}

// ConnectionLost tells the protocol, and the future if that was told nothing:
// ConnectionMade has panicked.
func (n *newcomer) ConnectionLost(err error) {
	defer n.a.complete(nil, err)
	n.Protocol.ConnectionLost(err)
}

// Unwrap returns the protocol, for mobius.As.
func (n *newcomer) Unwrap() any { return n.Protocol }

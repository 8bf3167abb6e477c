package endpoint

import (
	"context"

	"mobius"
	"mobius/loop"
)

// A Reactor is what endpoints want of one. A *mobius.Reactor is one; a test may
// have another.
type Reactor interface {
	// Connect is mobius.Reactor's.
	Connect(to mobius.Destination, f mobius.ClientFactory, o mobius.ConnectOptions) (*mobius.Connector, error)

	// Listen is mobius.Reactor's.
	Listen(addr mobius.Address, f mobius.Factory, o mobius.ListenOptions) (*mobius.Port, error)

	// Loops is mobius.Reactor's; at least one.
	Loops() []*mobius.Loop
}

var _ Reactor = (*mobius.Reactor)(nil)

// A Client is where to connect to: Twisted's IStreamClientEndpoint.
type Client interface {
	// Connect makes one connection, and completes the future with the protocol
	// that f has built, once its ConnectionMade has returned; behind wrapping
	// endpoints too, it is f's own.
	//
	// The future fails with a *mobius.ConnError if the attempt fails, if f
	// builds no protocol, or if a callback of it panics. Its Cancel, or the end of
	// ctx before it is completed, ends whatever is under way: the error is of
	// kind Aborted then, names the address, and unwraps to loop.ErrCanceled or
	// to the cause of ctx's end. Once the future is completed ctx means nothing
	// any more.
	//
	// If f is a mobius.ClientFactory it is told of the attempt's fate, and of the
	// connection's end, and may have it begun again: the future tells the first
	// outcome.
	//
	// Any goroutine. The future's own methods are for its loop's goroutine,
	// except where they say otherwise; see [Then].
	Connect(ctx context.Context, f mobius.Factory) *mobius.Future[mobius.Protocol]

	// String returns the description that a [Parser] reads, where there is one.
	String() string
}

// A Server is where to listen: Twisted's IStreamServerEndpoint.
type Server interface {
	// Listen listens, and gives f's protocols the connections. The future is
	// completed with the port, or with the error that there is none; mostly that
	// is the case when Listen returns. Any goroutine.
	Listen(f mobius.Factory) *mobius.Future[Port]

	// String returns the description, as a Client's does.
	String() string
}

// A Port is what listens. A *mobius.Port is one.
type Port interface {
	// Addr returns the address that it is bound to. Any goroutine.
	Addr() mobius.Address

	// Loop returns the loop that it lives on. Any goroutine.
	Loop() *mobius.Loop

	// StopListening stops accepting, and completes the future once that is
	// done. Loop goroutine.
	StopListening() *mobius.Future[struct{}]
}

// Then has fn called with f's result, on f's loop and its goroutine. It is
// Future.Then for any goroutine. If the loop has stopped fn is not called.
func Then[T any](f *mobius.Future[T], fn func(v T, err error)) {
	on(f.Loop(), func() { f.Then(fn) })
}

// ConnectProtocol connects p, a protocol that is there already, and completes
// the future with it (Twisted's connectProtocol). It is for one connection: the
// factory that it makes is thrown away.
func ConnectProtocol[P mobius.Protocol](ctx context.Context, c Client, p P) *mobius.Future[P] {
	connected := c.Connect(ctx, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return p }))
	return convert(connected, func(mobius.Protocol) P { return p })
}

// convert returns a future of f's result in another form, whose Cancel is f's.
func convert[T, U any](f *mobius.Future[T], to func(T) U) *mobius.Future[U] {
	out := loop.NewFuture[U](f.Loop())
	out.OnCancel(func() { passCancel(f, out) }) // nobody else has it yet
	Then(f, func(v T, err error) {
		var u U
		if err == nil {
			u = to(v)
		}
		out.Complete(u, err)
	})
	return out
}

// passCancel cancels inner, and completes outer with what it ends with.
func passCancel[T, U any](inner *mobius.Future[T], outer *mobius.Future[U]) {
	inner.Cancel()
	if _, done, err := inner.Peek(); done {
		var none U
		outer.Complete(none, err)
	}
}

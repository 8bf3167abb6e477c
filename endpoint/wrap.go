package endpoint

import (
	"context"

	"mobius"
)

// WrapClient returns a client that connects as c does, with wrap's factory
// around the user's: for protocols that go through another, such as TLS. The
// future's result is still the user's own protocol. name is what String puts in
// front of c's description.
func WrapClient(name string, c Client, wrap func(mobius.Factory) mobius.Factory) Client {
	return wrappedClient{name, c, wrap}
}

type wrappedClient struct {
	name  string
	inner Client
	wrap  func(mobius.Factory) mobius.Factory
}

// Connect implements [Client].
func (w wrappedClient) Connect(ctx context.Context, f mobius.Factory) *mobius.Future[mobius.Protocol] {
	k := &keeper{Factory: f}
	return convert(w.inner.Connect(ctx, w.wrap(k)), func(mobius.Protocol) mobius.Protocol { return k.built })
}

// String returns name and c's description.
func (w wrappedClient) String() string { return w.name + ":" + w.inner.String() }

// A keeper is a factory that remembers what it has built.
type keeper struct {
	mobius.Factory
	built mobius.Protocol
}

// BuildProtocol is the factory's.
func (k *keeper) BuildProtocol(peer mobius.Address) mobius.Protocol {
	k.built = k.Factory.BuildProtocol(peer)
	return k.built
}

// Unwrap returns the factory, for mobius.As.
func (k *keeper) Unwrap() any { return k.Factory }

// WrapServer returns a server that listens as s does, with wrap's factory
// around the user's. name is what String puts in front of s's description.
func WrapServer(name string, s Server, wrap func(mobius.Factory) mobius.Factory) Server {
	return wrappedServer{name, s, wrap}
}

type wrappedServer struct {
	name  string
	inner Server
	wrap  func(mobius.Factory) mobius.Factory
}

// Listen implements [Server].
func (w wrappedServer) Listen(f mobius.Factory) *mobius.Future[Port] {
	return w.inner.Listen(w.wrap(f))
}

// String returns name and s's description.
func (w wrappedServer) String() string { return w.name + ":" + w.inner.String() }

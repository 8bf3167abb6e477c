package mobius

import (
	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// What protocols and factories meet, under one name. The documentation is
// where the types are.
type (
	Protocol    = transport.Protocol    // the application's end of a connection
	HalfCloser  = transport.HalfCloser  // a Protocol that goes on after one direction has ended
	Drainer     = transport.Drainer     // a Protocol that is told when to stop and to go on writing
	LogPrefixer = transport.LogPrefixer // a Protocol or a Factory that names itself in logs
	Transport   = transport.Transport   // the network's end of a connection
	ConnError   = transport.ConnError   // how a connection ended
	Kind        = transport.Kind        // that in one word
	PanicError  = transport.PanicError  // the cause, if a callback panicked

	Factory       = connector.Factory       // builds protocols
	FactoryFunc   = connector.FactoryFunc   // a Factory made of a function
	ClientFactory = connector.ClientFactory // a Factory that is told of attempts to connect
	ClientBase    = connector.ClientBase    // to embed in a ClientFactory that does not care
	Client        = connector.Client        // a ClientFactory made of a Factory
	Reconnecting  = connector.Reconnecting  // a ClientFactory that connects again
	Started       = connector.Started       // to embed in a Factory that counts its users
	Connector     = connector.Connector     // connects, as often as it is asked to
	Destination   = connector.Destination   // where a Connector goes
	Port          = connector.Port          // listens

	Resolver          = connector.Resolver       // looks host names up
	SystemResolver    = connector.SystemResolver // by means of the system
	StreamResolver    = connector.StreamResolver // answers piece by piece
	StreamedResolver  = connector.Streamed       // a StreamResolver made of a Resolver
	CollectedResolver = connector.Collected      // a Resolver made of a StreamResolver
	Question          = connector.Question       // what a StreamResolver is asked
	Receiver          = connector.Receiver       // who is told the answer
	Resolution        = connector.Resolution     // an answer under way

	ListenOptions    = connector.ListenOptions
	ConnectOptions   = connector.Options
	TransportOptions = transport.Options
	SocketOptions    = proactor.SocketOptions

	Address = proactor.Address // where a socket is; a net.Addr
	Loop    = loop.Loop        // one goroutine; see Options.Backend
	Timer   = loop.Timer       // to embed, on any loop

	Affinity = proactor.Affinity // whether a loop is a thread's
)

// What a loop's backend may be bound to.
const (
	OneThread    = proactor.OneThread    // the loop has a thread of its own
	OneGoroutine = proactor.OneGoroutine // the loop is a goroutine like others
)

// A Future is a result that comes later; see [loop.Future].
type Future[T any] = loop.Future[T]

// An Awaitable is a [Future] of whatever type; see [loop.Awaitable].
type Awaitable = loop.Awaitable

// The kinds of a connection's end.
const (
	Done     = transport.Done     // cleanly
	Lost     = transport.Lost     // by an error of the network or the peer
	Aborted  = transport.Aborted  // by AbortConnection
	TimedOut = transport.TimedOut // by one of the deadlines
	Refused  = transport.Refused  // the peer refused the attempt
	Failed   = transport.Failed   // by CloseWithError, or the attempt failed otherwise
	Panicked = transport.Panicked // by a panic in the protocol
	Stopped  = transport.Stopped  // because the reactor stopped
	Detached = transport.Detached // by Detach
)

// ParseAddress returns the address written as text; see [proactor.ParseAddress].
func ParseAddress(network, text string) (Address, error) {
	return proactor.ParseAddress(network, text)
}

// ParseDestination returns the destination written as text; see
// [connector.ParseDestination].
func ParseDestination(network, text string) (Destination, error) {
	return connector.ParseDestination(network, text)
}

// To returns the destination that is an address.
func To(a Address) Destination { return connector.To(a) }

// As looks for an ability of x, or of what x wraps; see [transport.As].
func As[T any](x any) (T, bool) { return transport.As[T](x) }

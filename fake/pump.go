package fake

import (
	"fmt"
	"net/netip"
	"time"

	"mobius"
	"mobius/connector"
	"mobius/proactor"
	"mobius/sim"
)

// A Pump is two protocols that are connected in memory, over a simulated TCP
// connection between two real transports. Nothing moves, and no time passes,
// but by its methods. (Twisted: iosim.connectedServerAndClient, IOPump.)
type Pump struct {
	*Reactor

	// Client and Server are the transports that the protocols were given.
	Client, Server mobius.Transport
}

// connectLimit is how long Connect lets the connection take: longer than a
// connect(2) that is never answered.
const connectLimit = 10 * time.Minute

// Connect connects two protocols, over a network of their own on which nothing
// goes wrong if net is nil. o is for both, and may be nil. For TLS, wrap the
// protocols as transport/tls says. ConnectionMade of both has been called when
// it returns; its errors are those of a connection that does not come about, on
// a net with faults for example.
func Connect(net *sim.Net, client, server mobius.Protocol, o *mobius.TransportOptions) (*Pump, error) {
	r, err := NewReactor(net, mobius.Options{})
	if err != nil {
		return nil, err
	}
	p := &Pump{Reactor: r}
	s, c := &end{p: server}, &end{p: client}
	at := proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
	port, err := r.Listen(at, s, mobius.ListenOptions{Transport: o})
	if err != nil {
		return nil, err
	}
	if _, err := r.Connect(mobius.To(port.Addr()), c, mobius.ConnectOptions{Transport: o}); err != nil {
		return nil, err
	}
	if err := r.Until(connectLimit, func() bool { return s.t != nil && c.t != nil || c.failed != nil }); err != nil {
		return nil, err
	}
	if c.failed != nil {
		return nil, fmt.Errorf("fake: %w", c.failed)
	}
	port.StopListening()
	p.Client, p.Server = c.t, s.t
	return p, nil
}

// Pump moves time by d, and what is due to move meanwhile. It reports whether
// anything has moved. The errors are those of Reactor.Advance.
func (p *Pump) Pump(d time.Duration) (moved bool, err error) {
	before := p.Loops()[0].Backend().Stats().Completed
	err = p.Advance(d)
	return p.Loops()[0].Backend().Stats().Completed != before, err
}

// An end is one side of a Pump, and the factory of its protocol.
type end struct {
	mobius.ClientBase
	p      mobius.Protocol
	t      mobius.Transport
	failed error
}

// BuildProtocol returns what notes the transport.
func (e *end) BuildProtocol(mobius.Address) mobius.Protocol { return &made{Protocol: e.p, e: e} }

// ConnectionFailed notes why there is no connection.
func (e *end) ConnectionFailed(_ *connector.Connector, err error) { e.failed = err }

// A made is a protocol that notes its transport.
type made struct {
	mobius.Protocol
	e *end
}

// ConnectionMade notes the transport, and passes it on.
func (m *made) ConnectionMade(t mobius.Transport) {
	m.e.t = t
	m.Protocol.ConnectionMade(t)
}

// Unwrap returns the protocol, for mobius.As.
func (m *made) Unwrap() any { return m.Protocol }

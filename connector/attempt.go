package connector

import (
	"net/netip"

	"mobius/proactor"
	"mobius/transport"
)

// resolve finds the addresses to try.
func (c *Connector) resolve() {
	if c.dest.host == "" {
		c.dial(c.dest.address)
		return
	}
	host, err := ASCIIHost(c.dest.host)
	if err != nil {
		c.fail(connError("resolve", c.target, err))
		return
	}
	attempt := c.attempt
	answer := func(ips []netip.Addr, err error) {
		if c.attempt == attempt && c.phase == resolving {
			c.resolved(ips, err)
		}
	}
	var cancel func()
	v := c.guard(func() { cancel = c.o.Resolver.Resolve(c.l, host, answer) })
	switch {
	case c.phase != resolving:
	case v != nil:
		c.fail(c.panicked(v))
	default:
		c.cancel = cancel
	}
}

func (c *Connector) resolved(ips []netip.Addr, err error) {
	c.cancel = nil
	var to []proactor.Address
	for _, ip := range interleave(ips) {
		if a := proactor.IPAddress(proactor.TCP, ip, c.dest.port); a.IP().IsValid() && c.reaches(a) {
			to = append(to, a)
		}
	}
	if err == nil && len(to) == 0 {
		err = ErrNoAddress
	}
	if err != nil {
		c.fail(connError("resolve", c.target, err))
		return
	}
	c.dial(to...)
}

// reaches reports whether a is of the family that the connection is to come from.
func (c *Connector) reaches(a proactor.Address) bool {
	local := c.o.Local.IP()
	return !local.IsValid() || local.Is4() == a.IP().Is4()
}

// dial tries the addresses.
func (c *Connector) dial(to ...proactor.Address) {
	c.phase = dialing
	c.race.start(to)
}

func (c *Connector) socket() (proactor.Handle, error) {
	var o proactor.SocketOptions
	if c.o.Socket != nil {
		o = *c.o.Socket
	}
	if err := o.Check(); err != nil {
		return 0, err
	}
	o.Local = c.o.Local
	return c.l.Sockets().Stream(c.target, &o)
}

// raced takes the end of the race: nothing of it is active any more.
func (c *Connector) raced() {
	h, to := c.race.take()
	switch {
	case c.phase == failed:
		c.close(h) // connected in the last moment
		c.l.AtTurnEnd(&c.flush)
	case h == 0:
		c.fail(c.race.failures.joined())
	default:
		c.target = to
		c.build(h)
	}
}

// build asks the factory for the protocol of a connection.
func (c *Connector) build(h proactor.Handle) {
	c.timer.Stop()
	c.phase = building
	defer func() {
		if c.conn == nil { // also if a callback takes the goroutine away
			c.close(h)
		}
	}()
	local, remote, err := c.l.Sockets().Names(h)
	if err != nil || !remote.IsValid() {
		remote = c.target // the peer is gone already: reading will tell
	}
	var p transport.Protocol
	v := c.guard(func() { p = c.f.BuildProtocol(remote) })
	switch {
	case c.phase == failed: // Disconnect in BuildProtocol
	case v != nil:
		c.fail(c.panicked(v))
	case p == nil:
		c.fail(&transport.ConnError{Op: "connect", Addr: remote, Kind: transport.Refused, Err: ErrNoProtocol})
	default:
		c.phase = connected
		c.protocol = p
		c.conn = transport.NewConn(c.l, h, local, remote, c.o.Transport)
		c.conn.Start((*session)(c))
	}
}

func (c *Connector) close(h proactor.Handle) {
	if h != 0 {
		_ = c.l.Sockets().CloseFD(h)
	}
}

// fail decides that the attempt has failed. The factory is told when nothing
// of it is left, not before this turn's end.
func (c *Connector) fail(err *transport.ConnError) {
	c.phase = failed
	c.err = err
	c.timer.Stop()
	if cancel := c.cancel; cancel != nil {
		c.cancel = nil
		cancel()
	}
	if !c.race.halt() { // else its end comes first
		c.l.AtTurnEnd(&c.flush)
	}
}

// tell tells the factory that the attempt has failed.
func (c *Connector) tell() {
	c.phase = telling
	defer c.settle() // also if the callback takes the goroutine away
	c.guard(func() { c.f.ConnectionFailed(c, c.err) })
}

// A session is a Connector as its connection sees it: the protocol, and behind
// it whoever wants to know that the connection has ended.
type session Connector

// ConnectionMade passes on.
func (s *session) ConnectionMade(t transport.Transport) { s.protocol.ConnectionMade(t) }

// DataReceived passes on.
func (s *session) DataReceived(p []byte) { s.protocol.DataReceived(p) }

// ConnectionLost tells the protocol, and then the factory, whatever the
// protocol does.
func (s *session) ConnectionLost(err error) {
	c := (*Connector)(s)
	c.phase = telling
	defer c.settle()
	defer c.guard(func() { c.f.ConnectionLost(c, err) })
	c.guard(func() { c.protocol.ConnectionLost(err) })
}

// Unwrap returns the protocol, for [transport.As].
func (s *session) Unwrap() any { return s.protocol }

package connector

import (
	"net/netip"

	"mobius/proactor"
	"mobius/transport"
)

// resolve finds the addresses to try.
func (c *Connector) resolve() {
	if c.dest.host == "" {
		c.addresses = append(c.addresses[:0], c.dest.address)
		c.dial()
		return
	}
	attempt := c.attempt
	answer := func(ips []netip.Addr, err error) {
		if c.attempt == attempt && c.phase == resolving {
			c.resolved(ips, err)
		}
	}
	var cancel func()
	v := c.guard(func() { cancel = c.o.Resolver.Resolve(c.l, c.dest.host, answer) })
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
	if err == nil && len(ips) == 0 {
		err = ErrNoAddress
	}
	if err != nil {
		c.fail(connError("resolve", c.target, err))
		return
	}
	c.addresses = c.addresses[:0]
	for _, ip := range ips {
		c.addresses = append(c.addresses, proactor.IPAddress(proactor.TCP, ip, c.dest.port))
	}
	c.dial()
}

// dial tries the next address; without one the attempt has failed as the last
// one did.
func (c *Connector) dial() {
	for len(c.addresses) > 0 {
		c.target = c.addresses[0]
		c.addresses = c.addresses[1:]
		h, err := c.socket()
		if err == nil {
			c.phase = dialing
			c.op.Handle = h
			c.l.Submit(&c.op)
			return
		}
		c.err = connError("socket", c.target, err)
		if c.o.Local.IsValid() {
			c.err.Op = "bind" // it fails for that reason nearly always
		}
	}
	c.fail(c.err)
}

func (c *Connector) socket() (proactor.Handle, error) {
	var o proactor.SocketOptions
	if c.o.Socket != nil {
		o = *c.o.Socket
	}
	o.Local = c.o.Local
	return c.l.Sockets().Stream(c.target, &o)
}

// completed takes the result of one address.
func (c *Connector) completed(op *proactor.Op) {
	switch {
	case c.phase == failed:
		c.close(op.Handle) // also if it was connected in the last moment
		c.l.AtTurnEnd(&c.flush)
	case op.Err != nil:
		c.close(op.Handle)
		c.err = connError("connect", c.target, op.Err)
		c.dial()
	default:
		c.build(op.Handle)
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

func (c *Connector) close(h proactor.Handle) { _ = c.l.Sockets().CloseFD(h) }

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
	if c.op.Active() {
		c.l.Cancel(&c.op)
		return
	}
	c.l.AtTurnEnd(&c.flush)
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

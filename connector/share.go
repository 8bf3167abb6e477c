package connector

import (
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A share is what a port has on one loop, and belongs to that loop's
// goroutine.
type share struct {
	port     *Port
	l        *loop.Loop
	listener *transport.Listener // if this loop has one
	head     *served             // its connections
}

// call runs f on the share's loop, at once if that is the port's. It reports
// whether f will run, or has.
func (s *share) call(f func()) bool {
	if s.l == s.port.l {
		f()
		return true
	}
	return s.l.Insist(f) == nil
}

// tellPort runs f on the port's loop, at once if that is the share's. If the
// port's loop has stopped, nobody is left to be told.
func (s *share) tellPort(f func()) {
	if s.l == s.port.l {
		f()
		return
	}
	_ = s.port.l.Insist(f)
}

// listen starts a listener on h, a handle of the port's loop.
func (s *share) listen(h proactor.Handle) {
	addr := s.port.addr
	if s.l == s.port.l {
		s.listener = transport.NewListener(s.l, h, addr, s.accepted)
		return
	}
	sockets := s.port.l.Sockets()
	fd, err := sockets.Detach(h)
	if err != nil {
		_ = sockets.CloseFD(h)
		s.port.lacks(err)
		return
	}
	if !s.call(func() {
		h, err := s.l.Sockets().Adopt(fd)
		if err != nil {
			_ = s.l.Sockets().Discard(fd)
			s.port.lacks(err)
			return
		}
		s.listener = transport.NewListener(s.l, h, addr, s.accepted)
	}) {
		_ = sockets.Discard(fd) // that loop has stopped: the others serve
	}
}

// lacks reports that one of the port's loops does not accept. The others do.
func (p *Port) lacks(err error) {
	p.l.Report(loop.Trouble{Kind: loop.AcceptFailed, Value: &transport.AcceptError{Addr: p.addr, Err: err}})
}

// stop stops accepting on this loop, and tells the port when it has.
func (s *share) stop() {
	if !s.call(func() {
		if s.listener == nil {
			s.tellPort(func() { s.port.confirmed(nil) })
			return
		}
		s.listener.Stop().Then(func(_ struct{}, err error) {
			s.tellPort(func() { s.port.confirmed(err) })
		})
		s.listener = nil
	}) {
		s.port.confirmed(nil) // its loop has stopped, and its listener with it
	}
}

// accepted takes a connection from the listener, and gives it to the loop
// whose turn it is.
func (s *share) accepted(h proactor.Handle, peer proactor.Address) {
	p := s.port
	p.conns.Add(1) // before another loop can take it off again
	if !p.o.ReusePort {
		to := p.shares[p.turn]
		p.turn = (p.turn + 1) % len(p.shares)
		if to != s {
			h = s.handOver(h, peer, to)
		}
	}
	if h != 0 {
		s.serve(h, peer)
	}
}

// handOver gives a connection to another loop. It returns the connection's
// handle if it stays here, because the other loop takes no more calls, or else 0.
func (s *share) handOver(h proactor.Handle, peer proactor.Address, to *share) proactor.Handle {
	fd, err := s.l.Sockets().Detach(h)
	if err != nil {
		return h
	}
	if to.l.Call(func() { to.adopt(fd, peer) }) == nil {
		return 0
	}
	h, err = s.l.Sockets().Adopt(fd)
	if err != nil {
		s.drop(fd)
		return 0
	}
	return h
}

// adopt takes a connection from the listener's loop.
func (s *share) adopt(fd int, peer proactor.Address) {
	h, err := s.l.Sockets().Adopt(fd)
	if err != nil {
		s.drop(fd)
		return
	}
	s.serve(h, peer)
}

// drop closes a connection for which there is no handle.
func (s *share) drop(fd int) {
	_ = s.l.Sockets().Discard(fd)
	s.ended()
}

// serve gives a connection its protocol.
func (s *share) serve(h proactor.Handle, peer proactor.Address) {
	p := s.port
	c := &served{share: s}
	defer func() {
		if c.conn == nil { // refused, or the callback has taken the goroutine away
			_ = s.l.Sockets().CloseFD(h)
			s.ended()
		}
	}()
	if !p.open.Load() {
		_ = s.l.Sockets().Reset(h) // like those that were not accepted yet
		return
	}
	guard(s.l, func() { c.Protocol = p.f.BuildProtocol(peer) })
	if c.Protocol == nil {
		return
	}
	local := p.addr
	if !local.IsUnix() && (!local.IP().IsValid() || local.IP().IsUnspecified()) {
		local, _, _ = s.l.Sockets().Names(h)
	}
	conn := transport.NewConn(s.l, h, local, peer, p.o.Transport)
	c.conn = conn
	s.link(c)
	conn.Start(c)
}

// ended counts a connection less.
func (s *share) ended() {
	p := s.port
	if p.conns.Add(-1) == 0 && p.draining.Load() {
		s.tellPort(p.checkDrained)
	}
}

// abort aborts the connections that the port has on this loop.
func (s *share) abort() {
	for c := s.head; c != nil; c = c.next {
		c.conn.AbortConnection()
	}
}

func (s *share) link(c *served) {
	c.next = s.head
	if s.head != nil {
		s.head.prev = c
	}
	s.head = c
}

func (s *share) unlink(c *served) {
	if c.prev == nil {
		s.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// A served is one connection of a port, as its transport sees it: the
// factory's protocol, and behind it the port's account.
type served struct {
	transport.Protocol
	share      *share
	conn       *transport.Conn
	prev, next *served
}

// ConnectionLost tells the protocol, and then the port, whatever the protocol
// does.
func (c *served) ConnectionLost(err error) {
	defer func() {
		c.share.unlink(c)
		c.share.ended()
	}()
	c.Protocol.ConnectionLost(err)
}

// Unwrap returns the protocol, for [transport.As].
func (c *served) Unwrap() any { return c.Protocol }

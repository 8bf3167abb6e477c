package compat

import (
	"io"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"mobius"
	"mobius/proactor"
	"mobius/transport/datagram"
)

// mostPeers is how many peers a UDP socket remembers. Its next one makes it
// forget all of them.
const mostPeers = 4096

// packets is a UDP socket: the protocol of its port.
type packets struct {
	el    *eventLoop
	port  *datagram.Port
	last  *packet // whose datagram came last
	peers map[mobius.Address]*packet
	only  *packet // of a Client's: its one peer
}

func newPackets(el *eventLoop) *packets {
	return &packets{el: el, peers: map[mobius.Address]*packet{}}
}

// StartProtocol is the port's.
func (s *packets) StartProtocol(p *datagram.Port) { s.port = p }

// DatagramReceived is the port's.
func (s *packets) DatagramReceived(data []byte, from mobius.Address) {
	c := s.only
	if c == nil {
		c = s.peer(from)
	}
	c.lent = data[:len(data):len(data)]
	action := s.el.e.handler.OnTraffic(c)
	c.lent = nil
	c.act(action)
}

// peer returns the Conn of an address: always the same one, until too many are
// known. Whoever keeps it never sends to somebody else by it.
func (s *packets) peer(from mobius.Address) *packet {
	if s.last != nil && s.last.to == from {
		return s.last
	}
	c := s.peers[from]
	if c == nil {
		if len(s.peers) >= mostPeers {
			clear(s.peers)
		}
		c = &packet{s: s, to: from, inbound: inbound{el: s.el}}
		s.peers[from] = c
	}
	s.last = c
	return c
}

// StopProtocol is the port's.
func (s *packets) StopProtocol(error) {
	c := s.only
	if c == nil {
		return
	}
	s.el.e.conns.Add(-1)
	if i := slices.Index(s.el.sockets, s); i >= 0 {
		s.el.sockets = slices.Delete(s.el.sockets, i, i+1)
	}
	if s.el.e.handler.OnClose(c, nil) == Shutdown {
		s.el.e.shutdown()
	}
	for _, f := range c.ends {
		c.answer(f, nil)
	}
}

// A packet is a peer that sends datagrams, as the handler sees it.
type packet struct {
	inbound
	s    *packets
	to   mobius.Address
	ctx  any
	safe atomic.Value // of box
	ends []AsyncCallback
}

func (c *packet) act(a Action) {
	switch a {
	case Close:
		c.close()
	case Shutdown:
		c.el.e.shutdown()
	}
}

func (c *packet) close() {
	if c.s.only != nil {
		c.s.port.StopListening()
	}
}

// Write sends a datagram to the peer.
func (c *packet) Write(p []byte) (int, error) { return c.send(p, c.to) }

func (c *packet) send(p []byte, to mobius.Address) (int, error) {
	if err := c.s.port.WriteTo(p, to); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Writev sends one datagram.
func (c *packet) Writev(bs [][]byte) (int, error) { return c.Write(joined(bs)) }

// ReadFrom sends each piece that r gives as a datagram.
func (c *packet) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{r})
}

// SendTo sends a datagram to an address.
func (c *packet) SendTo(p []byte, addr net.Addr) (int, error) {
	to := proactor.FromNetAddr(addr)
	if !to.IsValid() {
		return 0, ErrInvalidNetworkAddress
	}
	return c.send(p, to)
}

// Flush does nothing.
func (c *packet) Flush() error { return nil }

// OutboundBuffered returns 0: datagrams are not counted in bytes.
func (c *packet) OutboundBuffered() int { return 0 }

// AsyncWrite sends a datagram from any goroutine.
func (c *packet) AsyncWrite(buf []byte, callback AsyncCallback) error {
	if callback == nil {
		buf = append([]byte(nil), buf...)
	}
	return c.el.l.Call(func() {
		_, err := c.Write(buf)
		c.answer(callback, err)
	})
}

// AsyncWritev sends one datagram from any goroutine.
func (c *packet) AsyncWritev(bs [][]byte, callback AsyncCallback) error {
	return c.AsyncWrite(joined(bs), callback)
}

func joined(bs [][]byte) []byte {
	var all []byte
	for _, b := range bs {
		all = append(all, b...)
	}
	return all
}

// answer calls a callback.
func (c *packet) answer(callback AsyncCallback, err error) {
	if callback != nil {
		c.el.e.answered(c.el.l, callback(c, err))
	}
}

// Wake has OnTraffic called, with nothing to read. Any goroutine.
func (c *packet) Wake(callback AsyncCallback) error {
	return c.el.l.Call(func() {
		c.act(c.el.e.handler.OnTraffic(c))
		c.answer(callback, nil)
	})
}

// Close ends a Client's connection. Any goroutine.
func (c *packet) Close() error { return c.CloseWithCallback(nil) }

// CloseWithCallback ends a Client's connection. Any goroutine.
func (c *packet) CloseWithCallback(callback AsyncCallback) error {
	return c.el.l.Insist(func() {
		if c.s.only == nil || !c.s.port.Listening() {
			c.answer(callback, nil)
			return
		}
		if callback != nil {
			c.ends = append(c.ends, callback)
		}
		c.close()
	})
}

// Context returns what SetContext was given.
func (c *packet) Context() any { return c.ctx }

// SetContext keeps ctx for as long as the socket remembers the peer.
func (c *packet) SetContext(ctx any) { c.ctx = ctx }

// SafeContext returns what SetSafeContext was given. Any goroutine.
func (c *packet) SafeContext() any {
	b, _ := c.safe.Load().(box)
	return b.v
}

// SetSafeContext keeps ctx. Any goroutine.
func (c *packet) SetSafeContext(ctx any) { c.safe.Store(box{ctx}) }

// EventLoop returns the socket's loop.
func (c *packet) EventLoop() EventLoop { return c.el }

// LocalAddr returns the socket's address.
func (c *packet) LocalAddr() net.Addr { return c.s.port.LocalAddr().NetAddr() }

// RemoteAddr returns the peer's.
func (c *packet) RemoteAddr() net.Addr { return c.to.NetAddr() }

// SetDeadline returns [ErrUnsupportedOp]: nothing waits for a datagram.
func (c *packet) SetDeadline(time.Time) error { return ErrUnsupportedOp }

// SetReadDeadline returns [ErrUnsupportedOp].
func (c *packet) SetReadDeadline(time.Time) error { return ErrUnsupportedOp }

// SetWriteDeadline returns [ErrUnsupportedOp].
func (c *packet) SetWriteDeadline(time.Time) error { return ErrUnsupportedOp }

var (
	_ Conn              = (*packet)(nil)
	_ datagram.Protocol = (*packets)(nil)
)

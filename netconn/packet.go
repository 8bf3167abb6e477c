package netconn

import (
	"net"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A PacketConn is what [UDPConn] and [UnixgramConn] have in common: a
// net.PacketConn, and a net.Conn if it was dialed. The loop receives ahead, up to
// Options.Datagrams and DatagramBytes, from the first read on; a write is a system
// call of the goroutine that calls it. Its methods are for any goroutine but a
// loop's.
type PacketConn struct {
	socket
	recv, send proactor.Op
	poll       [2]proactor.Op // of SyscallConn: for reading, for writing
	from, to   proactor.Address
	msg, out   proactor.Msg
	k          *waking
	o          *Options
	r          packetReader
	w          packetWriter
	ending     bool          // the loop's: the operations end
	over       chan struct{} // closed once the descriptor is
}

// start makes a connection of h, a datagram socket of l's backend. Loop
// goroutine.
func (c *PacketConn) start(l *loop.Loop, h proactor.Handle, network string, local, remote net.Addr, o *Options) {
	c.l, c.b, c.h, c.k = l, l.Backend(), h, wakingOf(l)
	c.network, c.local, c.remote, c.o = network, local, remote, o
	c.over = make(chan struct{})
	e := (*packetEvents)(c)
	c.recv = proactor.Op{Kind: proactor.OpRecvFrom, Handle: h, Owner: e, Addr: &c.from, Msg: &c.msg}
	c.send = proactor.Op{Kind: proactor.OpSendTo, Handle: h, Owner: e}
	c.poll[0] = proactor.Op{Kind: proactor.OpPoll, Handle: h, Owner: e, Events: proactor.Readable}
	c.poll[1] = proactor.Op{Kind: proactor.OpPoll, Handle: h, Owner: e, Events: proactor.Writable}
	c.member.Owner = e
	c.serveFunc, c.errand = c.serve, &c.w.errand
	c.r.init()
	c.w.init(c)
	l.Join(&c.member)
}

// opError is err as package net returns it.
func (c *PacketConn) opError(op string, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: addr, Err: err}
}

// LocalAddr returns the address that the socket is bound to.
func (c *PacketConn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's address, nil unless it was dialed.
func (c *PacketConn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines.
func (c *PacketConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetReadDeadline sets the deadline of reads, those under way included; the zero
// time means none.
func (c *PacketConn) SetReadDeadline(t time.Time) error {
	if err := c.r.setDeadline(&c.socket, t); err != nil {
		return c.setError(err)
	}
	return nil
}

// SetWriteDeadline sets the deadline of writes, those under way included; the
// zero time means none.
func (c *PacketConn) SetWriteDeadline(t time.Time) error {
	if err := c.w.setDeadline(&c.socket, t); err != nil {
		return c.setError(err)
	}
	return nil
}

// SetReadBuffer sets how many bytes the kernel keeps that were not received
// (SO_RCVBUF, socket(7)).
func (c *PacketConn) SetReadBuffer(bytes int) error {
	if err := c.with(func(fd int) error { return setReceiveBuffer(fd, bytes) }); err != nil {
		return c.setError(err)
	}
	return nil
}

// SetWriteBuffer sets how many bytes the kernel takes that it has not sent
// (SO_SNDBUF, socket(7)).
func (c *PacketConn) SetWriteBuffer(bytes int) error {
	if err := c.with(func(fd int) error { return setSendBuffer(fd, bytes) }); err != nil {
		return c.setError(err)
	}
	return nil
}

// Close ends the connection: whoever is blocked in a method returns with
// net.ErrClosed as the cause. When it returns the address is free, unless it was
// called on a loop's goroutine: then that happens soon. A unixgram socket's file
// is removed, which package net does not do. A second Close is an error.
func (c *PacketConn) Close() error {
	if c.state.Swap(closed) == closed {
		return c.opError("close", c.remote, net.ErrClosed)
	}
	c.wakeAll()
	c.post()
	if c.l.Inside() {
		return nil
	}
	select {
	case <-c.over:
	case <-c.l.Done():
	}
	return nil
}

// wakeAll makes whoever is blocked look at the state.
func (c *PacketConn) wakeAll() {
	c.r.interrupt()
	c.w.interrupt()
}

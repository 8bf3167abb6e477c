package netconn

import (
	"net"
	"sync"
	"sync/atomic"
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
	recv, send proactor.Op
	poll       [2]proactor.Op // of SyscallConn: for reading, for writing
	from, to   proactor.Address
	msg, out   proactor.Msg
	l          *loop.Loop
	b          proactor.Backend
	k          *waking
	h          proactor.Handle
	o          *Options
	network    string
	local      net.Addr
	remote     net.Addr // nil unless it was dialed
	r          packetReader
	w          packetWriter
	state      atomic.Uint32
	posted     atomic.Bool
	serveFunc  func()
	member     loop.Member
	ending     bool          // the loop's: the operations end
	over       chan struct{} // closed once the descriptor is

	borrow sync.Mutex // guards what follows
	guests int        // goroutines that use the descriptor's number
	left   bool       // the loop waits for them
	closed bool       // the number is another's
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
	c.serveFunc = c.serve
	c.r.init()
	c.w.init(c)
	l.Join(&c.member)
}

// closing returns why nothing begins any more, nil if it does.
func (c *PacketConn) closing() error {
	switch c.state.Load() {
	case live:
		return nil
	case stopped:
		return errStopped
	}
	return net.ErrClosed
}

// opError is err as package net returns it.
func (c *PacketConn) opError(op string, addr net.Addr, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: addr, Err: err}
}

func (c *PacketConn) setError(err error) error {
	return &net.OpError{Op: "set", Net: c.network, Addr: c.local, Err: err}
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
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if err := c.closing(); err != nil {
		return c.setError(err)
	}
	c.r.deadline.set(t, c.r.w.waiting)
	return nil
}

// SetWriteDeadline sets the deadline of writes, those under way included; the
// zero time means none.
func (c *PacketConn) SetWriteDeadline(t time.Time) error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if err := c.closing(); err != nil {
		return c.setError(err)
	}
	c.w.deadline.set(t, c.w.w.waiting)
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
	c.r.mu.Lock()
	c.r.deadline.stop()
	c.r.w.wake()
	c.r.mu.Unlock()
	c.w.mu.Lock()
	c.w.deadline.stop()
	c.w.w.wake()
	c.w.mu.Unlock()
}

// with calls f with the descriptor's number, which stays what it is meanwhile.
func (c *PacketConn) with(f func(fd int) error) error {
	n, err := c.number()
	if err != nil {
		return err
	}
	defer c.giveBack()
	return f(n)
}

func (c *PacketConn) number() (int, error) {
	c.borrow.Lock()
	defer c.borrow.Unlock()
	if err := c.closing(); err != nil {
		return -1, err
	}
	if c.closed {
		return -1, net.ErrClosed
	}
	n, err := c.b.Number(c.h)
	if err == nil {
		c.guests++
	}
	return n, err
}

func (c *PacketConn) giveBack() {
	c.borrow.Lock()
	c.guests--
	last := c.guests == 0 && c.left
	c.borrow.Unlock()
	if last {
		c.post()
	}
}

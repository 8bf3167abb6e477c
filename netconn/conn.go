package netconn

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A Conn is a stream connection: what [TCPConn] and [UnixConn] have in common.
// Its methods are for any goroutine but a loop's.
type Conn struct {
	recv, send proactor.Op
	l          *loop.Loop
	b          proactor.Backend
	k          *waking
	h          proactor.Handle
	token      *proactor.Token
	o          Options
	network    string // as the dialer or the listener was told
	local      net.Addr
	remote     net.Addr
	r          reader
	w          writer
	state      atomic.Uint32
	posted     atomic.Bool // serve will run
	serveFunc  func()      // c.serve
	member     loop.Member
	ending     error // the loop's: why the operations end, nil while they go on

	borrow sync.Mutex // guards what follows
	guests int        // goroutines that use the descriptor's number
	left   bool       // the loop waits for them
	taker  *detaching // whoever called Detach
	closed bool       // the number is another's
}

// What Conn.state says.
const (
	live    = iota
	stopped // the loop has stopped
	closed  // Close was called
)

// errStopped is what a connection meets whose reactor has stopped.
var errStopped = fmt.Errorf("%w: %w", net.ErrClosed, loop.ErrStopped)

// closing returns why nothing begins any more, nil if it does.
func (c *Conn) closing() error {
	switch c.state.Load() {
	case live:
		return nil
	case stopped:
		return errStopped
	}
	return net.ErrClosed
}

// start makes a connection of h, a connected stream socket of l's backend, and
// begins to receive. Loop goroutine.
func (c *Conn) start(l *loop.Loop, h proactor.Handle, network string, local, remote net.Addr, o *Options) {
	c.l, c.b, c.h, c.k = l, l.Backend(), h, wakingOf(l)
	c.network, c.local, c.remote, c.o = network, local, remote, *o
	e := (*events)(c)
	c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: e}
	c.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: e}
	c.member.Owner = e
	c.serveFunc = c.serve
	c.r.init()
	c.w.init()
	c.token = c.b.Token(h)
	c.token.Share(h)
	l.Join(&c.member)
	l.Submit(&c.recv)
}

// post makes the loop look at what is wanted of it. Any goroutine.
func (c *Conn) post() {
	if !c.posted.CompareAndSwap(false, true) {
		return
	}
	if c.l.Insist(c.serveFunc) != nil {
		// The loop is over, and looks at nothing any more: its operations have
		// ended, or will, by Fail and Abandon.
		c.w.mu.Lock()
		if c.w.stage == wanted {
			c.w.end(0, proactor.ErrCanceled)
		}
		c.w.mu.Unlock()
	}
}

// serve does what goroutines want of the loop. Loop goroutine.
func (c *Conn) serve() {
	c.posted.Store(false)
	if c.state.Load() == closed {
		c.end(net.ErrClosed)
	}
	c.serveWriter()
	r := &c.r
	r.mu.Lock()
	resume := c.roomy() && r.err == nil && c.ending == nil
	if resume {
		r.stopped = false
	}
	r.mu.Unlock()
	if resume {
		c.l.Resume(&c.recv)
	}
	c.settle()
}

// LocalAddr returns this side's address: a *net.TCPAddr or *net.UnixAddr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; see [Conn.SetReadDeadline].
func (c *Conn) SetDeadline(t time.Time) error {
	err := c.setReadDeadline(t)
	if err == nil {
		err = c.setWriteDeadline(t)
	}
	if err != nil {
		return c.setError(err)
	}
	return nil
}

// events is a Conn as its operations and its loop see it.
type events Conn

// Complete takes the results of both operations.
func (e *events) Complete(op *proactor.Op) {
	c := (*Conn)(e)
	if op == &c.recv {
		c.received(op)
	} else {
		c.sent(op)
	}
	if c.ending != nil {
		c.settle()
	}
}

// Fail ends the connection with the loop.
func (e *events) Fail(error) {
	c := (*Conn)(e)
	c.state.CompareAndSwap(live, stopped)
	c.end(errStopped)
	c.wakeAll()
	c.serveWriter()
	c.settle()
}

// Abandon is the end of a connection whose operations will never complete.
func (e *events) Abandon(error) {
	c := (*Conn)(e)
	c.w.mu.Lock()
	if c.w.stage == sending {
		c.w.end(0, proactor.ErrCanceled)
	}
	c.w.mu.Unlock()
	c.wakeAll()
	c.l.Leave(&c.member)
	c.forget()
}

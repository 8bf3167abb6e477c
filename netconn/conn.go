package netconn

import (
	"net"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A Conn is a stream connection: what [TCPConn] and [UnixConn] have in common.
// Its methods are for any goroutine but a loop's.
type Conn struct {
	socket
	recv, send proactor.Op
	k          *waking
	token      *proactor.Token
	o          Options
	r          reader
	w          writer
	ending     error        // the loop's: why the operations end, nil while they go on
	taker      *detaching   // whoever called Detach; borrow guards it
	rare       *rare        // the loop's: nil until something of it is needed
	fed        *proactor.Op // the loop's: the relay that moves what is received, if one does
}

// start makes a connection of h, a connected stream socket of l's backend, and
// begins to receive. Loop goroutine.
func (c *Conn) start(l *loop.Loop, h proactor.Handle, network string, local, remote net.Addr, o *Options) {
	c.l, c.b, c.h, c.k = l, l.Backend(), h, wakingOf(l)
	c.network, c.local, c.remote, c.o = network, local, remote, *o
	e := (*events)(c)
	c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: e}
	c.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: e}
	if network == "unix" {
		c.recv.Msg = &proactor.Msg{} // what comes beside the bytes is kept
	}
	c.member.Owner = e
	c.serveFunc, c.errand = c.serve, &c.w.errand
	c.r.init()
	c.w.init()
	c.token = c.b.Token(h)
	c.token.Share(h)
	l.Join(&c.member)
	l.Submit(&c.recv)
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
	resume := c.roomy() && r.err == nil && c.ending == nil && r.halt == flowing
	if resume {
		r.stopped = false
	}
	r.mu.Unlock()
	if resume {
		c.l.Resume(&c.recv)
	}
	c.serveHalt()
	c.settle()
}

// LocalAddr returns this side's address: a *net.TCPAddr or *net.UnixAddr.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets both deadlines; see [Conn.SetReadDeadline].
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// events is a Conn as its operations and its loop see it.
type events Conn

// Complete takes the results of both operations.
func (e *events) Complete(op *proactor.Op) {
	c := (*Conn)(e)
	switch op {
	case &c.recv:
		c.received(op)
	case &c.send:
		c.sent(op)
	default:
		c.rarely(op)
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
	c.w.lose()
	c.wakeAll()
	c.l.Leave(&c.member)
	c.forget()
}

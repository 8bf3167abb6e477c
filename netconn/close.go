package netconn

import "net"

// Close ends the connection: whoever is blocked in a method returns with
// net.ErrClosed as the cause. What was written is sent nevertheless, as with
// package net; see [TCPConn.SetLinger]. It does not wait for the loop to have
// closed the descriptor. A second Close is an error.
func (c *Conn) Close() error {
	was := c.state.Swap(closed)
	if was == closed {
		return c.opError("close", net.ErrClosed)
	}
	c.wakeAll()
	c.post()
	return nil
}

// wakeAll makes whoever is blocked look at the state.
func (c *Conn) wakeAll() {
	c.r.mu.Lock()
	c.r.deadline.stop()
	c.r.w.wake()
	c.r.mu.Unlock()
	c.w.mu.Lock()
	c.w.deadline.stop()
	c.w.w.wake()
	c.w.mu.Unlock()
}

// end has the operations end. Loop goroutine.
func (c *Conn) end(why error) {
	if c.ending != nil {
		return
	}
	c.ending = why
	c.l.Cancel(&c.recv)
	c.l.Cancel(&c.send)
}

// settle closes the descriptor once nobody uses it. Loop goroutine.
func (c *Conn) settle() {
	if c.ending == nil || c.recv.Active() || c.send.Active() {
		return
	}
	c.borrow.Lock()
	wait := c.guests > 0 || c.closed
	c.left = c.guests > 0
	c.closed = c.closed || !wait
	c.borrow.Unlock()
	if wait {
		return
	}
	if !c.handOver() {
		_ = c.l.Sockets().CloseFD(c.h) // nothing is active on it
	}
	c.l.Leave(&c.member)
	c.forget()
}

// forget drops what was received and not read.
func (c *Conn) forget() {
	c.r.mu.Lock()
	c.r.gone = true
	c.r.q.forget()
	c.r.mu.Unlock()
}

// number lends the descriptor's number until giveBack.
func (c *Conn) number() (int, error) {
	c.borrow.Lock()
	defer c.borrow.Unlock()
	if err := c.closing(); err != nil || c.closed {
		if err == nil {
			err = net.ErrClosed
		}
		return -1, err
	}
	n, err := c.b.Number(c.h)
	if err == nil {
		c.guests++
	}
	return n, err
}

func (c *Conn) giveBack() {
	c.borrow.Lock()
	c.guests--
	last := c.guests == 0 && c.left
	c.borrow.Unlock()
	if last {
		c.post()
	}
}

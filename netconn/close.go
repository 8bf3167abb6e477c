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
	c.r.interrupt()
	c.w.interrupt()
}

// end has the operations end. Loop goroutine.
func (c *Conn) end(why error) {
	if c.ending != nil {
		return
	}
	c.ending = why
	c.l.Cancel(&c.recv)
	c.l.Cancel(&c.send)
	c.cancelRare()
}

// settle closes the descriptor once nobody uses it. Loop goroutine.
func (c *Conn) settle() {
	if c.ending == nil || c.recv.Active() || c.send.Active() || c.busy() {
		return
	}
	if !c.vacate() {
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
	for p := c.r.q.head; p != nil; p = p.next {
		c.dropBeside(p)
	}
	c.r.q.forget()
	c.r.mu.Unlock()
}

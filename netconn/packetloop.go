package netconn

import "mobius/proactor"

// serve does what goroutines want of the loop. Loop goroutine.
func (c *PacketConn) serve() {
	c.posted.Store(false)
	if c.state.Load() == closed {
		c.end()
	}
	c.serveWriter()
	r := &c.r
	r.mu.Lock()
	receive := r.begun && r.stopped && r.roomy(c.o) && !c.ending
	if receive {
		r.stopped = false
	}
	poll := r.polling && !c.ending && !c.poll[0].Active()
	r.mu.Unlock()
	if receive {
		c.l.Resume(&c.recv)
	}
	if poll {
		c.l.Submit(&c.poll[0])
	}
	c.settle()
}

// end has the operations end. Loop goroutine.
func (c *PacketConn) end() {
	if c.ending {
		return
	}
	c.ending = true
	c.l.Cancel(&c.recv)
	c.l.Cancel(&c.send)
	c.l.Cancel(&c.poll[0])
	c.l.Cancel(&c.poll[1])
}

// settle closes the descriptor once nobody uses it. Loop goroutine.
func (c *PacketConn) settle() {
	if !c.ending || c.recv.Active() || c.send.Active() || c.poll[0].Active() || c.poll[1].Active() {
		return
	}
	if !c.vacate() {
		return
	}
	_ = c.l.Sockets().CloseFD(c.h) // nothing is active on it
	c.finish()
}

func (c *PacketConn) finish() {
	c.l.Leave(&c.member)
	c.r.mu.Lock()
	for c.r.head != nil {
		c.discard(c.r.pop())
	}
	c.r.mu.Unlock()
	close(c.over)
}

// packetEvents is a PacketConn as its operations and its loop see it.
type packetEvents PacketConn

// Complete takes the results of all operations.
func (e *packetEvents) Complete(op *proactor.Op) {
	c := (*PacketConn)(e)
	switch op {
	case &c.recv:
		c.received(op)
	case &c.send:
		c.sent(op)
	case &c.poll[0]:
		c.r.mu.Lock()
		c.r.polling = false
		c.k.later(&c.r.w)
		c.r.mu.Unlock()
	case &c.poll[1]:
		c.w.mu.Lock()
		c.w.end(0, op.Err)
		c.k.later(&c.w.w)
		c.w.mu.Unlock()
	}
	c.settle()
}

// Fail ends the connection with the loop.
func (e *packetEvents) Fail(error) {
	c := (*PacketConn)(e)
	c.state.CompareAndSwap(live, stopped)
	c.end()
	c.wakeAll()
	c.serveWriter()
	c.settle()
}

// Abandon is the end of a connection whose operations will never complete.
func (e *packetEvents) Abandon(error) {
	c := (*PacketConn)(e)
	c.w.lose()
	c.wakeAll()
	c.finish()
}

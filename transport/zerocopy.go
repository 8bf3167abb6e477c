package transport

import "mobius/proactor"

// A pin is the memory of one zero-copy send, until the kernel lets go of it.
type pin struct {
	proactor.Pin
	c    *Conn
	s    *segment
	next *pin // in the pool
}

// pinnable reports whether a piece is to be sent without a copy: it is memory
// that its owner lent, and large enough.
func (c *Conn) pinnable(s *segment) bool {
	from := c.o.zeroCopyFrom()
	return from > 0 && s.kind == owned && len(s.bytes) >= from && !c.flags.has(copied)
}

// zeroCopy makes the send a zero-copy one if the head of the queue is for it.
func (c *Conn) zeroCopy(limit int) bool {
	s := c.out.head
	if !c.pinnable(s) {
		return false
	}
	c.send.Buf, c.send.Bufs = s.bytes, nil
	if len(s.bytes) > limit {
		c.send.Buf = s.bytes[:limit]
	}
	c.flying = len(c.send.Buf)
	p := c.pool.pinned
	if p == nil {
		p = new(pin)
		p.Owner = p
	} else {
		c.pool.pinned, p.next = p.next, nil
	}
	p.c, p.s = c, s
	s.pins++
	c.pins++
	c.send.Pin = &p.Pin
	return true
}

// Released comes when the kernel has let go of one send's memory.
func (p *pin) Released(_ *proactor.Pin, byCopy bool) {
	c, s := p.c, p.s
	p.c, p.s = nil, nil
	p.next, c.pool.pinned = c.pool.pinned, p
	if byCopy {
		c.flags |= copied
	}
	c.pins--
	s.pins--
	if s.gone && s.pins == 0 {
		s.gone = false
		c.drop(s)
	}
	c.settle()
}

package transport

import "mobius/proactor"

// HoldFrom is how many received bytes are kept in the backend's buffer when
// they are written, or wait for the end of a pause; fewer are copied. A hold
// costs some list operations and two atomic ones, and keeps a buffer of up to
// 256 KiB from the kernel. Measured with an echo server on uring, as CPU time per
// request on Linux 6.18: up to 4 KiB holding and copying cost the same within
// the noise, at 16 KiB holding saves a fifth, at 64 KiB a sixth.
const HoldFrom = 4096

// hold keeps what op has lent, if n bytes of it are worth it; else, or if the
// backend wants it back at once, it returns nil and the bytes are to be
// copied.
func (c *Conn) hold(op *proactor.Op, n int) *proactor.Hold {
	if n < HoldFrom {
		return nil
	}
	h := c.l.Hold(op, (*events)(c))
	if h != nil && c.pool.orphan == h {
		c.pool.orphan = nil
		h.Release()
		return nil
	}
	return h
}

// writeLent queues p without copying it if it is a part of what was received
// just now, and worth it.
func (c *Conn) writeLent(p []byte) bool {
	t := &c.pool.lent
	at := t.offset(p)
	if at < 0 {
		return false
	}
	if t.piece != nil {
		return c.extend(t, p, at)
	}
	if len(p) < HoldFrom || c.out.n > c.o.highWater() || t.asked {
		return false
	}
	h := t.hold
	if h != nil {
		h.Owner = (*events)(c)
	} else if t.op == nil {
		return false
	} else if h = c.hold(t.op, len(p)); h == nil {
		t.op = nil // a hold is asked for once
		return false
	}
	s := c.pool.get(bare)
	s.kind, s.hold = held, h
	s.bytes = t.bytes[at : at+len(p)]
	t.op, t.hold, t.by, t.piece, t.end = nil, nil, c, s, at+len(p)
	c.out.push(s)
	return true
}

// extend queues p if it follows in memory what was written last from the same
// hold: a protocol that passes on what it got piece by piece.
func (c *Conn) extend(t *lent, p []byte, at int) bool {
	s := t.piece
	if t.by != c || c.out.tail != s || s.asked || at != t.end {
		return false
	}
	s.bytes = s.bytes[:len(s.bytes)+len(p)]
	t.end += len(p)
	c.out.n += len(p)
	return true
}

// offset returns where in the lent bytes p lies, -1 if it does not. What was
// lent has no capacity beyond its length, so the capacity of a part of it
// tells where the part begins, if it is one. (A part whose capacity was cut
// off is not recognized, and copied.)
func (t *lent) offset(p []byte) int {
	at := len(t.bytes) - cap(p)
	if len(p) == 0 || at < 0 || at >= len(t.bytes) || &t.bytes[at] != &p[0] {
		return -1
	}
	return at
}

// evict gives a hold back: its bytes are copied, at once, or when the send
// that is using them has been cancelled.
func (c *Conn) evict(h *proactor.Hold) {
	if c.pool.lent.hold == h {
		c.pool.lent.asked = true // goes back when DataReceived returns
		return
	}
	for s := c.in.head; s != nil; s = s.next {
		if s.hold == h {
			c.unhold(&c.in, s)
			return
		}
	}
	before := 0
	for s := c.out.head; s != nil; s = s.next {
		if s.hold == h {
			c.evictOutput(s, before)
			return
		}
		before += len(s.bytes)
	}
	c.pool.orphan = h
}

func (c *Conn) evictOutput(s *segment, before int) {
	if before >= c.flying {
		c.unhold(&c.out, s)
		return
	}
	s.asked = true
	c.flags |= evicting
	c.l.Cancel(&c.send)
}

// evictAsked copies the pieces that were asked back while they were being
// sent, and are not any more.
func (c *Conn) evictAsked() {
	if !c.flags.has(evicting) {
		return
	}
	c.flags &^= evicting
	for s := c.out.head; s != nil; {
		next := s.next
		if s.asked {
			c.unhold(&c.out, s)
		}
		s = next
	}
}

// unhold replaces a held piece of a queue by copies.
func (c *Conn) unhold(q *queue, s *segment) {
	if c.pool.lent.piece == s {
		c.pool.lent.piece = nil
	}
	c.pool.own(q, s)
	s.hold.Release()
	c.pool.put(s)
}

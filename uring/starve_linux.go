//go:build linux && (amd64 || arm64)

package uring

import (
	"mobius/internal/sys"
	"mobius/proactor"
)

// feedStarved arms receives that found no buffer, in the order in which they
// came, as many as there are buffers. If none is left, and nothing was given
// back by itself, the oldest hold's buffer is asked back. It reports whether the loop
// may sleep: not while buffers and somebody to use them are there.
func (b *Backend) feedStarved() (idle bool) {
	hungry, idle := false, true
	for _, p := range b.pools {
		for n := min(p.starving(), p.avail); n > 0; n-- {
			b.arm(p.next())
		}
		if p.starving() > 0 {
			hungry = true
			idle = idle && p.avail == 0
		}
	}
	b.holds.Want(hungry)
	if !hungry || !idle {
		return idle
	}
	before := b.holds.Len()
	b.holds.Collect(b.back) // what came between the last Collect and Want
	if b.holds.Len() == before && b.asked == 0 {
		b.evict()
		before = b.holds.Len()
		b.holds.Collect(b.back)
	}
	return b.holds.Len() == before
}

// evictToCap asks for the oldest holds until what remains keeps no more buffers
// than the cap.
func (b *Backend) evictToCap() {
	for b.pinned-b.asked > b.cap && b.evict() {
	}
	b.holds.Collect(b.back)
}

// evict asks back all holds on the buffer that has the oldest one, since only
// all together free it. It reports whether there was any.
func (b *Backend) evict() bool {
	oldest := b.holds.Oldest()
	if oldest == nil {
		return false
	}
	id := oldest.Buffer
	if id != noBuffer {
		if f := &b.pools[id>>16].buffers[uint16(id)]; f.spent && !f.asked {
			b.pin(f)
			f.asked = true
			b.asked++
		}
	}
	for h := oldest; h != nil && h.Buffer == id; h = b.holds.Oldest() {
		b.stats.Evicted++
		b.holds.Evict()
	}
	return true
}

// pinStalled counts the buffers that relays keep, once they have kept them for
// a whole round: what is received in one is sent in the next, and back before the
// one after, unless the sink takes no more.
func (b *Backend) pinStalled() {
	for _, id := range b.older {
		if f := &b.pools[id>>16].buffers[uint16(id)]; f.spent {
			b.pin(f)
		}
	}
	b.fresh, b.older = b.older[:0], b.fresh
}

// pin counts a buffer that is spent and has users.
func (b *Backend) pin(f *buffer) {
	if !f.pinned {
		f.pinned = true
		b.pinned++
	}
}

// The classes of plain buffers: a size too large costs memory that is cold in
// the cache, one too small costs completions.
var classes = []struct{ size, n int }{{4 << 10, 512}, {16 << 10, 128}, {64 << 10, 64}}

// How many sizes in a row make a stream change its class.
const (
	streakUp   = 2
	streakDown = 32
)

// chooseClass looks at the size of one receive: one that fills its buffer
// speaks for larger ones, one that would fit the next smaller class for those. A change
// takes effect when the receive is armed again, which a cancel brings about.
func (b *Backend) chooseClass(s *slot, n int, more bool) {
	size := b.pools[s.class].size
	switch {
	case n == size && int(s.class) < len(b.pools)-1:
		s.streak = max(s.streak, 0) + 1
	case s.class > 0 && n <= b.pools[s.class-1].size/2:
		s.streak = min(s.streak, 0) - 1
	default:
		s.streak = 0
	}
	switch {
	case s.streak >= streakUp:
		s.wanted = s.class + 1
	case s.streak <= -streakDown:
		s.wanted = s.class - 1
	default:
		return
	}
	s.streak = 0
	if more && s.armed {
		b.cancelSlot(s)
	}
}

// classOf returns the class that a handle's last receive ended with.
func (b *Backend) classOf(e *sys.Entry) uint8 {
	if len(b.pools) == 1 {
		return 0
	}
	return descriptorOf(e).class
}

// starve has op wait for a buffer of p, which has none left.
func (b *Backend) starve(p *pool, op *proactor.Op, s *slot) {
	if !s.hungry {
		b.stats.Starved++
	}
	p.starve(op, s)
}

package ready

import (
	"mobius/internal/invariant"
	"mobius/proactor"
)

// An arena is where lent bytes lie: a few buffers, used from front to back.
// Bytes that nobody holds are overwritten by the next read; held ones stay, and
// the next read goes behind them. A buffer is used again from its front once
// nobody holds any of it.
//
// A small piece would pin a large buffer, so small pieces are moved to an
// arena of small buffers before they are lent: at 4 KiB and less the copy
// costs next to nothing beside the read.
type arena struct {
	size    int // bytes of a buffer
	limit   int // buffers at most
	tag     uint32
	buffers []buffer
	free    []uint32 // buffers with memory that nobody holds, beside the current one; the last used on top
	bare    []uint32 // buffers that have given their memory back
	current int      // -1 before the first
	off     int      // where the current one is free from
	pinned  int      // buffers with holds
	low     int      // the fewest that were free since the last trim
	rounds  int      // buffers made current since then
}

type buffer struct {
	mem   []byte
	holds int
}

// After thrift buffers of which some were never needed, half of those give
// their memory back, but keptFree of them. (Given back at once it would be asked for
// again in the next turn: with 50 echoes of 16 KiB that doubled the cost.)
const (
	thrift   = 1024
	keptFree = 4
)

func newArena(size, limit int, tag uint32) arena {
	return arena{size: size, limit: limit, tag: tag, current: -1}
}

// room returns memory of at least want bytes for what comes next, nil if
// everything is held.
func (a *arena) room(want int) []byte {
	if a.current >= 0 {
		b := &a.buffers[a.current]
		if b.holds == 0 {
			a.off = 0
		}
		if a.size-a.off >= want {
			return b.mem[a.off:]
		}
	}
	if !a.advance() {
		return nil
	}
	return a.buffers[a.current].mem
}

// advance makes another buffer the current one. The one that was is held.
func (a *arena) advance() bool {
	switch {
	case len(a.free) > 0:
		a.current = int(a.free[len(a.free)-1])
		a.free = a.free[:len(a.free)-1]
	case len(a.bare) > 0:
		a.current = int(a.bare[len(a.bare)-1])
		a.bare = a.bare[:len(a.bare)-1]
		a.buffers[a.current].mem = make([]byte, a.size)
	case len(a.buffers) < a.limit:
		a.buffers = append(a.buffers, buffer{mem: make([]byte, a.size)})
		a.current = len(a.buffers) - 1
	default:
		return false
	}
	a.off = 0
	a.low = min(a.low, len(a.free))
	if a.rounds++; a.rounds == thrift {
		a.trim()
	}
	return true
}

// trim gives memory back that has not been needed of late.
func (a *arena) trim() {
	if n := (a.low - keptFree + 1) / 2; n > 0 {
		for _, index := range a.free[:n] {
			a.buffers[index].mem = nil
		}
		a.bare = append(a.bare, a.free[:n]...)
		a.free = a.free[:copy(a.free, a.free[n:])]
	}
	a.low, a.rounds = len(a.free), 0
}

// hold pins n bytes from the front of what room has returned last, and returns
// the name of their buffer.
func (a *arena) hold(n int) uint32 {
	b := &a.buffers[a.current]
	if b.holds++; b.holds == 1 {
		a.pinned++
	}
	const line = 64 // a hold begins on a cache line of its own, if it begins at one
	a.off = min(a.size, (a.off+n+line-1)&^(line-1))
	return a.tag | uint32(a.current)
}

// release takes back one hold on a buffer.
func (a *arena) release(index uint32) {
	b := &a.buffers[index]
	if b.holds--; b.holds > 0 {
		return
	}
	a.pinned--
	if int(index) == a.current {
		return // room will start at its front
	}
	a.free = append(a.free, index)
}

// A lender lends bytes of arenas, and keeps account of who holds them.
type lender struct {
	holds proactor.Holds
	back  func(*proactor.Hold) // bound once

	large, small arena
	smallest     int // pieces of up to this many bytes go to small
	cap          int // holds from which on the oldest are asked back

	packets packets

	op      *proactor.Op // whose bytes are lent right now
	lent    []byte
	from    *arena // where they lie; nil if in a slot of packets
	slot    int
	kept    bool // somebody has held them
	evicted uint64
}

// In the name of a buffer: where it is from.
const (
	smallTag  = 1 << 31
	packetTag = 1 << 30
)

func (l *lender) init(o Options, wake func()) {
	l.holds.Init(wake)
	l.back = l.takeBack
	l.large = newArena(o.ReadBuffer, o.Buffers, 0)
	l.smallest = o.ReadBuffer / 64
	l.small = newArena(max(1, o.ReadBuffer/8), o.Buffers, smallTag)
	l.cap = o.Holds
	l.packets.init(o)
}

// room returns memory to read into, nil if everything is held.
func (l *lender) room() []byte { return l.large.room(max(1, l.large.size/4)) }

// brief returns memory for a small piece, from where it need not be moved: the small arena's, or
// nil if all of that is held.
func (l *lender) brief() []byte {
	s := l.small.room(l.smallest)
	if len(s) > l.smallest {
		s = s[:l.smallest]
	}
	return s
}

// lend makes the n bytes at the front of room what op lends. brief says that room is brief's.
func (l *lender) lend(op *proactor.Op, room []byte, n int, brief bool) {
	p, from := room[:n:n], &l.large
	if brief {
		from = &l.small
	} else if n <= l.smallest {
		if s := l.small.room(n); s != nil {
			copy(s, p)
			if invariant.Enabled {
				invariant.Scribble(p)
			}
			p, from = s[:n:n], &l.small
		}
	}
	op.Buf = p
	l.op, l.lent, l.from, l.kept = op, p, from, false
}

// lendPacket makes the datagram in a slot what op lends.
func (l *lender) lendPacket(op *proactor.Op, slot int) {
	p := l.packets.bytes(slot)
	op.Buf = p
	l.op, l.lent, l.from, l.slot, l.kept = op, p, nil, slot, false
}

// keep pins what is lent, and returns where it lies from now on. A small
// datagram is copied.
func (l *lender) keep() ([]byte, uint32) {
	if l.from != nil {
		return l.lent, l.from.hold(len(l.lent))
	}
	if len(l.lent) <= l.smallest {
		if s := l.small.room(len(l.lent)); s != nil {
			n := copy(s, l.lent)
			return s[:n:n], l.small.hold(n)
		}
	}
	return l.lent, l.packets.take(l.slot) | packetTag
}

// hold keeps what op lends.
func (l *lender) hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	if l.op != op || l.kept {
		panic("ready: Hold of an op that is not lending, or twice")
	}
	l.kept = true
	bytes, buffer := l.keep()
	return l.holds.New(bytes, buffer, owner)
}

// end ends the lending after Complete. The op may be its owner's again, and
// busy with something else.
func (l *lender) end() {
	if l.op == nil {
		return
	}
	if len(l.op.Buf) > 0 && &l.op.Buf[0] == &l.lent[0] {
		l.op.Buf = nil
	}
	if !l.kept {
		invariant.Scribble(l.lent)
	}
	l.op, l.lent = nil, nil
}

// collect takes back what has been released.
func (l *lender) collect() { l.holds.Collect(l.back) }

func (l *lender) takeBack(h *proactor.Hold) {
	invariant.Scribble(h.Bytes)
	switch {
	case h.Buffer&smallTag != 0:
		l.small.release(h.Buffer &^ smallTag)
	case h.Buffer&packetTag != 0:
		l.packets.release(h.Buffer &^ packetTag)
	default:
		l.large.release(h.Buffer)
	}
}

// pinned returns the number of buffers that somebody holds.
func (l *lender) pinned() int { return l.large.pinned + l.small.pinned + l.packets.pinned }

// over reports whether more is held than should be.
func (l *lender) over() bool { return l.holds.Len() > l.cap || l.crowded() }

// crowded reports whether holds pin more than half of the buffers: then there
// are few for the others to share.
func (l *lender) crowded() bool {
	return l.large.pinned > (l.large.limit+1)/2 || l.small.pinned > (l.small.limit+1)/2 || l.packets.crowded()
}

// relieve asks the oldest holds back: those beyond the cap, or, when buffers
// are short, about as many as keep one. It reports whether there were any.
func (l *lender) relieve() bool {
	n := l.holds.Len() - l.cap
	if l.crowded() || l.room() == nil || !l.packets.any() {
		n = max(n, l.holds.Len()/max(1, l.pinned()), 1)
	}
	asked := l.evicted
	for ; n > 0 && l.holds.Oldest() != nil; n-- {
		l.evicted++
		l.holds.Evict()
	}
	l.collect()
	return l.evicted != asked
}

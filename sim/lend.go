package sim

import (
	"mobius/proactor"
)

// A lender owns the buffers that a backend lends. Each loan has one to itself,
// so that the bytes after a loan's end can be scribbled over at once; the
// buffer given back last is lent again last, so that the scribble stays
// visible for long.
type lender struct {
	b        *Backend
	buffers  [][]byte // by number; made when first lent
	free     []uint32 // a ring of the numbers that are not lent
	first    int      // where in it the oldest stands
	count    int
	promises int  // buffers kept for ops that starved
	dry      bool // Starve: there are buffers, but nobody gets one until an evServe
	holds    proactor.Holds
	giveBack func(*proactor.Hold)

	current *proactor.Op // whose Complete is running with bytes lent
	lent    uint32       // its buffer
	held    bool         // somebody holds them
	asked   int          // holds that were asked back and have not come
	steps   uint64       // things done in Polls that are no completions
}

// scribble is what a loan's memory holds when it has ended.
const scribble = 0xDB

func (l *lender) init(b *Backend) {
	count := b.net.o.Buffers
	l.b, l.count = b, count
	l.buffers = make([][]byte, count)
	l.free = make([]uint32, count)
	for i := range l.free {
		l.free[i] = uint32(i)
	}
	l.holds.Init(b.Wake)
	l.giveBack = func(h *proactor.Hold) {
		l.put(h.Buffer, h.Bytes)
		l.asked = max(0, l.asked-1) // the oldest come first, so it is one that was asked
	}
}

func (l *lender) lentOut() int { return len(l.buffers) - l.count }

// put takes the buffer of a loan back.
func (l *lender) put(number uint32, bytes []byte) {
	for i := range bytes {
		bytes[i] = scribble
	}
	l.free[(l.first+l.count)%len(l.free)] = number
	l.count++
}

// borrow reports whether there is a buffer for op; else op is among those that
// starve, and is looked at again, in its turn, when there is.
func (b *Backend) borrow(op *proactor.Op) bool {
	if op.B.Flags&promised != 0 {
		op.B.Flags &^= promised
		b.promises--
		return true
	}
	if b.starved.Len() == 0 && b.count > b.promises {
		if !b.net.chance(Starve) {
			return true
		}
		b.dry = true
		b.net.at(b.net.now+b.net.rng.Int64N(longDelay), event{kind: evServe, b: b})
	}
	b.stats.Starved++
	b.starved.Push(op)
	b.holds.Want(true)
	b.collect() // one that was released before Want
	return false
}

// lend takes a buffer of size bytes for the completion that follows.
func (b *Backend) lend(size int) []byte {
	l := &b.lender
	l.lent = l.free[l.first]
	l.first = (l.first + 1) % len(l.free)
	l.count--
	p := l.buffers[l.lent]
	if p == nil || cap(p) < size {
		p = make([]byte, size, max(size, min(512, b.net.o.BufferSize)))
		l.buffers[l.lent] = p
	}
	return p[:size:size]
}

// completeLent delivers op.Buf, and takes it back if nobody holds it.
func (b *Backend) completeLent(op *proactor.Op, s *socket, got int, last bool) {
	number, bytes := b.lent, op.Buf
	b.current, b.held = op, false
	if last {
		b.retire(op)
	}
	defer func() { // also if Complete panics
		b.current = nil
		if op.Kind.Streams() && len(op.Buf) == len(bytes) && (len(bytes) == 0 || &op.Buf[0] == &bytes[0]) {
			op.Buf = nil
		}
		if !b.held {
			b.put(number, bytes)
			b.serve()
		}
		if !last {
			b.again(op, s)
		}
	}()
	b.complete(op, got, nil, !last)
}

// serve gives the buffers that are back to those who starve, in their order.
func (b *Backend) serve() {
	for b.starved.Len() > 0 && b.count > b.promises && !b.dry {
		op := b.starved.Pop()
		op.B.Flags |= promised
		b.promises++
		b.push(op)
	}
	if b.starved.Len() == 0 {
		b.holds.Want(false)
	}
}

// collect takes back the holds that were released.
func (b *Backend) collect() {
	b.holds.Collect(b.giveBack)
	b.serve()
}

// Hold keeps the bytes that op has lent in the Complete that is running.
func (b *Backend) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	if op != b.current || b.held {
		panic("sim: Hold outside the completion that lends the bytes, or twice in it")
	}
	b.held = true
	return b.holds.New(op.Buf, b.lent, owner)
}

// evict asks the oldest holds back, if there are more than the cap allows, or
// if ops starve: one for each, of which those that were asked before and have
// not come yet count.
func (b *Backend) evict() {
	for !b.closed {
		over := b.holds.Len() - b.asked - b.net.o.Holds
		short := 0
		if b.count <= b.promises && !b.dry {
			short = b.starved.Len() - b.asked
		}
		if max(over, short) <= 0 || !b.evictOne() {
			return
		}
		b.collect()
	}
}

// evictOne asks the oldest hold back, and reports whether there was one.
func (b *Backend) evictOne() bool {
	b.net.mu.Unlock()
	defer b.net.mu.Lock()
	if !b.holds.Evict() {
		return false
	}
	b.asked++
	b.stats.Evicted++
	b.steps++
	return true
}

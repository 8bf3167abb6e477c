package transport

import (
	"mobius/loop"
	"mobius/proactor"
)

// The sizes of pooled memory. Most connections have a few hundred bytes
// queued for less than a turn, hence the small class: it is no power of two
// pages apart, so that a thousand of them do not fall on the same lines of the
// cache. What is queued behind other bytes comes in large ones.
var classSizes = [...]int{1 << 10, 16 << 10, 64 << 10}

const (
	bare    = len(classSizes)     // the class of segments without memory
	classes = len(classSizes) + 1 // of segments

	// maxPooled bounds the memory that a loop's pool keeps for later; what is
	// given back beyond it goes to the garbage collector.
	maxPooled = 4 << 20

	// maxIdle bounds how many pieces without memory the pool keeps.
	maxIdle = 4096
)

// A segment is a piece of a queue.
type segment struct {
	next    *segment
	bytes   []byte         // what is left of it
	mem     []byte         // its own memory, if it has any: bytes lies in it
	hold    *proactor.Hold // held: what keeps bytes
	release func()         // owned: whom to tell
	pins    int32          // owned: zero-copy sends that the kernel still reads from
	class   uint8
	kind    kind
	asked   bool // held: Evict came while it was being sent
	gone    bool // owned: it left the queue, and waits for its pins
}

// A kind says whose memory a segment's bytes lie in.
type kind uint8

const (
	own   kind = iota // the segment's
	held              // the backend's, kept by a Hold
	owned             // the user's, by WriteOwned
)

// A vector is the pieces of a send: the first is its Buf, the others are its
// Bufs.
type vector struct {
	next *vector
	n    int // pieces in use
	bufs [maxPieces][]byte
}

// maxPieces is how many pieces one send has at most (the kernel's UIO_MAXIOV
// is 1,024; by 64 pieces the cost of the call is spread thin enough).
const maxPieces = 64

// A pool is what all connections of one loop share.
type pool struct {
	lent   lent
	orphan *proactor.Hold // evicted before its holder knew of it
	hot    *Conn          // whose output goes as soon as DataReceived returns

	writeFrom int       // from how many bytes on output is written at once, without a Send
	one       [1][]byte // such output, if it has one piece

	free   [classes]*segment
	bytes  int // of memory in free
	idle   int // bare segments in free
	vecs   *vector
	nvecs  int
	pinned *pin
}

// lent is what the DataReceived that is running has been given. A Write of
// bytes of it need not copy them.
type lent struct {
	bytes []byte
	op    *proactor.Op   // may be held, once
	hold  *proactor.Hold // is held, by nobody but this
	kept  *segment       // whose bytes they are, if they were received earlier
	asked bool           // Evict came for hold: it must not be taken over
	by    *Conn          // has taken the hold over …
	piece *segment       // … in this piece of its queue
	end   int            // … up to here
}

type poolKey struct{}

func poolOf(l *loop.Loop) *pool {
	return l.Local(poolKey{}, func() any { return &pool{writeFrom: l.WriteFrom()} }).(*pool)
}

// get returns a segment of a class.
func (p *pool) get(class int) *segment {
	s := p.free[class]
	if s == nil {
		s = &segment{class: uint8(class)}
		if class != bare {
			s.mem = make([]byte, classSizes[class])
		}
		return s
	}
	p.free[class] = s.next
	s.next = nil
	if class == bare {
		p.idle--
	} else {
		p.bytes -= len(s.mem)
	}
	return s
}

// put takes a segment back.
func (p *pool) put(s *segment) {
	s.bytes, s.hold, s.release, s.kind = nil, nil, nil, own
	s.asked, s.gone = false, false
	if s.class == uint8(bare) {
		if p.idle == maxIdle {
			return
		}
		p.idle++
	} else {
		if p.bytes+len(s.mem) > maxPooled {
			return
		}
		p.bytes += len(s.mem)
	}
	s.next, p.free[s.class] = p.free[s.class], s
}

func (p *pool) getVector() *vector {
	v := p.vecs
	if v == nil {
		return new(vector)
	}
	p.vecs, v.next = v.next, nil
	p.nvecs--
	return v
}

// putVector takes a vector back.
func (p *pool) putVector(v *vector) {
	clear(v.bufs[:v.n])
	v.n = 0
	if p.nvecs < maxIdle/maxPieces {
		v.next, p.vecs = p.vecs, v
		p.nvecs++
	}
}

package netconn

import (
	"sync"

	"mobius/proactor"
	"mobius/transport"
)

// pieceSize is the memory of a piece that has its own: what is longer is held
// in the backend's buffer.
const pieceSize = transport.HoldFrom

// memories are the pieces' own memory.
var memories = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// A piece is some received bytes of one connection.
type piece struct {
	next   *piece
	r      *reader
	bytes  []byte           // what is left of it
	mem    *[pieceSize]byte // its own memory, if it has any: bytes may lie in it
	hold   *proactor.Hold   // what keeps bytes, if anything does
	busy   bool             // the reading goroutine is copying from it, or has lent it out
	asked  bool             // the hold was asked back
	beside *beside          // what came with its first byte, if anything did
	lent   bool             // by Peek: its memory is nobody else's until it is read
}

// Evict is asked when too many of the backend's buffers are held. What is
// being copied just now is given back by whoever copies.
func (p *piece) Evict(h *proactor.Hold) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	switch {
	case p.hold == nil: // it is being made, or was released meanwhile
		p.asked = true
	case p.hold != h:
	case p.busy:
		p.asked = true
	default:
		p.own()
	}
}

// own copies what is left, and gives the hold back. r.mu is held.
func (p *piece) own() {
	p.bytes = append([]byte(nil), p.bytes...)
	p.unhold()
}

func (p *piece) unhold() {
	h := p.hold
	p.hold, p.asked = nil, false
	h.Release()
}

// pieces are what was received and not read yet. The reader's mutex guards
// them.
type pieces struct {
	head, tail *piece
	n          int // bytes
	files      int // descriptors that came beside them
	free       *piece
}

// get returns an empty piece. It belongs to one connection for ever, since
// somebody may be about to ask it for a hold that it has just released.
func (q *pieces) get(r *reader) *piece {
	p := q.free
	if p == nil {
		return &piece{r: r}
	}
	q.free, p.next = p.next, nil
	p.asked = false
	return p
}

func (q *pieces) push(p *piece) {
	if q.tail == nil {
		q.head = p
	} else {
		q.tail.next = p
	}
	q.tail = p
	q.n += len(p.bytes)
}

// copy appends copies of b.
func (q *pieces) copy(r *reader, b []byte) {
	for len(b) > 0 {
		p := q.tail
		if p == nil || p.mem == nil || cap(p.bytes) == len(p.bytes) {
			p = q.get(r)
			p.mem = memories.Get().(*[pieceSize]byte)
			p.bytes = p.mem[:0]
			q.push(p)
		}
		n := min(len(b), cap(p.bytes)-len(p.bytes))
		p.bytes = append(p.bytes, b[:n]...)
		q.n += n
		b = b[n:]
	}
}

// drop takes the first piece out and gives its memory back.
func (q *pieces) drop() {
	p := q.head
	q.head = p.next
	if q.head == nil {
		q.tail = nil
	}
	q.n -= len(p.bytes)
	if p.hold != nil {
		p.unhold()
	}
	if p.mem != nil {
		memories.Put(p.mem)
		p.mem = nil
	}
	p.bytes, p.lent = nil, false
	p.next, q.free = q.free, p
}

// forget drops everything that nobody is copying from.
func (q *pieces) forget() {
	for q.head != nil && !q.head.busy {
		if q.head.lent {
			q.head.mem = nil // somebody may be looking at it: not for the pool
		}
		q.drop()
	}
}

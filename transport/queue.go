package transport

// A queue is a list of segments, and how many bytes they have.
type queue struct {
	head, tail *segment
	n          int
}

// push appends a segment.
func (q *queue) push(s *segment) {
	if q.tail == nil {
		q.head = s
	} else {
		q.tail.next = s
	}
	q.tail = s
	q.n += len(s.bytes)
}

// pop takes the first segment out. Its bytes were counted off already, or are
// now.
func (q *queue) pop() *segment {
	s := q.head
	q.head, s.next = s.next, nil
	if q.head == nil {
		q.tail = nil
	}
	q.n -= len(s.bytes)
	return s
}

// copy appends a copy of b, in the memory at the tail as far as that goes.
// Bytes before it may be on their way to the kernel: they are not touched.
func (p *pool) copy(q *queue, b []byte) {
	if q.tail == nil && len(b) <= classSizes[0] { // what most have to send
		s := p.get(0)
		s.bytes = s.mem[:copy(s.mem, b)]
		q.head, q.tail, q.n = s, s, len(b)
		return
	}
	q.n += len(b)
	if s := q.tail; s != nil && s.kind == own {
		n := min(len(b), cap(s.bytes)-len(s.bytes))
		s.bytes = append(s.bytes, b[:n]...)
		b = b[n:]
	}
	for len(b) > 0 {
		s := p.get(classFor(len(b), q.tail != nil))
		n := copy(s.mem, b)
		s.bytes = s.mem[:n]
		b = b[n:]
		q.n -= n // push counts them again
		q.push(s)
	}
}

// classFor returns the class for n bytes. Behind other bytes the smallest is
// left out: more will follow.
func classFor(n int, behind bool) int {
	class := 0
	if behind {
		class = 1
	}
	for class < bare-1 && n > classSizes[class] {
		class++
	}
	return class
}

// own puts copies of a held segment's bytes in its place, and returns the
// segment, which is in no list any more.
func (p *pool) own(q *queue, s *segment) {
	var copies queue
	p.copy(&copies, s.bytes)
	copies.tail.next = s.next
	if q.tail == s {
		q.tail = copies.tail
	}
	if q.head == s {
		q.head = copies.head
	} else {
		before := q.head
		for before.next != s {
			before = before.next
		}
		before.next = copies.head
	}
	s.next = nil
}

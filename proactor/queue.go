package proactor

// A Queue is an intrusive FIFO of ops: an op is in one queue at most, and
// queueing it allocates nothing. The zero value is empty. Not for use by more
// than one goroutine.
type Queue struct {
	head, tail *Op
	n          int
}

// Len returns the number of ops in q.
func (q *Queue) Len() int { return q.n }

// Front returns the oldest op, which stays in q, or nil. The next one is its
// B.Next.
func (q *Queue) Front() *Op { return q.head }

// Push appends op, which must be in no queue.
func (q *Queue) Push(op *Op) {
	if op.B.Where != nil {
		panic("proactor: op is in a queue already")
	}
	op.B.Where, op.B.Next = q, nil
	if q.tail == nil {
		q.head = op
	} else {
		q.tail.B.Next = op
	}
	q.tail = op
	q.n++
}

// Pop removes and returns the oldest op, or nil.
func (q *Queue) Pop() *Op {
	op := q.head
	if op == nil {
		return nil
	}
	q.head = op.B.Next
	if q.head == nil {
		q.tail = nil
	}
	op.B.Next, op.B.Where = nil, nil
	q.n--
	return op
}

// Remove takes op out of q, wherever it stands, and reports whether it was
// there. It costs a walk of the queue.
func (q *Queue) Remove(op *Op) bool {
	if op.B.Where != q {
		return false
	}
	var prev *Op
	for at := q.head; at != op; at = at.B.Next {
		prev = at
	}
	if prev == nil {
		q.head = op.B.Next
	} else {
		prev.B.Next = op.B.Next
	}
	if q.tail == op {
		q.tail = prev
	}
	op.B.Next, op.B.Where = nil, nil
	q.n--
	return true
}

package loop

// A Flush is work that is better done once per turn than at once: sending
// what several callbacks have written. Embed it in its owner; queueing it
// allocates nothing.
type Flush struct {
	Owner interface {
		// Flush runs once for any number of AtTurnEnd, before the next poll.
		Flush()
	}
	next   *Flush
	queued bool
}

// flushes is a list of them, in the order in which they came.
type flushes struct {
	head, tail *Flush
	batch      *Flush // being run
}

// AtTurnEnd makes f.Owner.Flush run once, after the callbacks of this turn and
// before the next poll, so that what it submits reaches the kernel in that
// one. A second AtTurnEnd before that does nothing. What a Flush adds waits for
// the end of the next turn, whose poll then does not wait.
func (l *Loop) AtTurnEnd(f *Flush) {
	l.check("AtTurnEnd")
	if f.queued {
		return
	}
	l.awake()
	f.queued = true
	if l.flushes.tail == nil {
		l.flushes.head = f
	} else {
		l.flushes.tail.next = f
	}
	l.flushes.tail = f
}

func (q *flushes) pending() bool { return q.head != nil }

// take begins a batch: all that wait now.
func (q *flushes) take() bool {
	q.batch, q.head, q.tail = q.head, nil, nil
	return q.batch != nil
}

// drainFlushes runs what is left of the batch under way.
func (l *Loop) drainFlushes() {
	q := &l.flushes
	for q.batch != nil {
		f := q.batch
		q.batch, f.next, f.queued = f.next, nil, false
		l.dog.beat()
		f.Owner.Flush()
	}
}

//go:build linux

package load

import "time"

// A queue counts the requests of one connection.
//
// In a closed loop a connection starts Depth requests at once, and again when all of
// them are answered. In an open loop it starts each request when it is due, unless so
// many are in flight as it remembers: then as soon as one of those is answered.
type queue struct {
	id       int
	due      int64   // requests that were due
	started  int64   // requests that were sent, or are to be
	finished int64   // requests that were answered, or given up
	times    []int64 // when the last ones were started
}

func newQueue(id, depth int) queue { return queue{id: id, times: make([]int64, depth)} }

// waits reports whether answers are missing.
func (q *queue) waits() bool { return q.finished < q.started }

// room returns how many requests are to be started now.
func (q *queue) room(e *engine) int64 {
	switch {
	case e.stopping || e.spec.Mode == Idle && q.started > 0:
		return 0
	case e.spec.Rate > 0:
		return min(q.due-q.started, int64(len(q.times))-(q.started-q.finished))
	case q.waits():
		return 0
	}
	return int64(e.spec.Depth)
}

// start counts n requests as started now.
func (q *queue) start(e *engine, n int64) {
	now := e.now()
	for range n {
		q.times[q.started%int64(len(q.times))] = now
		q.started++
	}
}

// startedAt returns when request i was, one of the last ones.
func (q *queue) startedAt(i int64) int64 { return q.times[i%int64(len(q.times))] }

// finish counts all requests before the one with the number until as answered now.
func (q *queue) finish(e *engine, now, until int64) {
	for q.finished < until {
		first, at := q.finished, q.startedAt(q.finished)
		for q.finished < until && q.startedAt(q.finished) == at {
			q.sinceDue(e, now, q.finished)
			q.finished++
		}
		e.answered(now, at, q.finished-first)
	}
}

// sinceDue counts, in an open loop, how long request i has taken since it was due.
func (q *queue) sinceDue(e *engine, now, i int64) {
	if e.corrected != nil && e.recording {
		e.corrected.Record(time.Duration(now-q.dueAt(e, i)), 1)
	}
}

// dueAt returns when request i was due: connections take turns.
func (q *queue) dueAt(e *engine, i int64) int64 { return e.dueAt(i*int64(e.spec.Conns) + int64(q.id)) }

// end counts what was due from request i on and was never answered: it has the age
// that it has got.
func (q *queue) end(e *engine, i int64) {
	if e.corrected == nil {
		return
	}
	for now := e.now(); i < q.due; i++ {
		e.corrected.Record(time.Duration(now-q.dueAt(e, i)), 1)
	}
}

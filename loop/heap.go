package loop

import "time"

// heap holds armed timers, the next one first. It is 4-ary, and keeps the keys
// beside the pointers, so that a walk through it touches few cache lines.
//
// A timer that moves to a later time stays where it is, with an entry that is
// too early (t.seq tells), and sinks when it comes to the head: putting off a
// timer again and again, as idle timeouts do, costs two stores each time.
type heap struct {
	entries  []entry
	sequence uint64 // of the latest arming
}

type entry struct {
	at  time.Duration // a lower bound of t.at; t.at itself if seq is t.seq
	seq uint64
	t   *Timer
}

const arity = 4

func (e *entry) before(o *entry) bool {
	return e.at < o.at || e.at == o.at && e.seq < o.seq
}

func (h *heap) len() int { return len(h.entries) }

// head returns the timer with the least deadline, or nil.
func (h *heap) head() *Timer {
	for len(h.entries) > 0 {
		e := &h.entries[0]
		if e.seq == e.t.seq {
			return e.t
		}
		e.at, e.seq = e.t.at, e.t.seq
		h.down(0)
	}
	return nil
}

// arm puts t at a time, whether it is in the heap or not.
func (h *heap) arm(t *Timer, at time.Duration) {
	h.sequence++
	t.at, t.seq = at, h.sequence
	if t.pos == 0 {
		h.entries = append(h.entries, entry{at, t.seq, t})
		t.pos = len(h.entries)
		h.up(t.pos - 1)
		return
	}
	i := t.pos - 1
	if e := &h.entries[i]; at < e.at {
		e.at, e.seq = at, t.seq
		h.up(i)
	}
}

// remove takes t, which must be in the heap, out.
func (h *heap) remove(t *Timer) {
	i, last := t.pos-1, len(h.entries)-1
	moved := h.entries[last]
	h.entries[last] = entry{}
	h.entries = h.entries[:last]
	t.pos = 0
	if i == last {
		return
	}
	h.entries[i] = moved
	moved.t.pos = i + 1
	h.down(i)
	h.up(moved.t.pos - 1)
}

func (h *heap) up(i int) {
	e := h.entries[i]
	for i > 0 {
		parent := (i - 1) / arity
		if !e.before(&h.entries[parent]) {
			break
		}
		h.set(i, h.entries[parent])
		i = parent
	}
	h.set(i, e)
}

func (h *heap) down(i int) {
	e := h.entries[i]
	for {
		first := i*arity + 1
		if first >= len(h.entries) {
			break
		}
		least := first
		for c := first + 1; c < first+arity && c < len(h.entries); c++ {
			if h.entries[c].before(&h.entries[least]) {
				least = c
			}
		}
		if !h.entries[least].before(&e) {
			break
		}
		h.set(i, h.entries[least])
		i = least
	}
	h.set(i, e)
}

func (h *heap) set(i int, e entry) {
	h.entries[i] = e
	e.t.pos = i + 1
}

package loop

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// A Timer calls its function once, at a time of the loop's clock. Embed it in
// its owner and start it with [Loop.Start]; starting, stopping and moving it
// allocates nothing (the heap of timers grows with the number of them).
//
//	       Start           due
//	idle ────────▶ armed ───────▶ idle, then Func
//	                │  ▲ Start, Reset, Delay
//	           Stop ▼  │
//	               idle
//
// Timers run in the order of their deadlines, equal ones in the order in which
// they were armed, never early by [Loop.Now], and never in the phase that
// armed them. All methods are for the loop's goroutine.
type Timer struct {
	// Func is called when the timer is due, or Owner.Expire if Func is nil:
	// an interface costs an owner with many timers no closure for each.
	Func  func()
	Owner interface{ Expire(t *Timer) }

	l   *Loop
	at  time.Duration
	seq uint64
	pos int // in the heap, counted from 1; 0: idle
}

// Start arms t to fire once d has passed; if it is armed already, instead of
// then. A negative d counts as 0: due in the next turn.
func (l *Loop) Start(t *Timer, d time.Duration) {
	l.check("Start")
	t.l = l
	l.timers.arm(t, l.after(l.Now(), d))
}

// after returns now + d within bounds: a deadline is never in the past, so
// that what is armed in a timers phase comes after all that is due in it.
func (l *Loop) after(now, d time.Duration) time.Duration {
	if d <= 0 {
		return now
	}
	if d > math.MaxInt64-now {
		return math.MaxInt64
	}
	return now + d
}

// Stop disarms t and reports whether it was armed: it will not fire.
func (t *Timer) Stop() bool {
	if t.pos == 0 {
		return false
	}
	t.l.timers.remove(t)
	return true
}

// Reset moves an armed timer to d from now, and reports whether t was armed;
// if not, it does nothing.
func (t *Timer) Reset(d time.Duration) bool {
	if t.pos == 0 {
		return false
	}
	t.l.timers.arm(t, t.l.after(t.l.Now(), d))
	return true
}

// Delay moves an armed timer by d, which may be negative, and reports whether
// t was armed; if not, it does nothing.
func (t *Timer) Delay(d time.Duration) bool {
	if t.pos == 0 {
		return false
	}
	now := t.l.Now()
	left := t.at - now
	if d > math.MaxInt64-max(left, 0) {
		d = math.MaxInt64 - max(left, 0)
	}
	t.l.timers.arm(t, t.l.after(now, left+d))
	return true
}

// Active reports whether t is armed. It is not any more when its function runs.
func (t *Timer) Active() bool { return t.pos != 0 }

// Deadline returns the time of [Loop.Now] at which t fires, or was last armed
// to fire.
func (t *Timer) Deadline() time.Duration { return t.at }

// Armed returns all armed timers, in the order in which they are to fire. It
// costs about as much as arming them did.
func (l *Loop) Armed() []*Timer {
	l.check("Armed")
	var all []*Timer
	for _, e := range l.timers.entries {
		all = append(all, e.t)
	}
	slices.SortFunc(all, func(a, b *Timer) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
	})
	return all
}

// fire runs the timers that are due in this phase.
func (l *Loop) fire() {
	for t := l.timers.head(); t != nil && t.at <= l.due && t.seq <= l.dueSeq; t = l.timers.head() {
		l.timers.remove(t)
		l.dog.beat()
		if t.Func != nil {
			t.Func()
		} else {
			t.Owner.Expire(t)
		}
	}
}

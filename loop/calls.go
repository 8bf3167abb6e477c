package loop

import (
	"math"
	"sync"
	"sync/atomic"
)

// calls are the functions posted by other goroutines: a bounded queue of two
// slices that change places, under a mutex held for a few instructions.
type calls struct {
	limit  int
	n      atomic.Int32 // len(in), for those who do not hold mu
	mu     sync.Mutex
	in     []func()
	closed bool

	out []func() // the loop's: the batch under way
	at  int      // how much of it has run
}

// Call makes the loop run f in its next turn, or in this one if it is before
// its calls. It never runs f itself, and f's order among the calls of one
// goroutine is kept. Any goroutine.
//
// It returns [ErrFull] if Options.Calls calls wait already and [ErrStopped] if
// the loop is stopping. After nil f will run: at the latest while the loop
// stops, before it tells its members.
func (l *Loop) Call(f func()) error { return l.post(f, l.calls.limit) }

// Insist is Call without the limit, for the few messages without which
// accounts would go wrong: that a port on several loops stops, that the last
// of its connections has ended. Its only error is [ErrStopped]. Any goroutine.
func (l *Loop) Insist(f func()) error { return l.post(f, math.MaxInt) }

func (l *Loop) post(f func(), limit int) error {
	c := &l.calls
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ErrStopped
	}
	if len(c.in) >= limit {
		c.mu.Unlock()
		return ErrFull
	}
	c.in = append(c.in, f)
	c.n.Store(int32(len(c.in)))
	c.mu.Unlock()
	l.nudge()
	return nil
}

func (c *calls) pending() bool { return c.n.Load() != 0 }

// take begins a batch: all that wait now.
func (c *calls) take() bool {
	if !c.pending() {
		return false
	}
	c.mu.Lock()
	c.in, c.out, c.at = c.out[:0], c.in, 0
	c.n.Store(0)
	c.mu.Unlock()
	return true
}

// close refuses further calls; those that wait stay.
func (c *calls) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
}

// drainCalls runs what is left of the batch under way.
func (l *Loop) drainCalls() {
	c := &l.calls
	for c.at < len(c.out) {
		f := c.out[c.at]
		c.out[c.at] = nil // or the batch keeps alive what f holds
		c.at++
		l.dog.beat()
		f()
	}
}

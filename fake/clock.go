package fake

import (
	"time"

	"mobius"
	"mobius/loop"
)

// A Clock is time that moves only when the test says so, and the calls that
// are due by it. (Twisted: task.Clock.) It starts at 0. What wants a loop, a
// loop.NewLoopingCall for example, gets the clock's. It need not be closed.
type Clock struct{ r *Reactor }

// NewClock returns a clock at time 0.
func NewClock() *Clock {
	r, err := NewReactor(nil, mobius.Options{})
	if err != nil {
		panic(err) // there is nothing about the defaults that could be refused
	}
	return r.Clock()
}

// CallLater has f called by the Advance in which d has passed; a negative d
// counts as 0.
func (c *Clock) CallLater(d time.Duration, f func()) *mobius.DelayedCall {
	return c.r.CallLater(d, f)
}

// DelayedCalls returns the calls that are still to come, the next one first.
func (c *Clock) DelayedCalls() []*mobius.DelayedCall { return c.r.DelayedCalls() }

// Now returns the time.
func (c *Clock) Now() time.Duration { return c.r.Net.Now() }

// Loop returns the loop that lives by the clock.
func (c *Clock) Loop() *loop.Loop { return c.r.Loops()[0] }

// Advance moves the clock by d, and makes what is due meanwhile happen, each at
// its time and in order. A call that is asked for meanwhile, and due by then,
// is made too. See [Reactor.Advance] for the errors.
func (c *Clock) Advance(d time.Duration) error { return c.r.Advance(d) }

// Pump is an Advance by each of the steps. The first error ends it.
func (c *Clock) Pump(steps ...time.Duration) error {
	for _, d := range steps {
		if err := c.Advance(d); err != nil {
			return err
		}
	}
	return nil
}

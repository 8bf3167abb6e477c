package mobius

import (
	"time"

	"mobius/loop"
)

// A DelayedCall is a function that will be called later, once. Its methods,
// like [Reactor.CallLater], are for the goroutine of the reactor's first loop.
// (Twisted's IDelayedCall.)
type DelayedCall struct{ timer loop.Timer }

// CallLater calls f on the first loop once d has passed. It is for that loop's
// goroutine, or for any before Run; from elsewhere, [Reactor.Call] it. On
// another loop of the reactor, use a [loop.Timer] of its own.
func (r *Reactor) CallLater(d time.Duration, f func()) *DelayedCall {
	c := &DelayedCall{}
	c.timer.Func = f
	start := func() { r.loops[0].Start(&c.timer, d) }
	if !r.before(start) {
		start()
	}
	return c
}

// Cancel keeps the call from being made, and reports whether it did: false if
// it was made or cancelled before.
func (c *DelayedCall) Cancel() bool { return c.timer.Stop() }

// Reset moves the call to d from now. It reports whether the call was still to come.
func (c *DelayedCall) Reset(d time.Duration) bool { return c.timer.Reset(d) }

// Delay moves the call by d, which may be negative, from when it would have
// been. It reports whether the call was still to come.
func (c *DelayedCall) Delay(d time.Duration) bool { return c.timer.Delay(d) }

// Active reports whether the call is still to come.
func (c *DelayedCall) Active() bool { return c.timer.Active() }

// Time returns when the call is, or was, to be made, on the clock of the
// loop's Now.
func (c *DelayedCall) Time() time.Duration { return c.timer.Deadline() }

package mobius

import (
	"time"

	"mobius/loop"
)

// A DelayedCall is a function that will be called later, once. Its methods,
// like [Reactor.CallLater], are for the goroutine of the reactor's first loop.
// (Twisted's IDelayedCall.)
type DelayedCall struct {
	f      func() // nil once it was called or cancelled
	called bool
	timer  loop.Timer
}

// CallLater calls f on the first loop once d has passed, never before CallLater
// returns; a negative d counts as 0. Calls for the same time are made in the
// order in which they were asked for. It is for that loop's goroutine, or for
// any before Run; from elsewhere, [Reactor.Call] it. On another loop of the
// reactor, use a [loop.Timer] of its own.
func (r *Reactor) CallLater(d time.Duration, f func()) *DelayedCall {
	c := &DelayedCall{f: f}
	c.timer.Owner = (*delayedEvents)(c)
	start := func() { r.loops[0].Start(&c.timer, d) }
	if !r.before(start) {
		start()
	}
	return c
}

// DelayedCalls returns the calls that are still to come, the next one first. It
// is for the first loop's goroutine, or for any before Run. (Twisted's
// getDelayedCalls.)
func (r *Reactor) DelayedCalls() []*DelayedCall {
	var all []*DelayedCall
	for _, t := range r.loops[0].Armed() {
		if c, ok := t.Owner.(*delayedEvents); ok {
			all = append(all, (*DelayedCall)(c))
		}
	}
	return all
}

// Now returns the time of the first loop's clock, on which CallLater counts:
// monotonic, since an arbitrary moment, and read once in each part of a turn.
// It is for that loop's goroutine, or for any before Run.
func (r *Reactor) Now() time.Duration { return r.loops[0].Now() }

// Seconds is Now in seconds. (Twisted's seconds.)
func (r *Reactor) Seconds() float64 { return r.Now().Seconds() }

// Cancel keeps the call from being made, and reports whether it did: false if
// it was made, is being made, or was cancelled before.
func (c *DelayedCall) Cancel() bool {
	c.f = nil // what it holds may go
	return c.timer.Stop()
}

// Reset moves the call to d from now. It reports whether the call was still to come.
func (c *DelayedCall) Reset(d time.Duration) bool { return c.timer.Reset(d) }

// Delay moves the call by d, which may be negative, from when it would have
// been. It reports whether the call was still to come.
func (c *DelayedCall) Delay(d time.Duration) bool { return c.timer.Delay(d) }

// Active reports whether the call is still to come. It is not any more while
// its function runs.
func (c *DelayedCall) Active() bool { return c.timer.Active() }

// Called reports whether the call was made, or is being made: what tells it
// from one that was cancelled.
func (c *DelayedCall) Called() bool { return c.called }

// Time returns when the call is, or was, to be made, on the clock of
// [Reactor.Now].
func (c *DelayedCall) Time() time.Duration { return c.timer.Deadline() }

// delayedEvents are what the loop tells a DelayedCall.
type delayedEvents DelayedCall

// Expire makes the call.
func (c *delayedEvents) Expire(*loop.Timer) {
	f := c.f
	c.f, c.called = nil, true
	f()
}

// DeferLater calls f once d has passed, and returns its result, a panic being
// the error [*PanicError]. Cancel of the future keeps f from being called.
// Goroutines as for [Reactor.CallLater]. (Twisted's deferLater.)
func DeferLater[T any](r *Reactor, d time.Duration, f func() (T, error)) *Future[T] {
	future := loop.NewFuture[T](r.loops[0])
	c := r.CallLater(d, func() { future.Complete(caught(f)) })
	future.OnCancel(func() { c.Cancel() })
	return future
}

package loop

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a LoopingCall.
var (
	// ErrLooping answers Start of a [LoopingCall] that has been started already.
	ErrLooping = errors.New("the looping call is running")

	// ErrNotLooping answers Stop and Reset of one that has not, or has ended.
	ErrNotLooping = errors.New("the looping call is not running")
)

// A LoopingCall calls a function again and again, on the loop's clock. Its
// calls keep to the slots of a schedule, start + n × interval, so that they do
// not drift: a call that is late, because the loop was busy or because the
// function took long, does not put off the next one, and slots that have passed
// meanwhile are skipped, not made up for; see [NewLoopingCallWithCount].
//
//	                    due                      returned
//	idle ─▶ waiting ───────────▶ calling ─────────────────────▶ waiting
//	Start      │                    │ returned an Awaitable        ▲
//	           │ Stop               ▼                              │
//	           │                 holding ──────────────────────────┘
//	           ▼                    │                 it is done
//	         idle ◀─────────────────┘ error, panic, or Stop meanwhile
//
// All methods are for the loop's goroutine. (Twisted's LoopingCall.)
type LoopingCall struct {
	l        *Loop
	f        func(count int) (Awaitable, error)
	interval time.Duration
	start    time.Duration // slot 0
	last     int64         // the slot of the latest call
	timer    Timer
	state    looping
	stopping bool // Stop was called while calling or holding
	done     *Future[struct{}]
}

type looping uint8

const (
	idle looping = iota
	waiting
	calling
	holding
)

// NewLoopingCall returns a looping call of f on l, to be started. An error of f
// ends it. Any goroutine.
func NewLoopingCall(l *Loop, f func() error) *LoopingCall {
	return newLoopingCall(l, func(int) (Awaitable, error) { return nil, f() })
}

// NewLoopingCallWithCount is [NewLoopingCall] for an f that is told how many
// slots have come since the call before: 1 if none was missed, never 0. (Twisted's
// LoopingCall.withCount.)
func NewLoopingCallWithCount(l *Loop, f func(count int) error) *LoopingCall {
	return newLoopingCall(l, func(count int) (Awaitable, error) { return nil, f(count) })
}

// NewLoopingCallAsync is [NewLoopingCallWithCount] for an f whose work goes on
// after it has returned: unless it returns nil, the next call waits until that
// is done, and then for its slot. An error of it ends the looping call.
func NewLoopingCallAsync(l *Loop, f func(count int) Awaitable) *LoopingCall {
	return newLoopingCall(l, func(count int) (Awaitable, error) { return f(count), nil })
}

func newLoopingCall(l *Loop, f func(int) (Awaitable, error)) *LoopingCall {
	c := &LoopingCall{l: l, f: f}
	c.timer.Func = c.call
	return c
}

// Start begins the schedule. The first call is made in the next turn if now is
// set, else once the interval has passed; never inside Start. An interval of 0
// is a call in every turn, a negative one an error. The future is completed
// when Stop has ended the calls, with nil, or when f has, with its error or a
// [*PanicError].
//
// Start may be called again after that. It returns [ErrLooping] before.
func (c *LoopingCall) Start(interval time.Duration, now bool) (*Future[struct{}], error) {
	c.l.check("Start of a LoopingCall")
	if interval < 0 {
		return nil, fmt.Errorf("a looping call's interval is %v, want 0 or more", interval)
	}
	if c.state != idle {
		return nil, ErrLooping
	}
	c.interval, c.start, c.last, c.stopping = interval, c.l.Now(), 0, false
	c.done = NewFuture[struct{}](c.l)
	first := interval
	if now {
		c.last, first = -1, 0
	}
	c.wait(first)
	return c.done, nil
}

// Running reports whether c was started and has not ended.
func (c *LoopingCall) Running() bool { return c.state != idle }

// Interval returns the interval of the latest Start.
func (c *LoopingCall) Interval() time.Duration { return c.interval }

// Stop ends the calls: at once, or when the call under way is done, including
// what it returned to be waited for. It returns [ErrNotLooping] if c is not
// running.
func (c *LoopingCall) Stop() error {
	switch c.state {
	case idle:
		return ErrNotLooping
	case waiting:
		c.timer.Stop()
		c.end(nil)
	default:
		c.stopping = true
	}
	return nil
}

// Reset begins the schedule anew: the next call is made one interval from now,
// or from the slots that follow if the one under way takes longer. It returns
// [ErrNotLooping] if c is not running.
func (c *LoopingCall) Reset() error {
	if c.state == idle {
		return ErrNotLooping
	}
	c.start, c.last = c.l.Now(), 0
	if c.state == waiting {
		c.wait(c.interval)
	}
	return nil
}

func (c *LoopingCall) wait(d time.Duration) {
	c.state = waiting
	c.l.Start(&c.timer, d)
}

// call makes one call.
func (c *LoopingCall) call() {
	c.state = calling
	slot := c.slot()
	count := max(1, int(slot-c.last))
	c.last = slot
	returned := false
	defer func() {
		if !returned { // the loop reports it
			c.unwound(recover())
		}
	}()
	later, err := c.f(count)
	returned = true
	if later == nil || err != nil {
		c.next(err)
		return
	}
	c.state = holding
	later.Finally(c.next)
}

// unwound ends c after a panic, which goes on, or a runtime.Goexit.
func (c *LoopingCall) unwound(value any) {
	if value == nil {
		c.end(ErrGoexit)
		return
	}
	c.end(&PanicError{Value: value})
	panic(value)
}

// slot returns the slot of the schedule that the present time is in. That is
// not the loop's Now, which stands still while a callback takes long.
func (c *LoopingCall) slot() int64 {
	if c.interval == 0 {
		return c.last + 1
	}
	return int64((c.l.b.Now() - c.start) / c.interval)
}

// next goes on after a call.
func (c *LoopingCall) next(err error) {
	switch {
	case err != nil || c.stopping:
		c.end(err)
	case c.interval == 0:
		c.wait(0)
	default:
		now := c.l.b.Now()
		c.wait(c.interval - (now-c.start)%c.interval + now - c.l.Now())
	}
}

func (c *LoopingCall) end(err error) {
	c.state = idle
	c.done.Complete(struct{}{}, err)
}

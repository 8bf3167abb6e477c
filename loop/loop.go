package loop

import (
	"log/slog"
	"sync/atomic"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// Options configure a [Loop]. The zero value is the default of every field.
type Options struct {
	// Name stands in what the loop reports.
	Name string

	// Calls is how many posted calls may wait for one turn; default 65,536.
	Calls int

	// Watchdog is how long one callback may run before it is reported as a
	// [Trouble] of kind [Slow]; it is noticed after at most 1.5 times that. 0
	// means that nobody watches.
	Watchdog time.Duration

	// StopTimeout is how long a stop waits for the operations of members that
	// were told to end; default 10 s. What is left then is [Abandoned].
	StopTimeout time.Duration

	// Report is told of panics, of slow callbacks and of whatever else cannot
	// be returned to anybody. It is called on the loop's goroutine, and for
	// [Slow] on another, and must not block. The default writes to slog.Default().
	Report func(Trouble)

	// OnStart, if not nil, runs on the loop's goroutine before the first turn,
	// and before the first one after each Pause.
	OnStart func()

	// OnStop, if not nil, is the loop's last callback: all members were told,
	// no operation is left, the backend is still open, and whatever needs a
	// further turn comes too late. It may block; the watchdog is gone.
	OnStop func()

	// Log is told, at level Debug, what begins and ends on the loop: ports and
	// connectors, and which factories they serve. Default: nobody.
	Log *slog.Logger
}

const (
	defaultCalls       = 65536
	defaultStopTimeout = 10 * time.Second

	// longestPoll bounds one wait, so that a timer of a thousand years is no
	// overflow in a backend. A turn in which nothing is due costs nothing.
	longestPoll = 24 * time.Hour
)

// A state is where a Loop is in its life.
//
//	                   parked
//	                    │  ▲ Pause
//	       Run, Iterate ▼  │   Shutdown
//	fresh ─────────────▶ running ─────▶ draining
//	  │                     │              │ no members left, time over,
//	  │               Stop, │ Goexit,      │ or as from running
//	  │               Close │ Poll's error ▼
//	  └────────────────────▶└──────────▶ stopping ──────────▶ stopped
//	     Close                                    all reaped
//
// What Stop, Shutdown and Close do to a parked loop they do as if it ran.
type state uint32

const (
	fresh state = iota
	parked
	running
	draining
	stopping
	stopped
)

// A Loop is one backend and what runs on its completions. Make one with [New].
type Loop struct {
	b proactor.Backend
	o Options

	state  atomic.Uint32 // a state; only the loop's goroutine moves it on, but for fresh → running
	want   atomic.Uint32 // a state asked for by any goroutine: draining or stopping
	grace  atomic.Int64  // how long a drain may take
	sleep  atomic.Uint32 // whether a nudge must wake the backend; see nudge
	goid   atomic.Uint64 // of the loop's goroutine, once it has one
	done   chan struct{} // closed when the loop has stopped
	inTurn bool
	hosted bool  // driven by Iterate: the loop has no goroutine of its own
	cause  error // why the loop stops; from stopping on
	result error // what Run returns
	broken bool  // the backend failed: nothing completes any more

	now     time.Duration // the time, unless stale
	stale   bool
	timeout time.Duration // of the poll under way

	pause    atomic.Bool   // a Pause was asked for
	unpark   chan struct{} // gets a value when a parked loop has something to look at
	isParked chan struct{} // gets a value when the loop's own goroutine parks: Run returns

	timers   heap
	due      time.Duration // timers phase: what is due
	dueSeq   uint64        // timers phase: what was armed before it began
	drainEnd Timer

	calls   calls
	flushes flushes
	members members
	dog     watchdog
	locals  map[any]any
}

// New returns a loop on b, which becomes the loop's: Run and Close close it.
func New(b proactor.Backend, o Options) *Loop {
	if o.Calls <= 0 {
		o.Calls = defaultCalls
	}
	if o.StopTimeout <= 0 {
		o.StopTimeout = defaultStopTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Loop{b: b, o: o, stale: true, done: make(chan struct{}), unpark: make(chan struct{}, 1), isParked: make(chan struct{}, 1)}
	l.calls.limit = o.Calls
	l.drainEnd.Func = l.Stop
	return l
}

// Name returns Options.Name. Any goroutine.
func (l *Loop) Name() string { return l.o.Name }

// Backend returns the loop's backend, for TryWrite, Token, Release and Stats.
func (l *Loop) Backend() proactor.Backend { return l.b }

// Sockets returns what makes, configures and closes the loop's handles.
func (l *Loop) Sockets() proactor.Sockets { return l.b }

// Submit starts op; see [proactor.Backend].
func (l *Loop) Submit(op *proactor.Op) {
	l.awake()
	l.b.Submit(op)
}

// WriteFrom is from how many bytes on TryWrite costs less than a Send; see
// [proactor.Backend].
func (l *Loop) WriteFrom() int { return l.b.WriteFrom() }

// TryWrite writes what the kernel takes now; see [proactor.Backend]. On the loop
// only while it keeps h's token and no Send is active.
func (l *Loop) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) { return l.b.TryWrite(h, bufs) }

// Cancel asks op to end; see [proactor.Backend].
func (l *Loop) Cancel(op *proactor.Op) { l.b.Cancel(op) }

// Resume takes a Cancel back; see [proactor.Backend].
func (l *Loop) Resume(op *proactor.Op) { l.b.Resume(op) }

// Hold keeps the bytes that op has lent; see [proactor.Backend].
func (l *Loop) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	return l.b.Hold(op, owner)
}

// Now returns the backend's monotonic time as it was when the phase under way
// began (for completions: when the first of them asked). Timers count from it.
func (l *Loop) Now() time.Duration {
	if l.stale {
		l.awake()
		l.now, l.stale = l.b.Now(), false
	}
	return l.now
}

// Done returns a channel that is closed once the loop has stopped: all members
// were told, and the backend runs no more of its operations. Any goroutine.
func (l *Loop) Done() <-chan struct{} { return l.done }

// Err returns nil while the loop takes new work, and then why it does not:
// [ErrStopped], [ErrGoexit] or the backend's error. Any goroutine.
func (l *Loop) Err() error {
	if state(l.state.Load()) < stopping {
		return nil
	}
	return l.cause
}

// OnGoroutine reports whether the caller runs on the loop's goroutine, or
// would be allowed to use the loop since it has none yet. Any goroutine. It
// costs about a microsecond: it is meant for checks.
func (l *Loop) OnGoroutine() bool {
	id := l.goid.Load()
	return id == 0 || id == goroutineID()
}

// Inside reports whether the caller runs on the loop's goroutine; never, as
// long as the loop has none. Any goroutine. It costs about a microsecond.
func (l *Loop) Inside() bool {
	id := l.goid.Load()
	return id != 0 && id == goroutineID()
}

// Log returns Options.Log, never nil. Any goroutine.
func (l *Loop) Log() *slog.Logger { return l.o.Log }

// Report hands t to Options.Report. Any goroutine.
func (l *Loop) Report(t Trouble) {
	t.Loop = l.o.Name
	defer func() {
		if v := recover(); v != nil { // a report must not take the loop down
			slog.Error("panic in a loop's Report", "loop", l.o.Name, "value", v, "trouble", t.String())
		}
	}()
	if l.o.Report != nil {
		l.o.Report(t)
		return
	}
	slog.Error(t.String(), "loop", l.o.Name, "stack", string(t.Stack))
}

// check panics, where checks are compiled in, if it is called from elsewhere
// than the loop's goroutine.
func (l *Loop) check(what string) {
	if invariant.Enabled {
		invariant.Assert(l.OnGoroutine(), "loop: %s from another goroutine than the loop's", what)
	}
}

package mobius

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"mobius/loop"
	"mobius/transport/descriptor"
)

// Errors of a Reactor.
var (
	// ErrRunning answers Run and Iterate of a reactor that runs already. (Twisted's
	// ReactorAlreadyRunning.)
	ErrRunning = errors.New("mobius: the reactor is running")

	// ErrNotRunning answers Stop and Crash of a reactor that does not run, or is
	// stopping already, and whatever needs a running reactor after a Crash.
	// (Twisted's ReactorNotRunning.)
	ErrNotRunning = errors.New("mobius: the reactor is not running")

	// ErrNotRestartable answers Run and Iterate of a reactor that was stopped or
	// closed: make a new one. (Twisted's ReactorNotRestartable.)
	ErrNotRestartable = errors.New("mobius: the reactor has been stopped, and cannot be run again")

	// ErrStopped answers what comes too late. It is the loops' own error.
	ErrStopped = loop.ErrStopped
)

// maxLoops bounds Options.Loops.
const maxLoops = 1024

// A Reactor is one or several loops and what runs on them. Make one with
// [New], listen and connect, then [Reactor.Run] it; or do so while it runs.
//
// Its methods may be called from any goroutine, unless they say otherwise.
// Before Run what they set up is set up one after the other, so that a factory
// that is started then must not wait for another goroutine that listens or
// connects; it may do so itself.
// Factories and protocols are called on the loops: a connection on one loop
// for its whole life ([Transport].Loop), a Factory from all of them if there
// are several.
type Reactor struct {
	loops   []*loop.Loop
	backend BackendInfo
	log     *slog.Logger
	dials   atomic.Uint32 // round robin
	stopped chan struct{} // closed when the reactor is over

	running  atomic.Bool   // Running
	draining atomic.Bool   // in a Shutdown loops may end one by one
	drains   chan struct{} // closed when a Shutdown's ports are to drain
	events   triggers
	threads  threads
	signals  hearing

	setup loop.Setup // for what uses the loops, or leaves fresh, before Run

	mu       sync.Mutex
	state    state
	ending   ending
	hosted   bool // driven by Iterate
	crashes  bool // a Crash was asked for
	dropped  bool // connections are being lost: the loops end
	ports    map[*Port]struct{}
	resolver Resolver

	descriptors *descriptor.Set // of the first loop

	drained func() // the first loop's: ends the wait for the ports of a Shutdown; or nil
}

// A state is where a Reactor is in its life.
//
//	       Run, Iterate        loops ended
//	fresh ─────────────▶ active ─────────▶ over
//	  │                  │    ▲             ▲
//	  │            Crash ▼    │ Run, Iterate│
//	  │                 crashed ────────────┤ Close
//	  └────────────────────Close────────────┘
type state uint8

const (
	fresh state = iota
	active
	crashed
	over
)

// An ending is how an active reactor was asked to end. It only grows.
type ending uint8

const (
	going    ending = iota
	graceful        // Shutdown: ports drain, clients flush
	stopping        // Stop: connections are lost once Before and Drain are over
	cut             // now: nothing is waited for
	aborted         // Crash meanwhile: now, and nobody is told but connections
)

// New opens the loops' backends and returns a reactor that does not run yet.
// A reactor that is never run must be closed.
func New(o Options) (*Reactor, error) {
	if o.Loops == 0 {
		o.Loops = 1
	}
	if o.Loops < 0 || o.Loops > maxLoops {
		return nil, fmt.Errorf("mobius: Options.Loops is %d, want 1 to %d", o.Loops, maxLoops)
	}
	if err := o.Signals.check(); err != nil {
		return nil, err
	}
	if err := checkThreads(o.Threads, 0); err != nil {
		return nil, err
	}
	log := o.Logger
	if log == nil {
		log = slog.Default()
	}
	backends, info, err := openAll(&o, log)
	if err != nil {
		return nil, fmt.Errorf("mobius: %w", err)
	}
	r := &Reactor{
		backend: info, log: log, stopped: make(chan struct{}), drains: make(chan struct{}), ports: map[*Port]struct{}{},
		resolver: SystemResolver{},
	}
	r.events = triggers{r: r, events: map[Event]*event{}}
	r.signals.want = o.Signals
	for i, b := range backends {
		each := loop.Options{
			Name: strconv.Itoa(i), Calls: o.Calls, Watchdog: o.Watchdog, StopTimeout: o.StopTimeout, Report: r.report, Log: log,
		}
		if i == 0 {
			each.OnStart, each.OnStop = r.onStart, r.onStop
		}
		r.loops = append(r.loops, loop.New(b, each))
	}
	r.descriptors = descriptor.NewSet(r.loops[0])
	r.threads.init(r.loops[0], o.Threads, o.Calls)
	return r, nil
}

// Backend tells which backend the reactor runs on, and why that one.
func (r *Reactor) Backend() BackendInfo { return r.backend }

// Loops returns the reactor's loops. The slice must not be changed.
func (r *Reactor) Loops() []*loop.Loop { return r.loops }

// Call makes the first loop run f soon. It returns [loop.ErrFull] if too many
// calls wait already, and [ErrStopped]; after nil f will run.
func (r *Reactor) Call(f func()) error { return r.loops[0].Call(f) }

// report logs what a loop can return to nobody.
func (r *Reactor) report(t loop.Trouble) {
	r.log.Error(t.String(), "loop", t.Loop, "stack", string(t.Stack))
}

// in reports whether r is in state s.
func (r *Reactor) in(s state) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == s
}

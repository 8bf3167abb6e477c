package mobius

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"mobius/loop"
)

// Errors of a Reactor.
var (
	// ErrRunning answers a second Run.
	ErrRunning = errors.New("mobius: the reactor has been run already")

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
	stopped chan struct{} // closed when the loops have ended

	draining atomic.Bool // in a Shutdown loops may end one by one

	setup loop.Setup // for what uses the loops, or leaves fresh, before Run

	mu       sync.Mutex
	state    state
	ports    map[*Port]struct{}
	resolver Resolver
}

// A state is where a Reactor is in its life.
//
//	       Run            loops ended
//	fresh ─────▶ running ─────────────▶ over
//	  └───────────────Close──────────────▲
type state uint8

const (
	fresh state = iota
	running
	over
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
	log := o.Logger
	if log == nil {
		log = slog.Default()
	}
	backends, info, err := openAll(&o, log)
	if err != nil {
		return nil, fmt.Errorf("mobius: %w", err)
	}
	r := &Reactor{backend: info, log: log, stopped: make(chan struct{}), ports: map[*Port]struct{}{}, resolver: SystemResolver{}}
	for i, b := range backends {
		r.loops = append(r.loops, loop.New(b, loop.Options{
			Name: strconv.Itoa(i), Calls: o.Calls, Watchdog: o.Watchdog, StopTimeout: o.StopTimeout, Report: r.report,
		}))
	}
	return r, nil
}

// Backend tells which backend the reactor runs on, and why that one.
func (r *Reactor) Backend() BackendInfo { return r.backend }

// Loops returns the reactor's loops. The slice must not be changed.
func (r *Reactor) Loops() []*loop.Loop { return r.loops }

// Call makes the first loop run f soon. It returns [loop.ErrFull] if too many
// calls wait already, and [ErrStopped]; after nil f will run.
func (r *Reactor) Call(f func()) error { return r.loops[0].Call(f) }

// Run runs the loops until Stop, the end of a Shutdown, the end of ctx, or a
// loop's failure, which ends the others too. Connections that are still there
// then are lost with [ErrStopped] as the cause. Only a failure is an error.
func (r *Reactor) Run(ctx context.Context) error {
	if !r.leave(fresh, running) {
		return ErrRunning
	}
	ends := make(chan error, len(r.loops))
	for _, l := range r.loops {
		go func() { ends <- l.Run() }()
	}
	if procs := runtime.GOMAXPROCS(0); procs < len(r.loops)+2 {
		r.log.Warn("GOMAXPROCS is below the number of loops + 2: loops may wait for a processor",
			"gomaxprocs", procs, "loops", len(r.loops))
	}
	defer close(r.stopped)
	defer r.leave(running, over)
	defer context.AfterFunc(ctx, r.Stop)()
	var failed error
	for range r.loops {
		err := <-ends
		failed = errors.Join(failed, err)
		if err != nil || !r.draining.Load() {
			r.Stop()
		}
	}
	return failed
}

// leave moves from one state to another, and reports whether r was in it. What
// is set up by another goroutine is finished before.
func (r *Reactor) leave(from, to state) (left bool) {
	r.setup.Do(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if left = r.state == from; left {
			r.state = to
		}
	})
	return left
}

// in reports whether r is in state s.
func (r *Reactor) in(s state) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == s
}

// Stop ends Run at once: every connection is lost with [ErrStopped] as the
// cause. It does not wait, may be called from callbacks, before Run, and again.
func (r *Reactor) Stop() {
	for _, l := range r.loops {
		l.Stop()
	}
}

// Shutdown ends Run in good order: ports stop listening and wait for their
// connections to end by themselves, then clients flush and close. If ctx ends
// first, the rest is aborted, and ctx's error returned. It must not be called
// on a loop's goroutine. A reactor that does not run yet is closed.
func (r *Reactor) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	now, ports := r.state, maps.Clone(r.ports)
	r.mu.Unlock()
	if now == fresh {
		return r.Close()
	}
	var drained sync.WaitGroup
	for p := range ports {
		drained.Go(func() { p.Shutdown(ctx) }) // what is wrong with it, the loops' ends will tell
	}
	drained.Wait()
	r.draining.Store(true)
	for _, l := range r.loops {
		l.Shutdown(longest)
	}
	select {
	case <-r.stopped:
		return ctx.Err()
	case <-ctx.Done():
		r.Stop()
		<-r.stopped
		return ctx.Err()
	}
}

// longest is a time that only ctx ends.
const longest = 1 << 62 * time.Nanosecond

// Close frees a reactor that was never run. After Run it does nothing.
func (r *Reactor) Close() error {
	if !r.leave(fresh, over) {
		return nil
	}
	defer close(r.stopped)
	var failed error
	for _, l := range r.loops {
		failed = errors.Join(failed, l.Close())
	}
	return failed
}

// report logs what a loop can return to nobody.
func (r *Reactor) report(t loop.Trouble) {
	r.log.Error(t.String(), "loop", t.Loop, "stack", string(t.Stack))
}

package mobius

import (
	"context"
	"errors"
	"runtime"

	"mobius/loop"
)

// Run runs the loops until Stop, the end of a Shutdown, the end of ctx, which
// is a Stop, or a loop's failure, which ends the others too. Connections that
// are still there then are lost with [ErrStopped] as the cause. Only a failure
// is an error.
//
// It begins with the event [Startup], on the first loop, and with its
// During phase the reactor is running. While a function of an earlier phase is
// waited for, the loops serve already.
//
// A second Run meanwhile returns [ErrRunning]; after the end it returns
// [ErrNotRestartable], but see [Reactor.Crash].
func (r *Reactor) Run(ctx context.Context) error {
	if err := r.begin(false); err != nil {
		return err
	}
	ends := make(chan error, len(r.loops))
	for _, l := range r.loops {
		go func() { ends <- l.Run() }()
	}
	if procs := runtime.GOMAXPROCS(0); r.backend.Affinity == OneThread && procs < len(r.loops)+2 {
		r.log.Warn("GOMAXPROCS is below the number of loops + 2: loops may wait for a processor",
			"gomaxprocs", procs, "loops", len(r.loops))
	}
	defer context.AfterFunc(ctx, func() { r.end(stopping) })()
	var failed error
	paused := 0
	for range r.loops {
		err := <-ends
		if errors.Is(err, loop.ErrPaused) {
			paused++
			continue
		}
		failed = errors.Join(failed, err)
		if err != nil || !r.draining.Load() {
			r.end(cut)
		}
	}
	if paused == len(r.loops) {
		r.ended(crashed)
		return nil
	}
	if paused > 0 { // a loop failed while a Crash was under way
		r.stopLoops()
		for _, l := range r.loops {
			<-l.Done()
		}
	}
	r.ended(over)
	return failed
}

// begin makes a reactor active, for Iterate if hosted is set. What is set up by
// another goroutine is finished before.
func (r *Reactor) begin(hosted bool) (err error) {
	if r.in(active) {
		return r.enter(hosted)
	}
	r.setup.Do(func() { err = r.enter(hosted) })
	return err
}

func (r *Reactor) enter(hosted bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.state == over:
		return ErrNotRestartable
	case r.state == active && hosted && r.hosted:
		return nil
	case r.state == active, r.state == crashed && r.hosted != hosted:
		return ErrRunning
	}
	r.state, r.hosted, r.crashes = active, hosted, false
	return nil
}

// ended notes that Run or Iterate has ended, in a state.
func (r *Reactor) ended(in state) {
	r.running.Store(false)
	r.signals.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state = in
	if in == over {
		close(r.stopped)
	}
}

// Running reports whether the reactor runs: from the During phase of [Startup]
// until that of [Shutdown], or until a Crash.
func (r *Reactor) Running() bool { return r.running.Load() }

// CallWhenRunning calls f on the first loop once the reactor is running, after
// the functions of Startup's During phase and in order with those of its After
// phase. If it is running already, f is called before CallWhenRunning returns
// if that is called on the first loop's goroutine, else soon, as by
// [Reactor.Call]; the error is Call's, or [ErrStopped].
func (r *Reactor) CallWhenRunning(f func()) error {
	r.mu.Lock()
	now := r.state
	if now == fresh || now == crashed {
		r.events.add(After, Startup, func() Awaitable { f(); return nil })
	}
	ended := now == over || r.dropped
	r.mu.Unlock()
	switch {
	case ended:
		return ErrStopped
	case now != active:
		return nil
	case !r.loops[0].Inside():
		return r.Call(func() { _ = r.CallWhenRunning(f) }) // an error means that it stops before it runs
	case !r.Running():
		_, err := r.AddSystemEventTrigger(After, Startup, f)
		return err
	}
	f()
	return nil
}

// onStart is the first loop's first act in a Run, and so is Startup.
func (r *Reactor) onStart() {
	r.events.reset()
	r.events.fire(Startup, func(e *event) bool {
		if e.phase != During {
			return true
		}
		if r.dropped {
			return false
		}
		r.running.Store(true)
		r.signals.start(r)
		r.threads.start()
		return true
	})
}

// onStop is the first loop's last act, and comes with the rest of Shutdown. If
// the loop has failed, that is all of it.
func (r *Reactor) onStop() {
	r.running.Store(false)
	defer r.threads.close()
	r.mu.Lock()
	silent := r.state != active || r.ending == aborted
	r.mu.Unlock()
	if silent {
		return
	}
	if !r.draining.Load() || !errors.Is(r.loops[0].Err(), ErrStopped) {
		r.end(cut)
		r.stopLoops()
	}
	for _, l := range r.loops[1:] {
		<-l.Done()
	}
	r.events.finish(Shutdown)
}

// Close frees a reactor that was never run, that a Crash has left, or that
// Iterate drives, on the goroutine that does so. Connections are lost, and no
// event happens. While Run runs it returns [ErrRunning]; afterwards it does
// nothing.
func (r *Reactor) Close() (failed error) {
	r.setup.Do(func() {
		r.mu.Lock()
		was, hosted := r.state, r.hosted
		if was != active || hosted {
			r.state = over
		}
		r.mu.Unlock()
		switch {
		case was == active && !hosted:
			failed = ErrRunning
		case was != over:
			failed = r.closeLoops()
			r.ended(over)
		}
	})
	return failed
}

func (r *Reactor) closeLoops() (failed error) {
	for _, l := range r.loops {
		failed = errors.Join(failed, l.Close())
	}
	return failed
}

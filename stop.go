package mobius

import (
	"context"
	"maps"
	"sync"
	"time"

	"mobius/loop"
)

// Stop ends Run: the event [Shutdown] begins in the next turn of the first
// loop. Once its phases Before and Drain are over, and what they wait for is
// done, every connection is lost with [ErrStopped] as the cause; then come its
// phases During and After, and Run returns. Stop does not wait for any of this.
//
// It returns [ErrNotRunning], and does nothing, if the reactor does not run
// yet, or not any more, or is stopping already: to end a Run that may not have
// begun, end its context. Stop cuts a Shutdown short.
func (r *Reactor) Stop() error {
	if !r.end(stopping) {
		return ErrNotRunning
	}
	return nil
}

// Shutdown ends Run in good order, and waits for it. The event [Shutdown]
// begins; in its Drain phase ports stop listening and wait for their
// connections to end by themselves; then clients flush and close. If ctx ends
// first, the rest is aborted, and ctx's error returned; so Shutdown has an end
// whatever the functions of Before wait for.
//
// On a loop's goroutine it would wait for itself: it returns [loop.ErrOnLoop].
// A reactor that does not run yet, or that a Crash has left, is closed.
func (r *Reactor) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	now := r.state
	r.mu.Unlock()
	if now == fresh || now == crashed {
		return r.Close()
	}
	if now == active && r.OnLoop() {
		return loop.ErrOnLoop
	}
	if r.end(graceful) {
		r.drainPorts(ctx)
	}
	select {
	case <-r.stopped:
	case <-ctx.Done():
		r.end(cut)
		<-r.stopped
	}
	return ctx.Err()
}

// drainPorts is a Shutdown's part of the phase Drain.
func (r *Reactor) drainPorts(ctx context.Context) {
	select {
	case <-r.drains:
	case <-r.stopped:
		return
	case <-ctx.Done():
		return
	}
	r.mu.Lock()
	ports := maps.Clone(r.ports)
	r.mu.Unlock()
	var drained sync.WaitGroup
	for p := range ports {
		drained.Go(func() { p.Shutdown(ctx) }) // what is wrong with it, the loops' ends will tell
	}
	drained.Wait()
	_ = r.loops[0].Insist(func() { r.drained() }) // an error means that nobody waits
}

// Crash ends Run after the turn under way, and nothing else: no event happens,
// and connections, ports and timers stay as they are, unattended. The reactor
// may be Run again, which begins with [Startup], and goes on; or is to be
// closed. Meanwhile the loops' threads wait, and Listen and Connect return
// [ErrNotRunning].
//
// Crash returns [ErrNotRunning] if the reactor does not run. While it is
// stopping, Crash ends that at once, without what is left of [Shutdown], and
// for good.
func (r *Reactor) Crash() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != active || r.crashes {
		return ErrNotRunning
	}
	r.crashes = true
	r.running.Store(false)
	if r.ending != going {
		r.ending = aborted
		r.stopLoops()
		return nil
	}
	for _, l := range r.loops {
		l.Pause()
	}
	return nil
}

// end asks an active reactor to end in a way, and reports whether it was not
// asked to already.
func (r *Reactor) end(how ending) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state != active || r.crashes || r.ending >= how {
		return false
	}
	r.ending = how
	if r.loops[0].Insist(r.shutdown) != nil || r.dropped && how > graceful {
		r.stopLoops()
	}
	return true
}

func (r *Reactor) stopLoops() {
	for _, l := range r.loops {
		l.Stop()
	}
}

// longest is a time that only a context ends.
const longest = 1 << 62 * time.Nanosecond

// shutdown does on the first loop what end has asked for.
func (r *Reactor) shutdown() {
	r.mu.Lock()
	how, late := r.ending, r.dropped
	r.mu.Unlock()
	if late || how == aborted {
		return
	}
	r.events.fire(Shutdown, r.enterShutdown)
	if how > graceful && r.drained != nil {
		r.drained()
	}
	if how == cut {
		r.events.cutShort(Shutdown)
	}
}

// enterShutdown does the reactor's own part of Shutdown before each phase.
// Phase During is left to onStop.
func (r *Reactor) enterShutdown(e *event) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.phase == Drain && r.ending == graceful:
		r.drained = r.events.hold(e)
		close(r.drains)
	case e.phase == During:
		r.running.Store(false)
		r.dropped = true
		if r.ending != graceful {
			r.stopLoops()
			return false
		}
		r.draining.Store(true)
		for _, l := range r.loops {
			l.Shutdown(longest)
		}
		return false
	}
	return true
}

package loop

import (
	"runtime"
	"time"

	"mobius/proactor"
)

// Run runs the loop on a new goroutine, which is locked to a thread of its own
// if the backend is a thread's (proactor.OneThread), and
// returns when it has stopped and its backend is closed: nil after Stop and
// Shutdown, [ErrGoexit], or the error of the backend. After a [Loop.Pause] it
// returns [ErrPaused], and may be called again. Any goroutine.
func (l *Loop) Run() error {
	switch {
	case l.state.CompareAndSwap(uint32(fresh), uint32(running)):
		go l.main()
	case state(l.state.Load()) == parked && !l.hosted && l.state.CompareAndSwap(uint32(parked), uint32(running)):
		l.kick()
	default:
		return l.notFresh()
	}
	select {
	case <-l.done:
		return l.result
	case <-l.isParked:
		return ErrPaused
	}
}

func (l *Loop) notFresh() error {
	if state(l.state.Load()) < stopping {
		return ErrRunning
	}
	return ErrStopped
}

// main is the loop's goroutine. A thread that owns the backend it never unlocks:
// the thread ends with it.
func (l *Loop) main() {
	if l.b.Affinity() == proactor.OneThread {
		runtime.LockOSThread()
	}
	l.goid.Store(goroutineID())
	defer close(l.done)
	defer l.finish(true) // also when a callback takes the goroutine away
	l.dog.start(l)
	l.once(Starts)
	for !l.over() {
		if l.paused() {
			l.park()
			continue
		}
		l.turn(-1)
	}
}

// Iterate runs one turn on the calling goroutine, which must always be the same,
// and locked to its thread if the backend is a thread's (proactor.OneThread): else
// a turn on another thread ends the loop with proactor.ErrWrongThread. The poll
// waits for limit at most; a negative one means for as long as nothing is due.
//
// Once the loop has to stop, Iterate stops it and returns [ErrStopped],
// [ErrGoexit] or the backend's error, now and ever after; then Close it. The
// turn in which a [Loop.Pause] was asked for returns [ErrPaused]; the next one
// goes on.
func (l *Loop) Iterate(limit time.Duration) error {
	if l.inTurn {
		return ErrRunning
	}
	normal := false
	defer func() {
		if !normal { // a Goexit is under way
			l.inTurn = false
			l.finish(false)
		}
	}()
	err := l.begin()
	if err == nil {
		l.turn(limit)
		switch {
		case l.over():
			l.finish(false)
			err = l.cause
		case l.paused():
			l.state.Store(uint32(parked))
			err = ErrPaused
		}
	}
	normal = true
	return err
}

// begin makes Iterate's goroutine the loop's, and an error if it may not turn.
func (l *Loop) begin() error {
	switch {
	case l.state.CompareAndSwap(uint32(fresh), uint32(running)):
		l.hosted = true
		l.goid.Store(goroutineID())
		l.dog.start(l)
		l.start()
	case l.hosted && l.state.CompareAndSwap(uint32(parked), uint32(running)):
		l.start()
	case state(l.state.Load()) == parked:
		return ErrRunning
	case state(l.state.Load()) >= stopping:
		return l.cause
	}
	return nil
}

// start runs OnStart.
func (l *Loop) start() {
	l.inTurn = true
	l.once(Starts)
	l.inTurn = false
}

// Stop asks the loop to stop after the turn under way: posted calls are run,
// every member fails with [ErrStopped], and operations are reaped. Any
// goroutine; a second Stop does nothing.
func (l *Loop) Stop() {
	l.want.Store(uint32(stopping))
	l.nudge()
	l.kick()
}

// Shutdown asks the loop to end in good order: every [Finisher] among the
// members is told to finish, and the loop stops once no member is left, or
// after limit. Any goroutine. Stop cuts it short; a second Shutdown does
// nothing.
func (l *Loop) Shutdown(limit time.Duration) {
	l.grace.CompareAndSwap(0, int64(max(limit, 1)))
	l.want.CompareAndSwap(0, uint32(draining))
	l.nudge()
	l.kick()
}

// Ending reports whether the loop stops, or was asked to: nothing should begin
// that is not needed to end something else. Any goroutine.
func (l *Loop) Ending() bool {
	return state(l.state.Load()) > running || state(l.want.Load()) > running
}

// wanted reports whether somebody asked for another state than the loop is in.
func (l *Loop) wanted() bool { return l.want.Load() > l.state.Load() }

// over acts on what Stop and Shutdown asked for, and reports whether the loop
// has to stop.
func (l *Loop) over() bool {
	if l.cause != nil || state(l.want.Load()) == stopping {
		return true
	}
	if state(l.want.Load()) != draining {
		return false
	}
	if state(l.state.Load()) == running {
		l.state.Store(uint32(draining))
		l.Start(&l.drainEnd, time.Duration(l.grace.Load()))
	}
	l.tell(finishAll)
	return l.drained() && !l.calls.pending() && !l.flushes.pending()
}

// drained reports whether a drain has nothing left to wait for: then there
// must be no wait, or the last member's leaving in a flush goes unnoticed.
func (l *Loop) drained() bool { return state(l.state.Load()) == draining && l.Members() == 0 }

// fail makes err the reason for which the loop stops, unless there is one.
func (l *Loop) fail(err error) {
	if l.cause == nil {
		l.cause = err
	}
	if l.result == nil {
		l.result = err
	}
}

// Close stops a loop that Run does not run, if Iterate has not stopped it, and
// closes its backend. It is called where Iterate was, or anywhere if the loop
// has never turned or if a Pause ended Run. It returns what went wrong: nil,
// [ErrGoexit], or the backend's error. Idempotent.
func (l *Loop) Close() error {
	select {
	case <-l.done:
		return l.result
	default:
	}
	if state(l.state.Load()) == parked && !l.hosted {
		l.Stop() // its own goroutine must do it
		<-l.done
		return l.result
	}
	if l.state.CompareAndSwap(uint32(fresh), uint32(running)) {
		l.goid.Store(goroutineID())
	} else if !l.Inside() && state(l.state.Load()) != stopped {
		return ErrRunning
	}
	if l.b.Affinity() == proactor.OneThread {
		runtime.LockOSThread() // the stop may poll
		defer runtime.UnlockOSThread()
	}
	defer close(l.done)
	l.finish(true)
	return l.result
}

// finish brings the loop to its end. It goes on after a runtime.Goexit, which
// its callbacks may call like any others.
func (l *Loop) finish(closing bool) {
	ended := false
	defer func() {
		if !ended {
			l.finish(closing)
		}
	}()
	if state(l.state.Load()) != stopped {
		l.stop()
	}
	if closing {
		if err := l.b.Close(); err != nil && l.result == nil {
			l.result = err
		}
	}
	ended = true
}

// stop runs the calls that were accepted, tells the members, and polls until
// their operations have ended. It may be entered again where a Goexit left it.
func (l *Loop) stop() {
	if l.cause == nil {
		l.cause = ErrStopped
	}
	l.state.Store(uint32(stopping))
	l.calls.close()
	l.run(Calls) // the rest of a batch that a Goexit cut short
	if l.calls.take() {
		l.run(Calls)
	}
	end := l.b.Now() + l.o.StopTimeout
	for {
		l.tell(failAll)
		l.flush() // what it ends need not be waited for
		left := end - l.b.Now()
		if !l.unreaped() || l.broken || left <= 0 {
			break
		}
		if l.flushes.pending() || l.members.live.head != nil {
			left = 0
		}
		l.poll(left)
	}
	if l.unreaped() {
		l.Report(Trouble{Kind: Abandoned, Phase: Stops, Value: l.b.Stats().Ops})
		l.tell(abandonAll)
	}
	l.flush()
	l.dog.stop()
	l.once(Ends)
	for range 2 { // what the last callbacks have completed is delivered
		l.flush()
	}
	l.state.Store(uint32(stopped))
}

func (l *Loop) unreaped() bool { return l.Members() > 0 || l.b.Stats().Ops > 0 }

package mobius

import (
	"errors"
	"fmt"
	"time"

	"mobius/loop"
)

// Iterate runs one turn of the reactor's loop on the calling goroutine, instead
// of Run: for programs that have a main loop of their own. What is due is
// served; if nothing is, it waits for limit at most, 0 being not at all and a
// negative limit for as long as it takes.
//
// The goroutine must always be the same, and is the loop's: everything is called
// on it. If the backend is a thread's ([Reactor.Backend] tells: [OneThread]), it
// must be locked to its thread (runtime.LockOSThread), or a turn on another one
// is [proactor.ErrWrongThread] and ends the reactor; on netpoll and on the
// simulator it need not be. The reactor must have one loop. The first Iterate
// begins with the event [Startup], as Run does.
//
// Once the reactor has stopped, Iterate frees it and returns [ErrStopped], or
// the failure; after that it returns [ErrNotRestartable]. After a Crash it
// returns [ErrNotRunning] once, and then begins anew. Inside a callback it
// returns [ErrRunning], as it does if Run drives the reactor. To end it without
// a Stop, [Reactor.Close] it.
func (r *Reactor) Iterate(limit time.Duration) error {
	if len(r.loops) != 1 {
		return fmt.Errorf("mobius: Iterate drives one loop, this reactor has %d: set Options.Loops to 1", len(r.loops))
	}
	if err := r.begin(true); err != nil {
		return err
	}
	l := r.loops[0]
	switch err := l.Iterate(limit); {
	case err == nil:
		return nil
	case errors.Is(err, loop.ErrRunning):
		return ErrRunning
	case errors.Is(err, loop.ErrPaused):
		r.ended(crashed)
		return ErrNotRunning
	default:
		if failed := l.Close(); failed != nil {
			err = failed
		}
		r.ended(over)
		return err
	}
}

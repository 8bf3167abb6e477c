package protocols

import (
	"time"

	"mobius"
)

// A Timeout ends a connection on which a protocol has waited too long for what
// it wants: unlike Options.IdleTimeout it is the protocol that says what counts.
// Embed it, call Watch in ConnectionMade, Reset when something has come, and
// SetTimeout(0) in ConnectionLost. (Twisted's TimeoutMixin.)
//
// Its methods are for the goroutine of the connection's loop.
type Timeout struct {
	// TimedOut is called when the time has passed. Default: LoseConnection.
	TimedOut func()

	t     mobius.Transport
	d     time.Duration
	timer mobius.Timer
}

// Watch begins with a timeout of d for t's connection; 0 means none yet.
func (w *Timeout) Watch(t mobius.Transport, d time.Duration) {
	w.t = t
	w.timer.Func = w.expire
	w.SetTimeout(d)
}

// SetTimeout sets the timeout, counted from now, and returns the one before; 0
// means none. Without a Watch before it does nothing.
func (w *Timeout) SetTimeout(d time.Duration) (before time.Duration) {
	if w.t == nil {
		return 0
	}
	before, w.d = w.d, max(d, 0)
	if w.d == 0 {
		w.timer.Stop()
	} else {
		w.t.Loop().Start(&w.timer, w.d)
	}
	return before
}

// Reset counts the timeout from now again. Without one it does nothing.
func (w *Timeout) Reset() { w.timer.Reset(w.d) }

func (w *Timeout) expire() {
	w.d = 0
	if w.TimedOut != nil {
		w.TimedOut()
		return
	}
	w.t.LoseConnection()
}

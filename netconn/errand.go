package netconn

import (
	"os"

	"mobius/proactor"
)

// An errand is what the goroutine that writes has the loop do: the rest of its
// write, that is, or to wait until one is possible.
type errand struct {
	side
	stage stage
	abort bool // it is to end early
	n     int  // sent: how much went
	err   error
}

// A stage is where an errand is.
//
//	none ──socket full──▶ wanted ──loop──▶ sending ──completion──▶ sent ──▶ none
//	                        └──────abort, loop is over──────────────▲
type stage uint8

const (
	none    stage = iota // the goroutines write themselves
	wanted               // the loop is asked to
	sending              // it does
	sent                 // n and err say how it went
)

// run has the loop run it, and waits until it has ended: early if the
// connection does, or at the deadline. mu is held, but not meanwhile.
func (e *errand) run(s *socket) (int, error) {
	e.stage, e.abort = wanted, false
	e.mu.Unlock()
	s.post()
	e.mu.Lock()
	for e.stage != sent {
		if !e.abort && (s.closing() != nil || e.deadline.over()) {
			e.abort = true
			e.mu.Unlock()
			s.post()
			e.mu.Lock()
			continue
		}
		e.await()
	}
	e.stage = none
	if e.err == nil {
		return e.n, nil
	}
	// Where both ends are the reactor's, its stop resets this one, too: the
	// stop is what is told.
	if over := s.closing(); over != nil {
		return e.n, over
	}
	if e.err == proactor.ErrCanceled {
		return e.n, os.ErrDeadlineExceeded
	}
	return e.n, e.err
}

// end notes how it went. mu is held.
func (e *errand) end(n int, err error) { e.stage, e.n, e.err = sent, n, err }

// take reports whether the loop is to begin it, and whether it is to end what it
// has begun. If it is wanted, and may not begin any more, it ends. Loop goroutine.
func (e *errand) take(mayBegin func() bool) (begin, cancel bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stage == wanted {
		if begin = !e.abort && mayBegin(); begin {
			e.stage = sending
		} else {
			e.refuse()
		}
	}
	return begin, !begin && e.stage == sending && e.abort
}

// refuse ends one that nobody will begin. mu is held.
func (e *errand) refuse() {
	if e.stage == wanted {
		e.end(0, proactor.ErrCanceled)
		e.w.wake()
	}
}

// lose ends one whose operation will never complete.
func (e *errand) lose() {
	e.mu.Lock()
	if e.stage == sending {
		e.end(0, proactor.ErrCanceled)
	}
	e.mu.Unlock()
}

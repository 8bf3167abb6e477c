package ready

import (
	"sync"
	"sync/atomic"
)

// A waker wakes a Selector at most once per sleep: while the loop is awake a
// wake-up is one atomic swap.
//
//	          before Wait            Wake: tell the selector
//	awake ──────────────▶ asleep ─────────────────────────▶ woken
//	  ▲ │                   │ Wait has returned               │
//	  │ │ Wake              ▼                                 │
//	  │ └─────────────▶   awake ◀─────────────────────────────┘
type waker struct {
	selector Selector
	state    atomic.Uint32
	mu       sync.Mutex // held while the selector is told, and closed
	closed   bool
}

const (
	awake = iota
	asleep
	woken
)

// wake is Backend.Wake.
func (w *waker) wake() {
	if w.state.Load() == woken || w.state.Swap(woken) != asleep {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.selector.Wake()
	}
}

// sleep is called before a Wait that may wait. It returns false if there was a
// wake-up since the last one: then there is to be no waiting.
func (w *waker) sleep() bool { return w.state.CompareAndSwap(awake, asleep) }

// rise is called after a Wait, and reports whether there has been a wake-up.
func (w *waker) rise() bool { return w.state.Swap(awake) == woken }

// close ends wake-ups. One that is under way has told the selector when close
// returns, so that it does not write to a descriptor that is somebody else's
// by then.
func (w *waker) close() error {
	w.state.Store(awake)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	return w.selector.Close()
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A waker brings a loop out of its wait from any goroutine, by an eventfd in a
// multishot poll. Only the first Wake of a loop that sleeps costs a write(2).
//
//	                Wake                    the next wait returns early
//	running ──────────────────▶ woken ───────────────────────────────▶ running
//	   │ ▲                        ▲
//	   ▼ │ the wait is over       │ Wake, with a write
//	sleeping ─────────────────────┘                    closed: for good
//
// The eventfd is never read: a poll reports each write.
type waker struct {
	fd      int
	state   atomic.Uint32
	writers atomic.Int32 // goroutines that may write to fd: close waits for them
}

const (
	running uint32 = iota
	sleeping
	woken
	closed
)

func (w *waker) open() (err error) {
	w.fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	return err
}

// wake is for any goroutine.
func (w *waker) wake() {
	for {
		switch w.state.Load() {
		case running:
			if w.state.CompareAndSwap(running, woken) {
				return
			}
		case sleeping:
			w.writers.Add(1)
			won := w.state.CompareAndSwap(sleeping, woken)
			if won {
				_, _ = unix.Write(w.fd, one[:])
			}
			w.writers.Add(-1)
			if won {
				return
			}
		default:
			return
		}
	}
}

// sleep announces a wait. It reports false, and uses up the wake, if the loop
// was woken since the last one.
func (w *waker) sleep() bool {
	if w.state.CompareAndSwap(running, sleeping) {
		return true
	}
	w.state.CompareAndSwap(woken, running)
	return false
}

// slept ends a wait that sleep announced, and reports whether a wake ended it.
func (w *waker) slept() bool {
	return !w.state.CompareAndSwap(sleeping, running) && w.state.CompareAndSwap(woken, running)
}

// close makes every later wake do nothing, and waits for those under way,
// since the number of the eventfd may be somebody else's the moment it is closed.
func (w *waker) close() {
	if w.state.Swap(closed) == closed {
		return
	}
	for w.writers.Load() != 0 {
		runtime.Gosched()
	}
	_ = unix.Close(w.fd)
}

// one is what is added to an eventfd; never written.
var one = [8]byte{1}

package netconn

import (
	"sync"
	"time"
)

// A side is what one direction of a connection waits by.
type side struct {
	mu       sync.Mutex // guards the rest, and what stands beside a side; held for a few instructions, or a short copy
	w        waiter
	deadline deadline
}

func (d *side) init() {
	d.w.init()
	d.deadline.mu, d.deadline.missed = &d.mu, d.w.wake
}

// await waits until something has changed. mu is held, but not meanwhile.
func (d *side) await() {
	d.w.waiting = true
	d.deadline.arm()
	d.mu.Unlock()
	d.w.wait()
	d.mu.Lock()
}

// awaitTurn is await by a goroutine that a loop's turn will wake, most likely.
func (d *side) awaitTurn(k *waking) {
	d.w.bell = k.seat()
	d.await()
}

// interrupt makes whoever waits look at the state, for the last time.
func (d *side) interrupt() {
	d.mu.Lock()
	d.deadline.stop()
	d.w.wake()
	d.mu.Unlock()
}

// setDeadline sets the deadline of a connection that is not over.
func (d *side) setDeadline(s *socket, t time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := s.closing(); err != nil {
		return err
	}
	d.deadline.set(t, d.w.waiting)
	return nil
}

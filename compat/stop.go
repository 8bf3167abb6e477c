package compat

import (
	"time"

	"mobius/loop"
	"mobius/transport"
)

// How an engine ends: every so often it looks whether what was written is sent.
// Once it is, peers that do not end their side have that long to do so.
const (
	lookAgain  = 5 * time.Millisecond
	lastWait   = 250 * time.Millisecond
	stopWithin = 30 * time.Second
)

// shutdown begins the end. Any goroutine.
func (e *engine) shutdown() {
	if !e.stopping.CompareAndSwap(false, true) {
		return
	}
	for _, el := range e.loops {
		if el.l.Insist(el.drain) != nil { // it has stopped
			e.drained()
		}
	}
}

// drain closes what is on the loop, ports first.
func (el *eventLoop) drain() {
	if el == el.e.loops[0] {
		el.e.tick.Stop()
	}
	for _, n := range el.e.listeners {
		n.stop(el)
	}
	for _, s := range el.sockets {
		s.port.StopListening()
	}
	el.sockets = nil
	el.draining, el.since = true, el.l.Now()
	for c := el.head; c != nil; {
		next := c.next
		c.lose()
		c = next
	}
	el.l.Start(&el.timer, 0)
}

// Expire looks whether the loop has drained.
func (el *eventLoop) Expire(*loop.Timer) {
	over := el.l.Now() - el.since
	if el.head == nil || over >= stopWithin || over >= lastWait && !el.sending() {
		el.e.drained()
		return
	}
	el.l.Start(&el.timer, lookAgain)
}

func (el *eventLoop) sending() bool {
	for c := el.head; c != nil; c = c.next {
		if q, ok := transport.As[transport.Queuer](c.t); ok && q.Queued() > 0 {
			return true
		}
	}
	return false
}

// drained counts a loop less. After the last one the reactor ends.
func (e *engine) drained() {
	if e.draining.Add(-1) == 0 {
		_ = e.r.Stop() // an error means that it stops already
	}
}

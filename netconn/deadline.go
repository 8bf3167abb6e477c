package netconn

import (
	"sync"
	"time"
)

// A deadline is one of a connection's. The mutex that guards it is its
// owner's. Its timer is armed only while a goroutine waits, and is not touched
// when a deadline moves further away: it looks again when it fires. So a
// deadline that is set anew for each Read costs no timer.
type deadline struct {
	mu     *sync.Mutex
	missed func() // wakes who waits; mu is held
	at     time.Time
	passed bool
	timer  *time.Timer
	armed  time.Time // when the timer fires; zero if it is not armed
}

// set sets the deadline; the zero time means none. mu is held.
func (d *deadline) set(t time.Time, waiting bool) {
	d.at, d.passed = t, false
	if t.IsZero() {
		return
	}
	if !t.After(time.Now()) {
		d.passed = true
		d.missed()
	} else if waiting {
		d.arm()
	}
}

// over reports whether the deadline has passed. mu is held.
func (d *deadline) over() bool {
	if !d.passed && !d.at.IsZero() && !d.at.After(time.Now()) {
		d.passed = true
	}
	return d.passed
}

// arm makes the timer fire no later than at the deadline, if there is one. mu
// is held.
func (d *deadline) arm() {
	if d.at.IsZero() || d.passed || !d.armed.IsZero() && !d.armed.After(d.at) {
		return
	}
	d.armed = d.at
	if d.timer == nil {
		d.timer = time.AfterFunc(time.Until(d.at), d.fire)
		return
	}
	d.timer.Reset(time.Until(d.at))
}

func (d *deadline) fire() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.armed = time.Time{}
	if d.over() {
		d.missed()
	} else {
		d.arm()
	}
}

// stop ends the timer for good. mu is held.
func (d *deadline) stop() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}

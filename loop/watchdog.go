package loop

import (
	"sync"
	"sync/atomic"
	"time"
)

// watchdog notices a callback that does not return. Twice in each limit an
// alarm on another goroutine looks whether the loop has moved on; if not, it
// wakes it, which makes a loop move on that only waits. A loop that stood
// still for two such intervals is in a callback for at least the limit.
type watchdog struct {
	l     *Loop
	limit time.Duration
	beats atomic.Uint64 // grows with every callback the loop begins

	mu    sync.Mutex // what follows is the alarm's
	stopf func()
	ended bool
	last  uint64
	still int
}

// interval is the time between two alarms.
func (w *watchdog) interval() time.Duration { return max(w.limit/2, time.Millisecond) }

func (w *watchdog) start(l *Loop) {
	if l.o.Watchdog <= 0 {
		return
	}
	w.l, w.limit = l, l.o.Watchdog
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopf = l.b.Alarm(w.interval(), w.look)
}

// stop ends the watch. An alarm under way finds that it has ended.
func (w *watchdog) stop() {
	if w.l == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.ended = true
		w.stopf()
	}
}

// beat says that the loop begins something new.
func (w *watchdog) beat() {
	if w.l != nil {
		w.beats.Add(1)
	}
}

// look is the alarm.
func (w *watchdog) look() {
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		return
	}
	w.stopf = w.l.b.Alarm(w.interval(), w.look)
	now := w.beats.Load()
	if now != w.last || state(w.l.state.Load()) == parked {
		w.last, w.still = now, 0
	}
	w.still++
	slow := w.still == 3 // two whole intervals after a wake-up without an answer
	w.mu.Unlock()
	if slow {
		w.l.Report(Trouble{Kind: Slow, Value: w.limit, Stack: stackOf(w.l.goid.Load())})
		return
	}
	w.l.b.Wake()
}

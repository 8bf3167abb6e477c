package netconn

import (
	"sync"
	"sync/atomic"

	"mobius/loop"
	"mobius/proactor"
)

// A waiter is where one goroutine waits. Its owner's mutex guards waiting;
// whoever clears it, and nobody else, wakes the goroutine, once.
type waiter struct {
	ch      chan struct{}
	bell    proactor.Bell // what is waited for in ch's place, if anything is
	waiting bool
	next    *waiter // in a waking
}

func (w *waiter) init() { w.ch = make(chan struct{}, 1) }

// wake lets the goroutine go on, if one waits. The owner's mutex is held.
func (w *waiter) wake() {
	if w.waiting {
		w.waiting = false
		w.signal()
	}
}

// disarm ends waiting, for whoever waits for something else as well. mu, the
// owner's, is held; disarm unlocks it.
func (w *waiter) disarm(mu *sync.Mutex) {
	woken := !w.waiting
	w.waiting = false
	mu.Unlock()
	if woken {
		<-w.ch // by the end of the turn
	}
}

// signal is by whoever has cleared waiting.
func (w *waiter) signal() {
	if w.bell != nil {
		w.bell.Ring()
		return
	}
	w.ch <- struct{}{}
}

// wait is the goroutine's, which has set waiting, and let go of the mutex.
func (w *waiter) wait() {
	if w.bell == nil {
		<-w.ch
		return
	}
	w.bell.Wait()
	w.bell = nil
}

// A waking is who is to be woken at the end of a loop's turn: all that the
// turn has something for, at once, since a woken goroutine may start a thread,
// which is better done once than in between.
//
// Where turns wake one goroutine each, that is dear: a thread is started every time, and
// finds nothing. The backend may have a bell for it, for one goroutine at a time.
type waking struct {
	l          *loop.Loop
	flush      loop.Flush
	head, tail *waiter
	bell       proactor.Bell // nil if the backend has none
	single     atomic.Bool   // the last turn that woke anybody woke one
}

type wakingKey struct{}

// wakingOf returns that of l. Loop goroutine.
func wakingOf(l *loop.Loop) *waking {
	return l.Local(wakingKey{}, func() any {
		k := &waking{l: l}
		k.flush.Owner = k
		if r, ok := l.Backend().(proactor.Ringer); ok {
			k.bell = r.Bell()
		}
		return k
	}).(*waking)
}

// seat returns the bell if the caller is to wait for it, else nil. Any goroutine.
func (k *waking) seat() proactor.Bell {
	if k.bell == nil || !k.single.Load() || !k.bell.Take() {
		return nil
	}
	return k.bell
}

// later wakes w at the end of the turn, if a goroutine waits. The owner's
// mutex is held, on the loop's goroutine.
func (k *waking) later(w *waiter) {
	if !w.waiting {
		return
	}
	w.waiting = false
	if k.tail == nil {
		k.head = w
		k.l.AtTurnEnd(&k.flush)
	} else {
		k.tail.next = w
	}
	k.tail = w
}

// Flush wakes them. A waiter may be in use again as soon as it is woken.
func (k *waking) Flush() {
	w := k.head
	k.head, k.tail = nil, nil
	k.single.Store(w.next == nil)
	for w != nil {
		next := w.next
		w.next = nil
		w.signal()
		w = next
	}
}

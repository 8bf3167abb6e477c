package loop

import (
	"sync"
	"sync/atomic"
)

// A Setup lets one goroutine at a time use loops that have not turned yet,
// which until then belong to nobody. The goroutine that is inside may enter
// again, since what it calls there may call back: a factory that is started
// may connect to something. The zero value is ready for use.
type Setup struct {
	mu     sync.Mutex
	inside atomic.Uint64 // the number of the goroutine that holds mu, or 0
}

// Do runs f while no other goroutine runs another one. Any goroutine.
func (s *Setup) Do(f func()) {
	id := goroutineID()
	if s.inside.Load() == id {
		f()
		return
	}
	s.mu.Lock()
	s.inside.Store(id)
	defer s.leave() // also when f panics
	f()
}

func (s *Setup) leave() {
	s.inside.Store(0)
	s.mu.Unlock()
}

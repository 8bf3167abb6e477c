package stress

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"mobius/internal/testenv"
	"mobius/loop"
)

// 64 goroutines post 100,000 calls each, to a loop that sleeps and wakes: each
// goroutine's run in their order, none is lost, and not every one wakes the loop.
func TestManyCalls(t *testing.T) {
	each(t, func(s *site) {
		const posters = 64
		n := s.amount(100_000)
		var last [posters]int
		var wrong, ran atomic.Int64
		woken := uint64(0)
		stats := func() (n uint64) {
			s.ask(func() { n = s.Loops()[0].Backend().Stats().Woken })
			return n
		}
		woken = stats()
		var all sync.WaitGroup
		for p := range posters {
			all.Go(func() {
				for i := range n {
					f := func() {
						if last[p] != i {
							wrong.Add(1)
						}
						last[p]++
						ran.Add(1)
					}
					if err := s.Call(f); errors.Is(err, loop.ErrFull) { // not so fast
						testenv.Becomes(patience(), func() bool { err = s.Call(f); return !errors.Is(err, loop.ErrFull) })
					} else if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		testenv.Eventually(s, patience(), "all have run", func() bool { return ran.Load() == int64(posters*n) })
		if wrong.Load() > 0 {
			s.Errorf("%d calls ran out of order", wrong.Load())
		}
		woken = stats() - woken
		s.Logf("%d calls, %d wake-ups", posters*n, woken)
		if woken > uint64(posters*n) {
			s.Errorf("%d wake-ups for %d calls", woken, posters*n)
		}
	})
}

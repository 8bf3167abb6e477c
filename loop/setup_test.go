package loop

import (
	"runtime"
	"sync"
	"testing"
)

// Do runs one function at a time, nested ones at once, and is free again after
// a panic and a Goexit.
func TestSetup(t *testing.T) {
	var s Setup
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		s.Do(func() { panic("in a setup") })
	}()
	n := 0
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				s.Do(func() {
					before := n
					s.Do(func() { n++ })
					if n != before+1 {
						t.Errorf("%d became %d inside one Do", before, n)
					}
				})
			}
			s.Do(runtime.Goexit)
		})
	}
	all.Wait()
	if n != 800 {
		t.Errorf("%d of 800 were run", n)
	}
}

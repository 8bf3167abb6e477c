package sys

import (
	"runtime"
	"testing"
	"time"
)

// A Yielder lets others run, but not each time.
func TestYielder(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var y Yielder
	ran := make(chan struct{})
	go close(ran)
	for end := time.Now().Add(5 * time.Second); ; y.Yield() {
		select {
		case <-ran:
		default:
			if time.Now().Before(end) {
				continue
			}
			t.Fatal("nobody else runs")
		}
		break
	}
	for range 1000 {
		before := y.at
		if y.Yield(); y.at != before && y.at.Sub(before) < yieldEvery {
			t.Fatalf("it yields again after %v, want %v", y.at.Sub(before), yieldEvery)
		}
	}
}

//go:build linux

package sys

import (
	"runtime"
	"testing"
	"time"
)

// A spinning plays a loop: each of its waits is preceded by so much work, and by more
// if it has slept.
type spinning struct {
	Spinner
	work        uint64
	asked       int
	awake, cold time.Duration // processor time of a wait's work: always, and after a sleep
	hits        bool
}

// round is one wait, and what is done after it. It reports whether the loop looked.
func (s *spinning) round() bool {
	before := s.asked
	found := s.Spin(-1, s.work, 1, func() bool { s.asked++; return s.hits })
	s.work += Work(1, 100)
	for start, d := ThreadTime(), s.awake; ThreadTime()-start < d; {
		if !found {
			d = s.awake + s.cold
		}
	}
	return s.asked > before
}

// looks counts the waits of n before which it looked.
func (s *spinning) looks(n int) (k int) {
	for range n {
		if s.round() {
			k++
		}
	}
	return k
}

// It looks where that saves processor time, goes on with it, and measures again now
// and then.
func TestSpinWhereItPays(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &spinning{awake: 2 * time.Microsecond, cold: 10 * time.Microsecond, hits: true}
	if k := s.looks(spinSpan); k != 0 {
		t.Errorf("it looked %d times before it has measured", k)
	}
	if k := s.looks(10 * spinSpan); k < 9*spinSpan {
		t.Errorf("of %d times it looked %d, though it pays", 10*spinSpan, k)
	}
	if k := s.looks(holdSpans * spinSpan); k > holdSpans*spinSpan-spinSpan || k < holdSpans*spinSpan*9/10 {
		t.Errorf("of %d times it looked %d: it does not measure again, or too much", holdSpans*spinSpan, k)
	}
}

// It does not where it costs more, though there is always something.
func TestSpinWhereItCosts(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &spinning{awake: 10 * time.Microsecond, cold: -8 * time.Microsecond, hits: true}
	s.looks(2*spinSpan + 2)
	if k := s.looks(20 * spinSpan); k > 6*spinSpan {
		t.Errorf("of %d times it looked %d, though it costs five times as much", 20*spinSpan, k)
	}
	s.looks(200 * spinSpan)
	if k := s.looks(holdSpans * spinSpan); k > 2*spinSpan+2 {
		t.Errorf("of %d times it looks %d even after a long time", holdSpans*spinSpan, k)
	}
}

// A margin lets it be dearer by so much, and no more.
func TestSpinMargin(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for margin, want := range map[float64]bool{0: false, 3: true, 1.3: false} {
		s := &spinning{awake: 20 * time.Microsecond, cold: -10 * time.Microsecond, hits: true} // twice as dear
		s.Margin = margin
		s.looks(2*spinSpan + 2)
		if k := s.looks(4 * spinSpan); (k > 3*spinSpan) != want {
			t.Errorf("with a margin of %v it looked %d times of %d", margin, k, 4*spinSpan)
		}
	}
}

// What was measured on two threads tells nothing, and is not gone by.
func TestSpinThatRoams(t *testing.T) {
	s := &spinning{awake: 2 * time.Microsecond, cold: 10 * time.Microsecond, hits: true}
	s.Roams = true
	looks, oldest := 0, time.Duration(0)
	for range 6 { // threads, each for a part of a span, and each older than those before
		elsewhere(func() {
			for ThreadTime() < oldest+5*time.Millisecond {
			}
			looks += s.looks(spinSpan * 2 / 3)
			oldest = ThreadTime()
		})
	}
	if looks > 0 {
		t.Errorf("it looked %d times, though each thread had but a part of the measuring", looks)
	}
	elsewhere(func() { looks = s.looks(4*restSpans*spinSpan + 4*spinSpan) })
	if looks == 0 {
		t.Error("on one thread again, it does not look")
	}
}

// elsewhere runs f on a thread of its own.
func elsewhere(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		f()
	}()
	<-done
}

// Where nothing comes it gives up at once, and looks for no longer than it says.
func TestSpinInVain(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	s := &spinning{awake: time.Microsecond}
	if k := s.looks(spinSpan * (2 + restSpans)); k > spinSpan/2 {
		t.Errorf("it looked %d times in vain", k)
	}
	s = &spinning{awake: 2 * time.Microsecond, cold: 10 * time.Microsecond, hits: true}
	s.looks(3 * spinSpan)
	s.hits = false
	if k := s.looks(3 * spinSpan); k > spinSpan+spinSpan/2 {
		t.Errorf("it looked %d times in vain, once that had paid", k)
	}
}

func TestSpinAsToldTo(t *testing.T) {
	s := &spinning{hits: true}
	s.Fixed = -1
	if k := s.looks(1000 * spinSpan); k != 0 {
		t.Errorf("it looked %d times, which it never shall", k)
	}
	s.Fixed, s.hits = time.Millisecond, false
	if s.Spin(time.Millisecond/2, 0, 1, func() bool { return true }) {
		t.Error("it looks for longer than the wait may last")
	}
	start := time.Now()
	for range 3 {
		if !s.round() {
			t.Error("it did not look, which it always shall")
		}
	}
	if d := time.Since(start); d < 3*time.Millisecond {
		t.Errorf("it looked for %v, want 3 ms", d)
	}
}

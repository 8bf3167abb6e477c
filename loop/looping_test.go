package loop

import (
	"errors"
	"reflect"
	"testing"
	"time"
)

// pass lets d pass on the fake clock, turning when timers are due.
func pass(t *testing.T, l *Loop, d time.Duration) {
	t.Helper()
	over := false
	l.Start(&Timer{Func: func() { over = true }}, d)
	for !over {
		turn(t, l)
	}
}

// Calls keep to their slots however long they take, and are told how many
// slots have come.
func TestLoopingCallDoesNotDrift(t *testing.T) {
	l, f := setup(t, Options{})
	var at []time.Duration
	var counts []int
	took := []time.Duration{0, 300, 1000, 2500, 0, 0}
	c := NewLoopingCallWithCount(l, func(count int) error {
		at, counts = append(at, f.clock), append(counts, count)
		f.clock += took[len(at)-1]
		return nil
	})
	if _, err := c.Start(1000, true); err != nil {
		t.Fatal(err)
	}
	if len(at) != 0 {
		t.Fatal("called inside Start")
	}
	for len(at) < len(took) {
		turn(t, l)
	}
	if want := []time.Duration{0, 1000, 2000, 4000, 7000, 8000}; !reflect.DeepEqual(at, want) {
		t.Errorf("called at %v, want %v", at, want)
	}
	if want := []int{1, 1, 1, 2, 3, 1}; !reflect.DeepEqual(counts, want) {
		t.Errorf("counts %v, want %v", counts, want)
	}
	if err := c.Stop(); err != nil || c.Running() || c.Stop() != ErrNotLooping || c.Reset() != ErrNotLooping {
		t.Error("Stop, Running, Reset")
	}
}

// Whatever the lengths of the calls, the counts add up to the slots that have
// passed, and no call is in the slot of another.
func TestLoopingCallCounts(t *testing.T) {
	for _, now := range []bool{false, true} {
		l, f := setup(t, Options{})
		sum, calls := 0, 0
		c := NewLoopingCallWithCount(l, func(count int) error {
			sum += count
			calls++
			f.clock += time.Duration(calls * 7919 % 40)
			return nil
		})
		if _, err := c.Start(10, now); err != nil {
			t.Fatal(err)
		}
		for calls < 1000 {
			turn(t, l)
		}
		last := int(c.last) // the slot of the last call
		if now {
			last++
		}
		if sum != last {
			t.Errorf("now=%v: counts add up to %d in %d slots", now, sum, last)
		}
	}
}

func TestLoopingCallEnds(t *testing.T) {
	oh := errors.New("oh")
	for name, test := range map[string]struct {
		f    func(c *LoopingCall) error
		want error
	}{
		"Stop inside":  {func(c *LoopingCall) error { return c.Stop() }, nil},
		"an error":     {func(*LoopingCall) error { return oh }, oh},
		"a panic":      {func(*LoopingCall) error { panic(oh) }, oh},
		"Stop + error": {func(c *LoopingCall) error { c.Stop(); return oh }, oh},
	} {
		var reports troubles
		l, _ := setup(t, Options{Report: reports.report})
		n := 0
		var c *LoopingCall
		c = NewLoopingCall(l, func() error { n++; return test.f(c) })
		for range 2 { // it can be started again
			done, err := c.Start(1000, false)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if _, err := c.Start(1000, false); err != ErrLooping {
				t.Errorf("%s: second Start: %v", name, err)
			}
			pass(t, l, 5000)
			select {
			case <-done.Done():
			default:
				t.Fatalf("%s: it goes on", name)
			}
			if _, err := done.Wait(t.Context()); !errors.Is(err, test.want) || (err == nil) != (test.want == nil) {
				t.Errorf("%s: the future has %v, want %v", name, err, test.want)
			}
		}
		if panics := len(reports.list()); n != 2 || (panics == 2) != (name == "a panic") {
			t.Errorf("%s: called %d times, want 2, with %d reports", name, n, panics)
		}
	}
}

// What a call returns is waited for, and the call after it comes at its slot.
func TestLoopingCallWaits(t *testing.T) {
	l, f := setup(t, Options{})
	var at []time.Duration
	var held *Future[int]
	c := NewLoopingCallAsync(l, func(int) Awaitable {
		at = append(at, f.clock)
		held = NewFuture[int](l)
		return held
	})
	done, err := c.Start(1000, false)
	if err != nil {
		t.Fatal(err)
	}
	pass(t, l, 3500)
	if len(at) != 1 {
		t.Fatalf("called at %v while the first was held", at)
	}
	held.Complete(1, nil)
	pass(t, l, 600)
	if want := []time.Duration{1000, 4000}; !reflect.DeepEqual(at, want) {
		t.Errorf("called at %v, want %v", at, want)
	}
	if err := c.Stop(); err != nil || !c.Running() {
		t.Errorf("Stop while held: %v", err)
	}
	held.Complete(1, nil)
	pass(t, l, 5000)
	if _, err := done.Wait(t.Context()); err != nil || len(at) != 2 {
		t.Errorf("after Stop: %v, called at %v", err, at)
	}
}

func TestLoopingCallResetAndBounds(t *testing.T) {
	l, f := setup(t, Options{})
	var at []time.Duration
	c := NewLoopingCall(l, func() error { at = append(at, f.clock); return nil })
	if _, err := c.Start(-1, true); err == nil || c.Running() {
		t.Error("a negative interval was taken")
	}
	if _, err := c.Start(1000, false); err != nil {
		t.Fatal(err)
	}
	pass(t, l, 600)
	if err := c.Reset(); err != nil {
		t.Fatal(err)
	}
	pass(t, l, 2000)
	if want := []time.Duration{1600, 2600}; !reflect.DeepEqual(at, want) {
		t.Errorf("called at %v, want %v", at, want)
	}
	c.Stop()
	at = nil
	if _, err := c.Start(0, true); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		turn(t, l)
	}
	if len(at) != 5 {
		t.Errorf("called %d times in 5 turns with interval 0", len(at))
	}
}

// A looping call allocates nothing once it runs.
func TestLoopingCallAllocatesNothing(t *testing.T) {
	uncheckedOnly(t)
	l, f := setup(t, Options{})
	c := NewLoopingCall(l, func() error { return nil })
	if _, err := c.Start(1000, false); err != nil {
		t.Fatal(err)
	}
	f.waits = make([]time.Duration, 0, 1<<16)
	if n := testing.AllocsPerRun(1000, func() { l.Iterate(-1) }); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

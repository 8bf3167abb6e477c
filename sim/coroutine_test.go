package sim

import (
	"runtime"
	"testing"

	"mobius/internal/testenv"
)

func TestCoroutine(t *testing.T) {
	testenv.Leaks(t)
	n := 0
	c := newCoroutine(func(yield func() bool) {
		for yield() {
			n++
		}
		n = -n
		if yield() { // there is no more turn
			t.Error("it goes on after its end")
		}
	})
	for i := range 4 {
		if !c.next() || n != i {
			t.Errorf("after %d turns: %d", i, n)
		}
	}
	c.stop()
	c.stop()
	if c.next() || n != -3 {
		t.Errorf("after the end: %d", n)
	}
	never := newCoroutine(func(func() bool) { t.Error("it has begun") })
	never.stop()
	if never.next() {
		t.Error("it goes on")
	}
	once := newCoroutine(func(func() bool) { n = 7 })
	for range 2 {
		if once.next() || n != 7 {
			t.Errorf("it yields, which it does not; %d", n)
		}
	}
}

func TestPanicOfACoroutine(t *testing.T) {
	c := newCoroutine(func(yield func() bool) {
		yield()
		panic("boom")
	})
	c.next()
	func() {
		defer func() {
			if v := recover(); v != "boom" {
				t.Errorf("recovered %v", v)
			}
		}()
		c.next()
	}()
	if c.next() {
		t.Error("it goes on")
	}
}

// A coroutine runs for a goroutine that is locked to its thread as for any other.
func TestCoroutineOfAnyThread(t *testing.T) {
	n := 0
	c := newCoroutine(func(yield func() bool) {
		for yield() {
			n++
		}
	})
	c.next()
	runtime.LockOSThread()
	c.next()
	runtime.UnlockOSThread()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		c.next()
	}()
	<-done
	c.stop()
	if n != 2 {
		t.Errorf("%d turns", n)
	}
}

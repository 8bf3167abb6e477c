//go:build linux

package epoll

import (
	"runtime"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// belled returns the bell of a backend of its own.
func belled(t *testing.T) (*bell, proactor.Backend) {
	t.Helper()
	testenv.Leaks(t)
	was := runtime.GOMAXPROCS(max(2, runtime.GOMAXPROCS(0)))
	t.Cleanup(func() { runtime.GOMAXPROCS(was) })
	b, err := OpenParked(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.(proactor.Ringer).Bell().(*bell), b
}

// within fails t if f has not returned after testenv's patience.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(testenv.Patience()):
		t.Fatal(what)
	}
}

// A bell is rung at every moment around the wait, and ends one wait each time.
func TestBellIsNotMissed(t *testing.T) {
	b, _ := belled(t)
	const rounds = 5000
	taken, back := make(chan struct{}), make(chan struct{})
	go func() {
		for i := range rounds {
			<-taken
			for range i % 50 {
				runtime.Gosched()
			}
			b.Ring()
			<-back
		}
	}()
	within(t, "a ring was missed", func() {
		for range rounds {
			for !b.Take() { // it rests when the machine was busy
				b.rest.Store(0)
			}
			taken <- struct{}{}
			b.Wait()
			if b.rung.Load() {
				t.Error("the ring is still to be heard")
			}
			back <- struct{}{}
		}
	})
}

// Nobody takes it while somebody waits, and the next one hears nothing of the ring
// that ended that.
func TestBellHasOneWaiter(t *testing.T) {
	b, _ := belled(t)
	if !b.Take() {
		t.Fatal("nobody has it, and it cannot be taken")
	}
	if b.Take() {
		t.Error("taken twice")
	}
	b.Ring()
	within(t, "a ring before the wait is lost", b.Wait)
	b.rest.Store(0)
	if !b.Take() {
		t.Fatal("it was not given back")
	}
	ended := make(chan struct{})
	go func() { defer close(ended); b.Wait() }()
	select {
	case <-ended:
		t.Error("a wait without a ring has ended")
	case <-time.After(5 * time.Millisecond):
	}
	b.Ring()
	within(t, "not rung", func() { <-ended })
}

// One that is heard late is not taken for a time: there is no P that looks.
func TestBellRests(t *testing.T) {
	b, _ := belled(t)
	if !b.Take() {
		t.Fatal("not taken")
	}
	b.Ring()
	b.at.Add(-int64(time.Hour))
	within(t, "not rung", b.Wait)
	if b.Take() {
		t.Error("heard an hour late, and taken again")
	}
	b.rest.Store(b.now())
	if !b.Take() {
		t.Error("it has rested, and is not taken")
	}
}

// With one P nobody else is ever woken, so that there is nothing to save.
func TestBellOfOneP(t *testing.T) {
	_, _ = belled(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b, err := newBell()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if b.Take() {
		t.Error("taken")
	}
}

// The backend's end ends a wait. Afterwards its number is somebody else's, and not
// written to.
func TestBellEndsWithItsBackend(t *testing.T) {
	b, backend := belled(t)
	if !b.Take() {
		t.Fatal("not taken")
	}
	ended := make(chan struct{})
	go func() { defer close(ended); b.Wait() }()
	if err := backend.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "the backend is closed, and somebody waits for its bell", func() { <-ended })
	if err := b.conn.Control(func(uintptr) { t.Error("a closed bell gives its number away") }); err == nil {
		t.Error("a closed bell has a number")
	}
	b.Ring()
}

func BenchmarkBell(b *testing.B) {
	bell, err := newBell()
	if err != nil {
		b.Fatal(err)
	}
	defer bell.close()
	b.ReportAllocs()
	for b.Loop() {
		bell.rest.Store(0)
		bell.Take()
		bell.Ring()
		bell.Wait()
	}
}

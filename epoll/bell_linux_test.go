//go:build linux

package epoll

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// belled returns the bell of a backend of its own, which so many Ps share.
func belled(t *testing.T, procs int, o Options) (*bell, proactor.Backend) {
	t.Helper()
	testenv.Leaks(t)
	was := runtime.GOMAXPROCS(procs)
	t.Cleanup(func() { runtime.GOMAXPROCS(was) })
	b, err := OpenParked(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b.(proactor.Ringer).Bell().(*bell), b
}

// bothBells runs f with a bell of one P, and of two: with one and the other way to
// wait, and to look before that.
func bothBells(t *testing.T, f func(t *testing.T, b *bell, backend proactor.Backend)) {
	for _, procs := range []int{1, 2} {
		for _, spin := range []time.Duration{-1, 0, time.Millisecond} {
			t.Run(fmt.Sprintf("%d Ps, looking for %v", procs, spin), func(t *testing.T) {
				b, backend := belled(t, procs, Options{Spin: spin})
				if (b.ch != nil) != (procs == 1) {
					t.Errorf("a bell of %d Ps waits for a channel: %v", procs, b.ch != nil)
				}
				f(t, b, backend)
			})
		}
	}
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
func TestBellIsNotMissed(t *testing.T) { bothBells(t, bellIsNotMissed) }

func bellIsNotMissed(t *testing.T, b *bell, _ proactor.Backend) {
	const rounds = 2000
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
func TestBellHasOneWaiter(t *testing.T) { bothBells(t, bellHasOneWaiter) }

func bellHasOneWaiter(t *testing.T, b *bell, _ proactor.Backend) {
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
	b, _ := belled(t, 2, Options{})
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

// The backend's end ends a wait. Afterwards its number is somebody else's, and not
// written to.
func TestBellEndsWithItsBackend(t *testing.T) { bothBells(t, bellEndsWithItsBackend) }

func bellEndsWithItsBackend(t *testing.T, b *bell, backend proactor.Backend) {
	if !b.Take() {
		t.Fatal("not taken")
	}
	ended := make(chan struct{})
	go func() { defer close(ended); b.Wait() }()
	if err := backend.Close(); err != nil {
		t.Fatal(err)
	}
	within(t, "the backend is closed, and somebody waits for its bell", func() { <-ended })
	if b.conn != nil && b.conn.Control(func(uintptr) { t.Error("a closed bell gives its number away") }) == nil {
		t.Error("a closed bell has a number")
	}
	b.Ring()
	if !b.lookOnce() {
		t.Error("who looks does not see that it has been rung")
	}
}

// Whoever waits for the bell looks for events of the loop, and leaves them to it.
func TestBellLooks(t *testing.T) {
	bothBells(t, func(t *testing.T, b *bell, backend proactor.Backend) {
		if b.lookOnce() {
			t.Error("nothing has happened, and it is seen")
		}
		var fds [2]int
		if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fds[1])
		in, err := backend.Adopt(fds[0])
		if err != nil {
			t.Fatal(err)
		}
		recv := &result{Op: proactor.Op{Kind: proactor.OpRecv, Handle: in}}
		recv.Owner = recv
		backend.Submit(&recv.Op)
		for range 2 { // watches, and takes the edges of what is ready already
			if err := backend.Poll(0); err != nil {
				t.Fatal(err)
			}
		}
		if b.lookOnce() {
			t.Error("the events have been taken, and are seen")
		}
		if _, err := unix.Write(fds[1], []byte("x")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if !b.lookOnce() {
				t.Error("an event of the loop is not seen, or seen once only")
			}
		}
		if err := backend.Poll(0); err != nil {
			t.Fatal(err)
		}
		if b.lookOnce() {
			t.Error("the loop has taken the event, and it is seen")
		}
		if !b.Take() {
			t.Fatal("not taken")
		}
		b.Ring()
		if !b.lookOnce() {
			t.Error("it has been rung, and somebody looks on")
		}
		within(t, "not rung", b.Wait)
		backend.Close()
		if !b.lookOnce() {
			t.Error("the backend is closed, and somebody looks on")
		}
	})
}

// One that is told to looks for so long before it waits.
func TestBellLooksForSoLong(t *testing.T) {
	b, _ := belled(t, 2, Options{Spin: 3 * time.Millisecond})
	if !b.Take() {
		t.Fatal("not taken")
	}
	looks := 0
	b.look = func() bool {
		if looks++; looks == 1 {
			time.AfterFunc(time.Millisecond, b.Ring)
		}
		return b.rung.Load()
	}
	within(t, "not rung", b.Wait)
	if looks < 2 {
		t.Errorf("it looked %d times within a millisecond", looks)
	}
}

func BenchmarkBell(b *testing.B) {
	backend, err := OpenParked(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer backend.Close()
	bell := backend.(proactor.Ringer).Bell().(*bell)
	b.ReportAllocs()
	for b.Loop() {
		bell.rest.Store(0)
		bell.Take()
		bell.Ring()
		bell.Wait()
	}
}

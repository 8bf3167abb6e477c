//go:build linux

package epoll

import (
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/ready"
	"mobius/internal/testenv"
	"mobius/proactor"
)

// parkedWith returns a parked selector that watches an eventfd, each write to
// which is an edge, and that eventfd.
func parkedWith(t *testing.T) (*parked, int) {
	t.Helper()
	testenv.Leaks(t)
	s, err := newParked()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fd)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Add(proactor.MakeHandle(uint32(fd), 1)); err != nil {
		t.Fatal(err)
	}
	return s, fd
}

// take waits until there is an event, and fails t after testenv's patience.
func take(t *testing.T, s *parked, timeout time.Duration) {
	t.Helper()
	events := make([]ready.Event, 4)
	for end := time.Now().Add(testenv.Patience()); time.Now().Before(end); {
		n, err := s.Wait(events, timeout)
		if err != nil {
			t.Fatalf("Wait: %v", err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("no event")
}

// TestParkedSeesEachEdge has an edge come at every moment around the park.
func TestParkedSeesEachEdge(t *testing.T) {
	s, fd := parkedWith(t)
	take(t, s, time.Second) // that it is writable
	const rounds = 2000
	one := make([]byte, 8)
	one[1] = 1
	taken := make(chan struct{})
	go func() {
		for i := range rounds {
			for range i % 7 {
				runtime.Gosched()
			}
			unix.Write(fd, one)
			<-taken
		}
	}()
	for i := range rounds {
		timeout := time.Duration(-1)
		if i%3 == 0 {
			timeout = time.Minute
		}
		take(t, s, timeout)
		taken <- struct{}{}
	}
}

// TestParkedWakeIsNotLost wakes at every moment around the park, with and
// without a timeout.
func TestParkedWakeIsNotLost(t *testing.T) {
	s, _ := parkedWith(t)
	take(t, s, time.Second)
	events := make([]ready.Event, 4)
	const rounds = 5000
	next, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		for i := range rounds {
			<-next
			for range i % 5 {
				runtime.Gosched()
			}
			s.Wake()
		}
	}()
	for i := range rounds {
		next <- struct{}{}
		timeout := time.Duration(-1) // without the Wake it would wait for ever
		if i%2 == 0 {
			timeout = time.Hour
		}
		if _, err := s.Wait(events, timeout); err != nil {
			t.Fatalf("Wait %d: %v", i, err)
		}
		s.Wait(events, 0)
	}
	<-over
}

// TestParkedKeepsTimeouts: a wait is never much shorter than asked for twice
// in a row, a later timeout follows an earlier one, and a Wake spoils neither.
func TestParkedKeepsTimeouts(t *testing.T) {
	s, _ := parkedWith(t)
	take(t, s, time.Second)
	events := make([]ready.Event, 4)
	for i, timeout := range []time.Duration{20, 5, 40, 1, 30, 10} {
		if i%2 == 1 {
			s.Wake()
		}
		start, want := time.Now(), timeout*time.Millisecond
		waits := 0
		for left := want; left > 0; left = want - time.Since(start) {
			if n, err := s.Wait(events, left); n != 0 || err != nil {
				t.Fatalf("Wait %d: %d events, %v", i, n, err)
			}
			waits++
		}
		if waits > 4 { // a Wake, its deadline, an earlier deadline, and its own
			t.Errorf("a timeout of %v took %d waits", want, waits)
		}
	}
}

// TestParkedYieldsWhenBusy: a goroutine runs although the loop, on the only
// processor, never has to park.
func TestParkedYieldsWhenBusy(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s, _ := parkedWith(t)
	events := make([]ready.Event, 4)
	ran := make(chan struct{})
	go close(ran)
	start, turns := time.Now(), 0
	for ; ; turns++ {
		if _, err := s.Wait(events, 0); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ran:
			if turns > 10 { // the collector's workers and each 61st choice of the scheduler come in between
				t.Fatalf("it ran after %d turns and %v", turns, time.Since(start))
			}
			return
		default:
		}
	}
}

// TestParkedAllocatesNothing: neither a wait with an event nor one that
// is woken allocates.
func TestParkedAllocatesNothing(t *testing.T) {
	s, fd := parkedWith(t)
	take(t, s, time.Second)
	events := make([]ready.Event, 4)
	one := make([]byte, 8)
	one[1] = 1
	allocs := testing.AllocsPerRun(200, func() {
		unix.Write(fd, one)
		if n, err := s.Wait(events, time.Minute); n != 1 || err != nil {
			t.Fatalf("%d events, %v", n, err)
		}
		s.Wake()
		if n, err := s.Wait(events, time.Hour); n != 0 || err != nil {
			t.Fatalf("%d events, %v", n, err)
		}
		s.Wait(events, time.Nanosecond)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}

// TestParkedAfterClose: a Wait that meets a closed selector is an error.
func TestParkedAfterClose(t *testing.T) {
	s, err := newParked()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Wait(make([]ready.Event, 1), -1); err == nil {
		t.Error("no error")
	}
	if err := s.Close(); err != os.ErrClosed && err == nil {
		t.Error("a second Close has closed something")
	}
}

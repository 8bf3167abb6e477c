//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package signals

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

func raise(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

func get[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// warm starts os/signal's own goroutine, which stays.
func warm() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGUSR2)
	signal.Stop(c)
}

// Several hear the same signal, and one that has stopped does not.
func TestNotify(t *testing.T) {
	warm()
	testenv.Leaks(t)
	a, b := make(chan Signal, 10), make(chan Signal, 10)
	stopA := Notify(func(s Signal) { a <- s }, syscall.SIGUSR1)
	stopB := Notify(func(s Signal) { b <- s }, syscall.SIGUSR1, syscall.SIGUSR2)
	raise(t, syscall.SIGUSR1)
	if x, y := get(t, a), get(t, b); x != syscall.SIGUSR1 || y != syscall.SIGUSR1 {
		t.Errorf("heard %v and %v", x, y)
	}
	stopA()
	raise(t, syscall.SIGUSR1)
	raise(t, syscall.SIGUSR2)
	if x, y := get(t, b), get(t, b); x == y {
		t.Errorf("heard %v twice", x)
	}
	stopB()
	if len(a) != 0 {
		t.Errorf("heard %v after stop", <-a)
	}
	Notify(func(s Signal) { t.Errorf("heard %v, asked for none", s) })()
}

// An interrupt that is ignored stays so.
func TestIgnoredInterrupt(t *testing.T) {
	warm()
	signal.Ignore(os.Interrupt)
	defer signal.Reset(os.Interrupt)
	heard := make(chan Signal, 10)
	defer Notify(func(s Signal) { heard <- s }, append(Stopping(), syscall.SIGUSR1)...)()
	raise(t, syscall.SIGINT)
	raise(t, syscall.SIGTERM)
	raise(t, syscall.SIGUSR1)
	for range 2 {
		if s := get(t, heard); s == os.Interrupt {
			t.Errorf("heard %v", s)
		}
	}
}

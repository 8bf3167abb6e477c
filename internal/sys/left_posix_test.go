//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// reaped waits until there is no process pid, not even a zombie.
func reaped(t *testing.T, pid int) {
	t.Helper()
	testenv.Eventually(t, 10*time.Second, "no zombie is left", func() bool { return unix.Kill(pid, 0) == unix.ESRCH })
}

// A child whose handle is closed lives on, and leaves no zombie, whether it ends
// before that or after.
func TestChildrenThatAreLeftLeaveNoZombies(t *testing.T) {
	testenv.Leaks(t)
	s := open(t)
	sleep := proactor.Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exec sleep 1000"}, Env: []string{"PATH=/usr/bin:/bin"}}
	for name, early := range map[string]bool{"it ends before": true, "it ends after": false} {
		t.Run(name, func(t *testing.T) {
			h, _, err := s.Spawn(&sleep)
			if err != nil {
				t.Fatal(err)
			}
			pid, err := s.ProcessID(h)
			if err != nil {
				t.Fatal(err)
			}
			if early {
				kill(t, pid)
			}
			if err := s.CloseFD(h); err != nil {
				t.Fatal(err)
			}
			if !early {
				kill(t, pid) // it lives
			}
			reaped(t, pid)
		})
	}
	t.Run("without a descriptor to wait by", func(t *testing.T) {
		h, _, err := s.Spawn(&sleep)
		if err != nil {
			t.Fatal(err)
		}
		c := s.Lookup(h).child
		over := make(chan struct{})
		go func() {
			defer close(over)
			c.block()
			c.block() // there is nobody to wait for any more
		}()
		kill(t, c.pid)
		<-over
		reaped(t, c.pid)
		if err := s.CloseFD(h); err != nil {
			t.Fatal(err)
		}
	})
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// stale leaves a socket file at path that nobody listens at.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
}

// Of many that start at once at one path, stale or free, exactly one listens,
// and its file is the one that is there.
func TestStartersDoNotReplaceEachOther(t *testing.T) {
	const starters, rounds = 16, 100
	path := filepath.Join(t.TempDir(), "s")
	address := proactor.UnixAddress(path)
	for round := range rounds {
		if round%2 == 0 {
			stale(t, path)
		}
		gate := make(chan struct{})
		var all sync.WaitGroup
		var listening atomic.Int32
		var each [starters]*Sockets
		for i := range each {
			each[i] = open(t)
			all.Go(func() {
				<-gate
				_, _, err := each[i].Listen(address, nil)
				switch err {
				case nil:
					listening.Add(1)
				case unix.EADDRINUSE:
				default:
					t.Errorf("Listen: %v", err)
				}
			})
		}
		close(gate)
		all.Wait()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Errorf("round %d: nobody answers: %v", round, err)
		} else {
			c.Close()
		}
		if n := listening.Load(); n != 1 {
			t.Fatalf("round %d: %d of %d listen at %s, want one", round, n, starters, path)
		}
		for _, s := range each {
			s.CloseAll()
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			t.Fatalf("round %d: the listener has ended, and its file is there: %v", round, err)
		}
	}
}

// Starters that come and go: there is never more than one, and whoever
// listens is reached.
func TestStartersThatComeAndGo(t *testing.T) {
	const starters, turns = 8, 200
	address := proactor.UnixAddress(filepath.Join(t.TempDir(), "s"))
	var all sync.WaitGroup
	var live atomic.Int32
	for range starters {
		s := open(t)
		all.Go(func() {
			for range turns {
				h, _, err := s.Listen(address, nil)
				if err == unix.EADDRINUSE {
					continue
				}
				if err != nil {
					t.Errorf("Listen: %v", err)
					return
				}
				if n := live.Add(1); n != 1 {
					t.Errorf("%d listen at once", n)
				}
				if c, err := net.Dial("unix", address.String()); err != nil {
					t.Errorf("the listener is not reached: %v", err)
				} else {
					c.Close()
				}
				live.Add(-1)
				if err := s.CloseFD(h); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// A stale file in a directory that somebody else has locked stays where it is;
// a free name there can be used.
func TestLockedDirectory(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockDirectory(filepath.Join(dir, "any"))
	if err != nil || lock == noLock {
		t.Fatalf("no lock: %v", err)
	}
	s := open(t)
	path := filepath.Join(dir, "s")
	stale(t, path)
	if _, _, err := s.Listen(proactor.UnixAddress(path), nil); err != unix.EADDRINUSE {
		t.Errorf("Listen at a stale file: %v", err)
	}
	listen(t, s, proactor.UnixAddress(filepath.Join(dir, "free")), nil)
	lock.release()
	listen(t, s, proactor.UnixAddress(path), nil)
}

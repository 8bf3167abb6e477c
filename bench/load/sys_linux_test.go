//go:build linux

package load

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
)

// A connection is waited for, however often a signal interrupts the waiting:
// Go's scheduler sends some by itself.
func TestDialThroughSignals(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			testenv.Leaks(t)
			spec := &Spec{Network: network, Patience: 20 * time.Second}
			l := fullListener(t, spec)
			tid, done := make(chan int), make(chan error)
			go func() {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				tid <- unix.Gettid()
				fd, err := dial(spec, unix.SOCK_STREAM)
				if err == nil {
					err = unix.Close(fd)
				}
				done <- err
			}()
			waiting, tick := <-tid, time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for sent := 0; ; {
				select {
				case err := <-done:
					if err != nil || sent < 50 {
						t.Fatalf("after %d signals: %v, want a connection after 50", sent, err)
					}
					return
				case <-tick.C:
					if err := unix.Tgkill(unix.Getpid(), waiting, unix.SIGURG); err != nil {
						t.Fatal(err)
					}
				}
				if sent++; sent == 50 {
					accept(t, l)
				}
			}
		})
	}
}

// fullListener listens where spec says then, with no room for one more
// connection.
func fullListener(t *testing.T, spec *Spec) int {
	t.Helper()
	var family int
	var at unix.Sockaddr = &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}
	if family = unix.AF_INET; spec.Network == "unix" {
		family, at = unix.AF_UNIX, &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")}
	}
	l, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(l) })
	if err := unix.Bind(l, at); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(l, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(l)
	if err != nil {
		t.Fatal(err)
	}
	switch a := name.(type) {
	case *unix.SockaddrInet4:
		spec.Address = fmt.Sprintf("127.0.0.1:%d", a.Port)
	case *unix.SockaddrUnix:
		spec.Address = a.Name
	}
	first, err := dial(spec, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(first) })
	return l
}

// accept makes room for one.
func accept(t *testing.T, l int) {
	t.Helper()
	var fd int
	if err := testenv.Again(func() (err error) { fd, _, err = unix.Accept4(l, unix.SOCK_CLOEXEC); return err }); err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
}

// Who is never accepted is told so, in words.
func TestDialThatIsNotAccepted(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		spec := &Spec{Network: network, Patience: 50 * time.Millisecond}
		fullListener(t, spec)
		fd, err := dial(spec, unix.SOCK_STREAM)
		if err == nil {
			unix.Close(fd)
		}
		if err == nil || err.Error() != "it was not accepted in time" {
			t.Errorf("%s: %v", network, err)
		}
	}
}

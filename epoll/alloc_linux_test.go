//go:build linux

package epoll

import (
	"bytes"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/proactor"
)

// A pump is a peer on this thread: it writes to one descriptor, and reads
// from another what comes back, without blocking.
type pump struct {
	t       *testing.T
	in, out int
	msg     []byte
	buf     []byte
}

// dial returns a connection that takes part in no runtime poller.
func dial(t *testing.T, bound proactor.Address) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	to := &unix.SockaddrInet4{Port: int(bound.Port()), Addr: [4]byte{127, 0, 0, 1}}
	if err := testenv.Again(func() error { return unix.Connect(fd, to) }); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		t.Fatal(err)
	}
	return fd
}

// round sends the message and polls until it has come back.
func (p *pump) round(b proactor.Backend) {
	sent := 0
	for got := 0; got < len(p.msg); {
		if sent < len(p.msg) {
			if n, err := unix.Write(p.in, p.msg[sent:]); err == nil {
				sent += n
			}
		}
		if err := b.Poll(1e6); err != nil {
			p.t.Fatal(err)
		}
		n, err := unix.Read(p.out, p.buf)
		if err == nil && n > 0 {
			if !bytes.Equal(p.buf[:n], p.msg[got:got+n]) {
				p.t.Fatal("other bytes came back")
			}
			got += n
		}
	}
}

// mallocs returns how many allocations f makes.
func mallocs(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

// rounds is how many requests are counted; the result is per test, not per
// request.
const rounds = 20_000

func TestEchoAllocatesNothing(t *testing.T) {
	b := opened(t, Options{})
	s, bound := serve(t, b, nil)
	fd := dial(t, bound)
	pollUntil(t, b, "the connection", func() bool { return len(s.conns) == 1 })
	for _, size := range []int{64, 8 << 10} {
		p := &pump{t: t, in: fd, out: fd, msg: bytes.Repeat([]byte{7}, size), buf: make([]byte, 64<<10)}
		for range 100 {
			p.round(b)
		}
		n := mallocs(func() {
			for range rounds {
				p.round(b)
			}
		})
		if t.Logf("%d bytes: %d allocations in %d echoes", size, n, rounds); !invariant.Enabled && n > 10 {
			t.Errorf("%d allocations in %d echoes of %d bytes", n, rounds, size)
		}
	}
}

//go:build linux

package epoll

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
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
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(bound.Port()), Addr: [4]byte{127, 0, 0, 1}}); err != nil {
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

func TestRelayAllocatesNothing(t *testing.T) {
	b := opened(t, Options{})
	address, _ := proactor.ParseAddress("tcp", "127.0.0.1:0")
	l, bound, err := b.Listen(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	accept := &accepted{Op: proactor.Op{Kind: proactor.OpAccept, Handle: l}}
	accept.Owner = accept
	b.Submit(&accept.Op)
	in, out := dial(t, bound), dial(t, bound)
	pollUntil(t, b, "two connections", func() bool { return len(accept.handles) == 2 })
	var relay proactor.Relay
	relay.Dst = accept.handles[1]
	r := &result{Op: proactor.Op{Kind: proactor.OpRelay, Handle: accept.handles[0], Relay: &relay}}
	r.Owner = r
	b.Submit(&r.Op)
	for _, size := range []int{64, 256 << 10} {
		p := &pump{t: t, in: in, out: out, msg: bytes.Repeat([]byte{9}, size), buf: make([]byte, 256<<10)}
		for range 100 {
			p.round(b)
		}
		n := mallocs(func() {
			for range rounds / 4 {
				p.round(b)
			}
		})
		if t.Logf("%d bytes: %d allocations in %d pieces", size, n, rounds/4); !invariant.Enabled && n > 10 {
			t.Errorf("%d allocations in %d pieces of %d bytes", n, rounds/4, size)
		}
	}
	if s := b.Stats(); s.Spliced == 0 || s.RelayCopied == 0 {
		t.Errorf("%d bytes spliced, %d copied: small pieces should be copied, large ones spliced", s.Spliced, s.RelayCopied)
	}
	unix.Shutdown(in, unix.SHUT_WR)
	pollUntil(t, b, "the relay ends", func() bool { return r.last })
	if r.Err != io.EOF {
		t.Errorf("relay: %v", r.Err)
	}
}

// An accepted is an accept that collects handles.
type accepted struct {
	proactor.Op
	handles []proactor.Handle
}

func (a *accepted) Complete(op *proactor.Op) {
	if op.Err == nil {
		a.handles = append(a.handles, op.New)
	}
}

// Bytes go from a pipe to a stream and from a stream to a file, by the same
// relay, copied or spliced as the kernel allows.
func TestRelayBetweenUnequals(t *testing.T) {
	for name, o := range map[string]Options{"spliced": {}, "copied": {Pipes: -1}} {
		t.Run(name, func(t *testing.T) {
			b := opened(t, o)
			var fds [2]int
			if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			file, err := unix.Open(t.TempDir()+"/out", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			dup, err := unix.FcntlInt(uintptr(file), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(dup)
			pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			var h [4]proactor.Handle
			for i, fd := range []int{fds[0], pair[0], pair[1], file} {
				if h[i], err = b.Adopt(fd); err != nil {
					t.Fatal(err)
				}
			}
			relays := [2]proactor.Relay{{Dst: h[1]}, {Dst: h[3]}}
			first := &result{Op: proactor.Op{Kind: proactor.OpRelay, Handle: h[0], Relay: &relays[0]}}
			second := &result{Op: proactor.Op{Kind: proactor.OpRelay, Handle: h[2], Relay: &relays[1]}}
			first.Owner, second.Owner = first, second
			b.Submit(&first.Op)
			b.Submit(&second.Op)
			want := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
			go func() {
				for rest := want; len(rest) > 0; {
					n, err := unix.Write(fds[1], rest[:min(len(rest), 100_000)])
					if err != nil {
						break
					}
					rest = rest[n:]
				}
				unix.Close(fds[1])
			}()
			pollUntil(t, b, "the pipe is empty", func() bool { return first.last })
			if err := b.Shutdown(h[1]); err != nil {
				t.Error(err)
			}
			pollUntil(t, b, "the file is full", func() bool { return second.last })
			if first.Err != io.EOF || second.Err != io.EOF {
				t.Errorf("relays end with %v and %v", first.Err, second.Err)
			}
			got := make([]byte, len(want)+1)
			if n, err := unix.Pread(dup, got, 0); n != len(want) || err != nil || !bytes.Equal(got[:n], want) {
				t.Errorf("%d bytes of %d in the file, %v", n, len(want), err)
			}
		})
	}
}

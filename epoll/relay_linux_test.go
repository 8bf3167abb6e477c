//go:build linux

package epoll

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/proactor"
)

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

// relayPiece is the most that a relay keeps when it copies.
const relayPiece = 64 << 10

// What is in the pipe when a relay is cancelled is in Rest.
func TestCanceledBulkRelayReadsItsPipeOut(t *testing.T) {
	b := opened(t, Options{})
	x := newBulk(t, b)
	for attempt, piped := 0, 0; piped <= relayPiece; attempt++ {
		if attempt == 100 {
			t.Fatalf("never more than %d bytes of rest, %+v: this tests nothing", relayPiece, b.Stats())
		}
		x.flood((16 + attempt) << 20)
		piped = x.stop()
	}
	for int64(len(x.got)) < x.relay.Moved.Load() {
		if x.read(); t.Failed() {
			return
		}
	}
	for i, c := range append(x.got, x.relay.Rest...) { // the stream counts, modulo a prime
		if c != byte(i%251) {
			t.Fatalf("byte %d of %d moved and %d of rest is wrong", i, len(x.got), len(x.relay.Rest))
		}
	}
}

// A bulk is a relay with a peer on either side, both on this thread.
type bulk struct {
	t       *testing.T
	b       proactor.Backend
	relay   proactor.Relay
	op      result
	in, out int
	msg     []byte // of which msg[at:] is written next, round and round
	at      int
	got     []byte
	buf     []byte
	moved   int64 // before the relay was started last
}

func newBulk(t *testing.T, b proactor.Backend) *bulk {
	t.Helper()
	address, _ := proactor.ParseAddress("tcp", "127.0.0.1:0")
	l, bound, err := b.Listen(address, nil)
	if err != nil {
		t.Fatal(err)
	}
	accept := &accepted{Op: proactor.Op{Kind: proactor.OpAccept, Handle: l}}
	accept.Owner = accept
	b.Submit(&accept.Op)
	x := &bulk{t: t, b: b, in: dial(t, bound), out: dial(t, bound), msg: make([]byte, 251<<10), buf: make([]byte, 1<<20)}
	for i := range x.msg {
		x.msg[i] = byte(i % 251)
	}
	pollUntil(t, b, "two connections", func() bool { return len(accept.handles) == 2 })
	x.relay.Dst = accept.handles[1]
	x.op.Op = proactor.Op{Kind: proactor.OpRelay, Handle: accept.handles[0], Relay: &x.relay, Owner: &x.op}
	return x
}

// flood starts the relay where it was stopped, lets bytes flow freely until so
// many have arrived, so that it turns to bulk, and then stops reading until
// nothing moves any more.
func (x *bulk) flood(arrived int) {
	x.relay.Head = x.relay.Rest
	x.op.last = false
	x.b.Submit(&x.op.Op)
	for stuck := 0; stuck < 20; stuck++ {
		if n, err := unix.Write(x.in, x.msg[x.at:]); err == nil {
			x.at = (x.at + n) % len(x.msg)
			stuck = 0
		}
		if len(x.got) < arrived {
			x.read()
		}
		if err := x.b.Poll(1e6); err != nil {
			x.t.Fatal(err)
		}
	}
}

func (x *bulk) read() {
	n, err := unix.Read(x.out, x.buf)
	if err == unix.EAGAIN {
		return
	}
	if err != nil || n == 0 {
		x.t.Errorf("read %d bytes, %v", n, err)
		return
	}
	x.got = append(x.got, x.buf[:n]...)
}

// stop cancels the relay and returns how many bytes it had read and not sent.
// Those of its head, which are its owner's to send, join them in Rest.
func (x *bulk) stop() int {
	x.t.Helper()
	x.b.Cancel(&x.op.Op)
	pollUntil(x.t, x.b, "the relay ends", func() bool { return x.op.last })
	if x.op.Err != proactor.ErrCanceled {
		x.t.Fatalf("relay ends with %v", x.op.Err)
	}
	unsent := len(x.relay.Rest)
	now := x.relay.Moved.Load()
	if sent := now - x.moved; sent < int64(len(x.relay.Head)) {
		x.relay.Rest = slices.Concat(x.relay.Head[sent:], x.relay.Rest)
	}
	x.moved = now
	return unsent
}

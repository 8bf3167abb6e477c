//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/proactor"
)

// needZeroCopy skips where the kernel does not have it.
func needZeroCopy(t testing.TB) {
	t.Helper()
	if _, err := examine(Options{ZeroCopy: 1}.withDefaults()); errors.Is(err, unix.EINVAL) {
		t.Skipf("Linux 6.2 is needed: %v", err)
	} else if err != nil {
		testenv.Missing(t, "%v", err)
	}
}

// A lender sends one piece of memory at a time, and spoils it once it is given
// back.
type lender struct {
	t        testing.TB
	op       proactor.Op
	pin      proactor.Pin
	ended    int
	released int
	copied   bool
	err      error
}

func newLender(t testing.TB, h proactor.Handle, p []byte, more ...[]byte) *lender {
	l := &lender{t: t}
	l.op = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: l, Buf: p, Bufs: more, Pin: &l.pin}
	l.pin.Owner = l
	return l
}

func (l *lender) Complete(op *proactor.Op) { l.ended, l.err = l.ended+1, op.Err }

func (l *lender) Released(p *proactor.Pin, copied bool) {
	if l.ended == 0 || p != &l.pin {
		l.t.Errorf("released before its end")
	}
	l.released, l.copied = l.released+1, copied
	for _, p := range append([][]byte{l.op.Buf}, l.op.Bufs...) {
		clear(p)
	}
}

// stream returns a stream of b and its peer, a blocking socket.
func stream(t testing.TB, b *Backend) (proactor.Handle, int) {
	t.Helper()
	l := &late{b: b}
	h, addr, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	op := proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: l}
	b.Submit(&op)
	fd := rawDial(t, addr)
	until(t, b, "it is accepted", func() bool { return l.h != 0 })
	b.Cancel(&op)
	until(t, b, "the accept ends", func() bool { return !op.Active() })
	if err := b.CloseFD(h); err != nil {
		t.Fatal(err)
	}
	return l.h, fd
}

// drain reads n bytes from a peer while b is polled.
func drain(t testing.TB, b *Backend, fd, n int) []byte {
	t.Helper()
	got := make([]byte, 0, n)
	buf := make([]byte, 1<<16)
	until(t, b, fmt.Sprintf("%d bytes arrive", n), func() bool {
		for len(got) < n {
			k, _, err := unix.Recvfrom(fd, buf[:min(len(buf), n-len(got))], unix.MSG_DONTWAIT)
			if k <= 0 || err != nil {
				return false
			}
			got = append(got, buf[:k]...)
			if k < 1000 {
				return false
			}
		}
		return true
	})
	return got
}

// A watcher counts the kernel's zero-copy entries, and may have it say that it did not
// copy.
type watcher struct {
	liar
	entries, registered int
}

func (w *watcher) submit(e *SQE) {
	if e.Opcode == IORING_OP_SEND_ZC {
		w.entries++
		if e.Ioprio&IORING_RECVSEND_FIXED_BUF != 0 {
			w.registered++
		}
	}
}

// watch has w stand between b and its kernel from now on.
func watch(b *Backend, change func(*CQE)) *watcher {
	w := &watcher{liar: liar{change: change}}
	b.ring.fake, b.ring.shown = w, b.ring.sq.next
	return w
}

func honest(*CQE) {}

// denies has every notification say that nothing was copied.
func denies(c *CQE) {
	if c.Flags&IORING_CQE_F_NOTIF != 0 {
		c.Res &= 1<<31 - 1
	}
}

// Loopback copies. The kernel says so after the first send without a copy, and there is
// no other on that stream; each stream finds out for itself.
func TestZeroCopyEndsWhereTheKernelCopies(t *testing.T) {
	needZeroCopy(t)
	b := openTest(t, Options{ZeroCopy: 1000, Memory: [][]byte{make([]byte, 1)}})
	w := watch(b, honest)
	for round := 1; round <= 2; round++ {
		h, fd := stream(t, b)
		for i := range 10 {
			data := pattern(5000)
			l := newLender(t, h, bytes.Clone(data))
			b.Submit(&l.op)
			if got := drain(t, b, fd, len(data)); !bytes.Equal(got, data) {
				t.Fatalf("send %d: the bytes have changed", i)
			}
			until(t, b, "the memory is given back", func() bool { return l.released > 0 })
			if !l.copied || l.released != 1 || l.ended != 1 || l.err != nil {
				t.Fatalf("send %d: %+v", i, l)
			}
		}
		short := newLender(t, h, pattern(999))
		b.Submit(&short.op)
		until(t, b, "a short one is released", func() bool { return short.released > 0 })
		s := b.Stats()
		if w.entries != round || s.Copied != uint64(11*round) || s.ZeroCopied != 0 || s.ZeroCopyOff != uint64(round) || s.Pins != 0 {
			t.Errorf("round %d: %d entries without a copy; %+v", round, w.entries, s)
		}
		if err := b.CloseFD(h); err != nil {
			t.Error(err)
		}
	}
}

// Sends of all sizes, from registered memory and from other, as one piece and as
// several: every byte arrives although memory is spoilt as soon as it is given back, on a kernel
// that copies but says that it does not, so that sends go on without.
func TestZeroCopySendsEveryByte(t *testing.T) {
	needZeroCopy(t)
	for name, o := range map[string]Options{
		"default": {},
		"tiny":    {Entries: 4, CQEntries: 4, Buffers: 2, BufferSize: 64, Plain: true},
		"masked":  {Without: Features()},
	} {
		t.Run(name, func(t *testing.T) {
			arena := make([]byte, 8<<20)
			o.ZeroCopy, o.Memory = 100, [][]byte{arena[4<<20:], arena[:1<<17], arena[1<<17 : 4<<20]}
			b := openTest(t, o)
			w := watch(b, denies)
			h, fd := stream(t, b)
			rng := rand.New(rand.NewPCG(1, 2))
			var want, got []byte
			var all []*lender
			for range 100 {
				var pieces [][]byte
				for range 1 + rng.IntN(3) {
					n := min(rng.IntN(1<<(1+rng.IntN(17))), len(arena))
					p := make([]byte, n)
					if rng.IntN(2) == 0 {
						p, arena = arena[:n], arena[n:]
					}
					for i := range p {
						p[i] = byte(rng.Uint32())
					}
					want = append(want, p...)
					pieces = append(pieces, p)
				}
				l := newLender(t, h, pieces[0], pieces[1:]...)
				all = append(all, l)
				b.Submit(&l.op)
				until(t, b, "it is sent", func() bool {
					if l.ended > 0 {
						return true
					}
					got = append(got, some(fd)...)
					return false
				})
			}
			got = append(got, drain(t, b, fd, len(want)-len(got))...)
			until(t, b, "all memory is given back", func() bool { return b.Stats().Pins == 0 })
			if !bytes.Equal(got, want) {
				t.Error("bytes have changed")
			}
			for i, l := range all {
				if l.ended != 1 || l.released != 1 || l.err != nil {
					t.Errorf("send %d: %+v", i, l)
				}
			}
			s := b.Stats()
			if s.ZeroCopied+s.Copied != 100 || s.ZeroCopied < 50 || s.ZeroCopyOff != 0 || w.registered == 0 || w.entries < 50 {
				t.Errorf("%d entries without a copy, %d from registered memory; %+v", w.entries, w.registered, s)
			}
			if err := b.CloseFD(h); err != nil {
				t.Error(err)
			}
		})
	}
}

// some reads what there is.
func some(fd int) []byte {
	buf := make([]byte, 1<<15)
	n, _, _ := unix.Recvfrom(fd, buf, unix.MSG_DONTWAIT)
	return buf[:max(n, 0)]
}

// unread returns a stream whose peer does not read, with a send that waits for
// room, and parts of which the kernel keeps.
func unread(t *testing.T, b *Backend) (proactor.Handle, int, *lender) {
	t.Helper()
	h, fd := stream(t, b)
	l := newLender(t, h, pattern(16<<20))
	b.Submit(&l.op)
	until(t, b, "it waits for room", func() bool { return waitsForRoom(b, &l.op) && b.Stats().Pins == 1 })
	return h, fd, l
}

// A cancelled send keeps its handle open, and its memory from its owner, until
// the kernel has let go.
func TestZeroCopyMemoryOutlivesItsSend(t *testing.T) {
	needZeroCopy(t)
	b := openTest(t, Options{ZeroCopy: 1})
	watch(b, denies)
	for _, how := range []string{"read", "reset", "reset here"} {
		h, fd, l := unread(t, b)
		b.Cancel(&l.op)
		until(t, b, "it ends", func() bool { return l.ended == 1 })
		if l.err != proactor.ErrCanceled || l.op.N == 0 || l.released != 0 || b.Stats().Ops != 0 {
			t.Fatalf("%s: %d bytes, %v, released %d times", how, l.op.N, l.err, l.released)
		}
		if err := b.CloseFD(h); err != proactor.ErrBusy {
			t.Errorf("%s: CloseFD answers %v, want ErrBusy", how, err)
		}
		if _, err := b.Detach(h); err != proactor.ErrBusy {
			t.Errorf("%s: Detach answers %v, want ErrBusy", how, err)
		}
		switch how {
		case "read":
			if got := drain(t, b, fd, l.op.N); !bytes.Equal(got, pattern(16 << 20)[:l.op.N]) {
				t.Error("bytes have changed")
			}
		case "reset":
			reset(t, fd)
		default:
			if err := b.Reset(h); err != nil {
				t.Fatal(err)
			}
		}
		until(t, b, "the memory is given back", func() bool { return l.released == 1 })
		if err := b.CloseFD(h); err != nil || b.Stats().Pins != 0 {
			t.Errorf("%s: CloseFD answers %v; %+v", how, err, b.Stats())
		}
	}
}

// Close waits for the kernel, and ends streams whose peers never read; then
// memory is given back to owners of sends that have ended.
func TestCloseGetsZeroCopyMemoryBack(t *testing.T) {
	needZeroCopy(t)
	testenv.Leaks(t)
	b := openTest(t, Options{ZeroCopy: 1, CloseTimeout: 400 * time.Millisecond, Memory: [][]byte{make([]byte, 4096)}})
	watch(b, denies)
	_, _, ended := unread(t, b)
	b.Cancel(&ended.op)
	until(t, b, "it ends", func() bool { return ended.ended == 1 })
	h, _ := stream(t, b)
	active := newLender(t, h, pattern(16<<20))
	b.Submit(&active.op)
	until(t, b, "it waits for room", func() bool { return waitsForRoom(b, &active.op) })
	h, _ = stream(t, b)
	unseen := newLender(t, h, pattern(16<<20)) // whose first result is Close's
	b.Submit(&unseen.op)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if unseen.released != 0 || unseen.ended != 0 || unseen.op.Active() {
		t.Errorf("released %d times, ended %d times", unseen.released, unseen.ended)
	}
	if ended.released != 1 || active.released != 0 || active.ended != 0 || active.op.Active() {
		t.Errorf("released %d and %d times", ended.released, active.released)
	}
}

// What cannot be sent without a copy is sent by copying.
func TestZeroCopyRefused(t *testing.T) {
	needZeroCopy(t)
	for _, how := range []string{"unix", "ENOMEM"} {
		b := openTest(t, Options{ZeroCopy: 1, Unrestricted: true})
		var h proactor.Handle
		var fd int
		if how == "unix" {
			x, y := pair(t)
			h, fd = dup(t, b, x), y
		} else {
			h, fd = stream(t, b)
			m := &miserly{}
			m.change = func(c *CQE) { *c = m.answered(*c) }
			b.ring.fake, b.ring.shown = m, b.ring.sq.next
		}
		for i := range 3 {
			data := pattern(3000)
			l := newLender(t, h, bytes.Clone(data))
			b.Submit(&l.op)
			if got := drain(t, b, fd, len(data)); !bytes.Equal(got, data) {
				t.Errorf("%s: bytes have changed", how)
			}
			until(t, b, "the memory is given back", func() bool { return l.released > 0 })
			if l.err != nil || !l.copied || l.released != 1 {
				t.Errorf("%s, send %d: %+v", how, i, l)
			}
		}
		if s := b.Stats(); s.ZeroCopyOff != 1 || s.Copied != 3 || s.Pins != 0 {
			t.Errorf("%s: %+v", how, s)
		}
	}
}

// A miserly kernel has no memory to look up pages.
type miserly struct {
	liar
	answers
}

func (m *miserly) submit(e *SQE) {
	if e.Opcode == IORING_OP_SEND_ZC {
		m.answer(e, unix.ENOMEM)
	}
}

// A kernel without it, and memory that cannot be registered, are errors that
// say what to do, and no reason to use another backend.
func TestZeroCopyOptions(t *testing.T) {
	needZeroCopy(t)
	testenv.Leaks(t)
	p := make([]byte, 100)
	refuse := func(e errno) injection {
		return func(call string, op uint32) errno {
			if call == "register" && op == IORING_REGISTER_BUFFERS {
				return e
			}
			return 0
		}
	}
	for want, o := range map[string]Options{
		"ZeroCopy is -1":   {ZeroCopy: -1},
		"for ZeroCopy":     {Memory: [][]byte{p}},
		"overlap":          {ZeroCopy: 1, Memory: [][]byte{p[50:], p[:51]}},
		"piece of 0 bytes": {ZeroCopy: 1, Memory: [][]byte{p, nil}},
		"16385 pieces":     {ZeroCopy: 1, Memory: make([][]byte, 16385)},
		"Memory of 100":    {ZeroCopy: 1, Memory: [][]byte{p}, inject: refuse(unix.EOPNOTSUPP)},
		"Linux 6.2 is needed": {ZeroCopy: 1, fake: func() fake {
			return &liar{change: func(c *CQE) {
				if c.Res == -int32(unix.EOPNOTSUPP) {
					c.Res, c.Flags = -int32(unix.EINVAL), 0
				}
			}}
		}},
	} {
		b, err := Open(o)
		if err == nil {
			_ = b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
	for _, limit := range []uint64{0, ^uint64(0)} {
		var old unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &old); err != nil {
			t.Fatal(err)
		}
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: min(limit, old.Max), Max: old.Max}); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Options{ZeroCopy: 1, Memory: [][]byte{p}, inject: refuse(unix.ENOMEM)})
		_ = unix.Setrlimit(unix.RLIMIT_MEMLOCK, &old)
		if !errors.Is(err, unix.ENOMEM) || errors.Is(err, ErrUnavailable) || strings.Contains(err.Error(), "ulimit -l") != (limit == 0) {
			t.Errorf("RLIMIT_MEMLOCK %d: %v", limit, err)
		}
	}
}

// Sends without a copy allocate nothing.
func TestZeroCopyAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("checks are compiled in, which allocate")
	}
	needZeroCopy(t)
	memory, buf := mapped(t, 1<<18), make([]byte, 1<<18) // what is shorter is acknowledged late
	b := openTest(t, Options{ZeroCopy: 1, Memory: [][]byte{memory}})
	h, fd := stream(t, b)
	l := newLender(t, h, memory)
	send := func(n int) {
		for want := l.released + n; l.released < want; {
			b.Submit(&l.op)
			for left, before := len(buf), l.released; left > 0 || l.released == before; {
				if err := b.Poll(0); err != nil {
					t.Fatal(err)
				}
				n, _, _ := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(left),
					unix.MSG_DONTWAIT, 0, 0)
				left -= max(int(n), 0)
			}
			descriptorOf(b.Lookup(h)).copies = false
		}
	}
	send(20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	send(200)
	runtime.ReadMemStats(&after)
	if n, s := after.Mallocs-before.Mallocs, b.Stats(); n > 10 || s.ZeroCopyOff < 200 {
		t.Errorf("%d allocations in 200 sends; %+v", n, s)
	}
}

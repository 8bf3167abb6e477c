//go:build linux && (amd64 || arm64)

package uring

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// Descriptor numbers come back at once, connections never meet each other's
// bytes: each checks a cookie of its own.
func TestNumbersAreUsedAgain(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		s := serve(t, b)
		n := 400
		if testing.Short() {
			n = 50
		}
		done, result := background(b, 8, func(i int) error {
			for k := range n {
				if err := cookie(s.addr, uint64(i)<<32|uint64(k), k%3); err != nil {
					return err
				}
			}
			return nil
		})
		until(t, b, "all come and go", func() bool { return done() && len(s.conns) == 0 })
		if err := result(); err != nil {
			t.Fatal(err)
		}
		if st := b.Stats(); st.Handles != 1 || st.Ops != 1 || st.Holds != 0 {
			t.Errorf("left: %+v", st)
		}
	})
}

// cookie echoes 8 bytes, twice, and ends in one of three ways.
func cookie(addr string, value uint64, how int) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	var out, in [8]byte
	binary.LittleEndian.PutUint64(out[:], value)
	for range 2 {
		if _, err := c.Write(out[:]); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, in[:]); err != nil {
			return err
		}
		if in != out {
			return fmt.Errorf("got the cookie %x, mine is %x", in, out)
		}
	}
	switch how {
	case 1: // a reset
		_ = c.(*net.TCPConn).SetLinger(0)
	case 2: // the end of the stream, waited for
		_ = c.(*net.TCPConn).CloseWrite()
		_, err = c.Read(in[:])
		if err != io.EOF {
			return fmt.Errorf("after CloseWrite: %w", err)
		}
	}
	return nil
}

// A backend is closed at random moments, with every kind of op in flight. The
// memory that the kernel could write to is gone afterwards, and so is everything else.
func TestTearDownAtRandomMoments(t *testing.T) {
	testenv.Leaks(t)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	if testenv.Long() {
		rounds = 10_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range rounds {
		c := configs[i%len(configs)]
		t.Run(fmt.Sprintf("%d-%s", i, c.name), func(t *testing.T) { tearDown(t, c.o, rng) })
	}
}

func tearDown(t *testing.T, o Options, rng *rand.Rand) {
	if o.Direct > 0 {
		needDirect(t)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, b)
	p := relayTo(t, b, s.address)
	addrs := []string{s.addr, p.address.String()}
	done, _ := background(b, 6, func(i int) error { return ping(addrs[i%2], uint64(i), 64<<10<<(i*2)) })
	work := proactor.Op{Kind: proactor.OpWork, Owner: &denied{}, Func: runtime.Gosched}
	b.Submit(&work)
	everyOtherKind(t, b)
	for range rng.IntN(60) {
		if err := b.Poll(time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error("close:", err)
	}
	if err := b.Close(); err != nil {
		t.Error("second close:", err)
	}
	if err := b.Poll(0); err != proactor.ErrClosed {
		t.Errorf("Poll after Close: %v", err)
	}
	testenv.Eventually(t, 10*time.Second, "the clients notice", done)
}

// Streams that starve because somebody holds all buffers cost nothing while
// they wait, and go on when the holder lets go, on whatever goroutine.
func TestStarvingDoesNotSpin(t *testing.T) {
	for _, o := range []Options{
		{Buffers: 2, BufferSize: 64, Plain: true, Holds: 1},
		{Buffers: 2, BufferSize: 4096, Holds: 1},
	} {
		b := openTest(t, o)
		m := &miser{b: b}
		l := listenFor(t, b, m)
		var fds []int
		for range 5 {
			fds = append(fds, rawDial(t, l))
		}
		for _, fd := range fds {
			for range 200 {
				if _, err := unix.Write(fd, pattern(100)); err != nil {
					t.Fatal(err)
				}
			}
		}
		until(t, b, "all buffers are held", func() bool { return b.Stats().Starved > 0 && b.pools[0].avail == 0 && b.asked == 1 })
		for range 20 {
			_ = b.Poll(time.Millisecond)
		}
		before := b.Stats().Enters
		for start := time.Now(); time.Since(start) < 200*time.Millisecond; {
			_ = b.Poll(200*time.Millisecond - time.Since(start))
		}
		if n := b.Stats().Enters - before; n > 5 {
			t.Errorf("%+v: %d enters while all buffers are held", o, n)
		}
		m.generous = true // from the next receive on
		held := m.take()
		done, _ := background(b, 1, func(int) error {
			for _, h := range held {
				h.Release()
			}
			return nil
		})
		until(t, b, "they are released elsewhere", done)
		until(t, b, "every byte arrives", func() bool { return m.got == 5*200*100 })
	}
}

// A miser holds all that it is lent, whatever it is asked.
type miser struct {
	b        *Backend
	held     []*proactor.Hold
	got      int
	generous bool
	ops      [16]proactor.Op
	n        int
}

func (m *miser) Evict(*proactor.Hold) {}
func (m *miser) Complete(op *proactor.Op) {
	switch {
	case op.Err != nil:
	case op.Kind == proactor.OpAccept:
		r := &m.ops[m.n]
		m.n++
		*r = proactor.Op{Kind: proactor.OpRecv, Handle: op.New, Owner: m}
		m.b.Submit(r)
	default:
		m.got += len(op.Buf)
		if !m.generous {
			m.held = append(m.held, m.b.Hold(op, m))
		}
	}
}

func (m *miser) take() []*proactor.Hold {
	h := m.held
	m.held = nil
	return h
}

func listenFor(t *testing.T, b *Backend, owner proactor.Completer) proactor.Address {
	t.Helper()
	h, addr, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Submit(&proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: owner})
	return addr
}

// 100 holders of 64 bytes each cost a hundredth of the buffers for long: what
// others lend is not scarcer for it.
func TestSmallHoldsDoNotPinLargeBuffers(t *testing.T) {
	t.Run("default", func(t *testing.T) { smallHolds(t, openTest(t, Options{})) })
	t.Run("plain", func(t *testing.T) { smallHolds(t, openTest(t, Options{Without: []Feature{Incremental}})) })
}

func smallHolds(t *testing.T, b *Backend) {
	m := &keepers{b: b}
	l := listenFor(t, b, m)
	s := serve(t, b)
	for i := range 100 {
		fd := rawDial(t, l)
		if _, err := unix.Write(fd, pattern(64)); err != nil {
			t.Fatal(err)
		}
		until(t, b, "a piece is held", func() bool { return len(m.held) == i+1 })
		if err := ping1(b, s, 200<<10); err != nil { // fills most of a buffer
			t.Fatal(err)
		}
	}
	st := b.Stats()
	if !b.pools[0].incremental { // 64 bytes are a buffer of the smallest size there
		for _, p := range b.pools[1:] {
			if p.avail < len(p.buffers) {
				t.Errorf("%d of %d buffers of %d bytes are pinned; %+v", len(p.buffers)-p.avail, len(p.buffers), p.size, st)
			}
		}
		return
	}
	if st.Lent > b.cap+1 || len(m.copies) == 0 {
		t.Errorf("%d of 32 buffers are pinned, %d pieces were copied; %+v", st.Lent, len(m.copies), st)
	}
}

func ping1(b *Backend, s *server, n int) error {
	done, result := background(b, 1, func(int) error { return ping(s.addr, 1, n) })
	for !done() || len(s.conns) > 0 {
		if err := b.Poll(time.Second); err != nil {
			return err
		}
	}
	return result()
}

// keepers hold what they get and copy it when asked.
type keepers struct {
	b      *Backend
	held   []*proactor.Hold
	copies [][]byte
}

func (k *keepers) Evict(h *proactor.Hold) {
	k.copies = append(k.copies, append([]byte(nil), h.Bytes...))
	h.Release()
}

func (k *keepers) Complete(op *proactor.Op) {
	switch {
	case op.Err != nil:
	case op.Kind == proactor.OpAccept:
		k.b.Submit(&proactor.Op{Kind: proactor.OpRecv, Handle: op.New, Owner: k})
	default:
		k.held = append(k.held, k.b.Hold(op, k))
	}
}

// Plain rings: a stream's sizes choose the class of its buffers.
func TestSizesChooseTheClass(t *testing.T) {
	b := openTest(t, Options{Plain: true})
	s := serve(t, b)
	fd := rawDial(t, s.address)
	class := func() uint8 {
		for _, c := range s.conns {
			return b.slots.at(c.recv.B.Slot).class
		}
		return 0
	}
	echo := func(size, n int) {
		p := pattern(size)
		done, result := background(b, 1, func(int) error {
			if !pingRaw(fd, p, make([]byte, size), n) {
				return errors.New("echo failed")
			}
			return nil
		})
		until(t, b, "echoes", done)
		if err := result(); err != nil {
			t.Fatal(err)
		}
	}
	echo(64, 50)
	if c := class(); c != 0 {
		t.Errorf("class %d for messages of 64 bytes", c)
	}
	echo(256<<10, 50)
	if c := class(); c != 2 {
		t.Errorf("class %d for messages of 256 KiB", c)
	}
	echo(64, 200)
	if c := class(); c != 0 {
		t.Errorf("class %d for messages of 64 bytes again", c)
	}
}

// What the kernel has lost cannot be made up for: the backend says so.
func TestLostCompletionIsLoud(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	fail := false
	b, err := Open(Options{CloseTimeout: 50 * time.Millisecond, inject: func(call string, _ uint32) (e errno) {
		if fail && call == "enter" {
			e = unix.EBADR
		}
		return e
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	fail = true
	for range 2 {
		if err := b.Poll(0); err != proactor.ErrLost {
			t.Errorf("Poll: %v, want ErrLost", err)
		}
		fail = false
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A kernel short of memory, or whose queue is full, takes entries later.
func TestEnterThatIsRefusedIsTriedAgain(t *testing.T) {
	calls := 0
	armed := false
	b := openTest(t, Options{Entries: 4, CQEntries: 8, inject: func(call string, _ uint32) (e errno) {
		if calls++; armed && call == "enter" && calls%3 != 0 {
			e = []errno{unix.EAGAIN, unix.EBUSY, unix.EINTR, unix.ENOMEM}[calls%4]
		}
		return e
	}})
	s := serve(t, b)
	armed = true
	done, result := background(b, 6, func(i int) error { return ping(s.addr, uint64(i), 100<<10) })
	until(t, b, "6 echoes with most enters refused", func() bool { return done() && len(s.conns) == 0 })
	armed = false
	if err := result(); err != nil {
		t.Fatal(err)
	}
}

type errno = syscall.Errno

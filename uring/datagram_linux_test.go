//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

var (
	udpHere  = proactor.IPAddress(proactor.UDP, netip.MustParseAddr("127.0.0.1"), 0)
	udpHere6 = proactor.IPAddress(proactor.UDP, netip.MustParseAddr("::1"), 0)
)

// packet returns a datagram socket, which the test closes.
func packet(t testing.TB, b *Backend, local proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address) {
	t.Helper()
	h, at, err := b.Packet(local, o)
	if err != nil {
		t.Fatal(err)
	}
	return h, at
}

// A letterbox receives datagrams and keeps copies.
type letterbox struct {
	b    *Backend
	op   proactor.Op
	msg  proactor.Msg
	from proactor.Address

	keep  bool // hold what comes, until it is asked back
	got   [][]byte
	peers []proactor.Address
	msgs  []proactor.Msg
	count int
	err   error
	holds []*proactor.Hold
	asked int
}

// receive starts a RecvFrom; with says whether it has a Msg.
func receive(b *Backend, h proactor.Handle, with bool) *letterbox {
	l := &letterbox{b: b}
	l.op = proactor.Op{Kind: proactor.OpRecvFrom, Handle: h, Owner: l, Addr: &l.from}
	if with {
		l.op.Msg = &l.msg
	}
	b.Submit(&l.op)
	return l
}

func (l *letterbox) Complete(op *proactor.Op) {
	if !op.More {
		l.err = op.Err
		return
	}
	l.count++
	sys.CloseFiles(l.msg.Files)
	if op.N != len(op.Buf) {
		panic("N is not the length of Buf")
	}
	if l.count > 1000 {
		return
	}
	l.got = append(l.got, bytes.Clone(op.Buf))
	l.peers = append(l.peers, l.from)
	m := l.msg
	m.Control = bytes.Clone(m.Control)
	l.msg.Files = nil
	l.msgs = append(l.msgs, m)
	if l.keep {
		l.holds = append(l.holds, l.b.Hold(op, l))
	}
}

// Evict gives the oldest hold back, which is the one asked for.
func (l *letterbox) Evict(h *proactor.Hold) {
	if h != l.holds[0] {
		panic("not the oldest hold is asked back")
	}
	l.asked++
	l.holds = l.holds[1:]
	h.Release()
}

// sendTo sends p and waits until it is sent.
func sendTo(t testing.TB, b *Backend, h proactor.Handle, to *proactor.Address, p []byte, m *proactor.Msg) {
	t.Helper()
	s := start(b, proactor.Op{Kind: proactor.OpSendTo, Handle: h, Addr: to, Buf: p, Msg: m})
	if op := s.wait(t, b); op.Err != nil || op.N != len(p) {
		t.Fatalf("SendTo of %d bytes: %d, %v", len(p), op.N, op.Err)
	}
}

func TestDatagramsKeepTheirBounds(t *testing.T) {
	onConfigs(t, func(t *testing.T, b *Backend) {
		for _, local := range []proactor.Address{udpHere, udpHere6, proactor.UnixgramAddress(t.TempDir() + "/a")} {
			for _, with := range []bool{false, true} {
				local := local
				if local.IsUnix() {
					local = proactor.UnixgramAddress(t.TempDir() + "/s")
				}
				to, at := packet(t, b, local, nil)
				local = local.WithPort(0)
				if local.IsUnix() {
					local = proactor.UnixgramAddress(t.TempDir() + "/c")
				}
				from, me := packet(t, b, local, nil)
				in := receive(b, to, with)
				for i, n := range []int{1, 0, 0, 500, 1400, 0, 60_000, 65_000} {
					p := pattern(n)
					sendTo(t, b, from, &at, p, nil)
					until(t, b, "it arrives", func() bool { return in.count == i+1 })
					if !bytes.Equal(in.got[i], p) || in.peers[i] != me || in.msgs[i].Truncated {
						t.Errorf("%v: %d bytes of %v for %d of %v", local, len(in.got[i]), in.peers[i], n, me)
					}
				}
				if in.err != nil {
					t.Error(in.err)
				}
				b.Cancel(&in.op)
				until(t, b, "it ends", func() bool { return in.err != nil })
				if in.err != proactor.ErrCanceled {
					t.Error(in.err)
				}
			}
		}
		if st := b.Stats(); st.Ops != 0 || st.Lent != 0 || st.Stale != 0 {
			t.Errorf("left: %+v", st)
		}
	})
}

// What is longer than a buffer is cut, and says so.
func TestLongDatagramsAreCut(t *testing.T) {
	for _, without := range [][]Feature{nil, {MultishotRecvmsg}} {
		b := openTest(t, Options{Datagrams: 2, DatagramSize: 4096 - 144 - controlSize, Without: without})
		to, at := packet(t, b, udpHere, nil)
		from, _ := packet(t, b, udpHere, nil)
		in := receive(b, to, true)
		limit := 4096 - 144 - controlSize
		for i, n := range []int{limit, limit + 1, 9000, 10} {
			sendTo(t, b, from, &at, pattern(n), nil)
			until(t, b, "it arrives", func() bool { return in.count == i+1 })
			if cut := n > limit; !bytes.Equal(in.got[i], pattern(n)[:min(n, limit)]) || in.msgs[i].Truncated != cut {
				t.Errorf("%d of %d bytes arrive, truncated %v", len(in.got[i]), n, in.msgs[i].Truncated)
			}
		}
	}
}

// flood sends n datagrams of a size to a port, as fast as it can, from a socket
// of its own.
func flood(t testing.TB, at proactor.Address, n, size int) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		defer unix.Close(fd)
		err = unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.IP().As4()})
	}
	p := make([]byte, size)
	for i := 0; i < n && err == nil; i++ {
		_, err = unix.Write(fd, p)
	}
	if err != nil {
		t.Error(err)
	}
}

// 1e5 datagrams with eight buffers: some are dropped by the kernel, as
// datagrams are, but reception goes on.
func TestFloodWithEightBuffersOnlyDrops(t *testing.T) {
	for _, keep := range []bool{false, true} {
		b := openTest(t, Options{Datagrams: 8, Entries: 4, CQEntries: 8})
		to, at := packet(t, b, udpHere, nil)
		in := receive(b, to, false)
		in.keep = keep
		n := 100_000
		if testing.Short() {
			n = 20_000
		}
		over := make(chan struct{})
		go func() { defer close(over); flood(t, at, n, 32); b.Wake() }()
		for ended := false; !ended; {
			if err := b.Poll(10 * time.Millisecond); err != nil {
				t.Fatal(err)
			}
			select {
			case <-over:
				ended = true
			default:
			}
		}
		pass(t, b, 20*time.Millisecond)
		before := in.count
		from, _ := packet(t, b, udpHere, nil)
		for i := range 100 {
			sendTo(t, b, from, &at, pattern(10), nil)
			until(t, b, "what comes afterwards arrives", func() bool { return in.count == before+i+1 })
		}
		enters := b.Stats().Enters
		pass(t, b, 50*time.Millisecond)
		if d := b.Stats().Enters - enters; d > 10 {
			t.Errorf("keep %v: %d enters while nothing comes", keep, d)
		}
		st := b.Stats()
		t.Logf("keep %v: %d of %d came; starved %d, re-armed %d, overflowed %d, evicted %d", keep, before, n,
			st.Starved, st.Rearmed, st.Overflowed, st.Evicted)
		if in.err != nil || before < 100 || st.Starved+st.Rearmed == 0 || keep && (st.Evicted == 0 || st.Holds > 4) {
			t.Errorf("%v, %d came, %+v", in.err, before, st)
		}
		for _, h := range in.holds {
			h.Release()
		}
	}
}

// Receives that find no buffer are served in the order in which they starved.
func TestStarvingReceiversTakeTurns(t *testing.T) {
	b := openTest(t, Options{Datagrams: 2})
	hoarder, full := packet(t, b, udpHere, nil)
	h := receive(b, hoarder, false)
	h.keep = true
	from, _ := packet(t, b, udpHere, nil)
	for range 2 {
		sendTo(t, b, from, &full, pattern(5), nil)
	}
	until(t, b, "one buffer is held", func() bool { return h.count == 2 && len(h.holds) == 1 })
	var boxes []*letterbox
	var order []int
	for i := range 6 {
		to, at := packet(t, b, udpHere, nil)
		boxes = append(boxes, receive(b, to, false))
		pass(t, b, time.Millisecond)
		sendTo(t, b, from, &at, []byte{byte(i)}, nil)
	}
	until(t, b, "all get theirs", func() bool {
		for i, x := range boxes {
			if x.count > 0 && (len(order) <= i) {
				order = append(order, i)
			}
		}
		return len(order) == len(boxes)
	})
	if h.asked != 1 {
		t.Errorf("%d holds were asked back, want 1", h.asked)
	}
}

// A completion that comes for nobody gives its buffer back, and closes the
// files that it brings.
func TestStaleDatagramReturnsItsBufferAndFiles(t *testing.T) {
	b := openTest(t, Options{Datagrams: 2})
	to, at := packet(t, b, proactor.UnixgramAddress(t.TempDir()+"/a"), nil)
	from, _ := packet(t, b, proactor.UnixgramAddress(""), nil)
	in := receive(b, to, true)
	pass(t, b, time.Millisecond)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[0])
	for i := range 10 {
		rights := unix.UnixRights(p[1])
		if err := unix.Sendmsg(int(from.Index()), []byte("x"), rights, &unix.SockaddrUnix{Name: at.Path()}, 0); err != nil {
			t.Fatal(err)
		}
		for b.ring.Ready() == 0 {
			if _, err := b.ring.Wait(1, time.Second); err != nil {
				t.Fatal(err)
			}
		}
		c, _ := b.ring.NextCQE()
		if !c.More() || c.UserData>>kindShift != kindMailControl {
			t.Fatalf("flags %#x, user %#x", c.Flags, c.UserData)
		}
		c.UserData ^= 1 << 40 // another generation
		b.dispatch(c)
		if st := b.Stats(); st.Stale != uint64(i+1) || st.Lent != 0 {
			t.Fatalf("%+v", st)
		}
		b.publish()
	}
	unix.Close(p[1])
	if n, err := unix.Read(p[0], make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the pipe is still open: %d, %v", n, err)
	}
	if in.count != 0 {
		t.Error("it was delivered")
	}
}

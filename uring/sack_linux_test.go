//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// A sequence is a socket that sends numbered datagrams, and knows the next number.
type sequence struct {
	fd   int
	to   unix.Sockaddr
	next uint32
}

func newSequence(t *testing.T, to proactor.Address) *sequence {
	s := &sequence{to: &unix.SockaddrInet4{Port: int(to.Port()), Addr: [4]byte{127, 0, 0, 1}}}
	domain := unix.AF_INET
	if to.IP().Is6() {
		domain, s.to = unix.AF_INET6, &unix.SockaddrInet6{Port: int(to.Port()), Addr: to.IP().As16()}
	}
	var err error
	if s.fd, err = unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(s.fd) })
	return s
}

// send sends n datagrams of a size.
func (s *sequence) send(t *testing.T, n, size int) {
	t.Helper()
	for range n {
		p := binary.BigEndian.AppendUint32(nil, s.next)
		if err := unix.Sendto(s.fd, append(p, make([]byte, size-4)...), 0, s.to); err != nil {
			t.Fatal(err)
		}
		s.next++
	}
}

// sacked sends crowds until l, which has received nothing yet, receives in sacks.
func sacked(t *testing.T, b *Backend, l *letterbox, s *sequence) {
	t.Helper()
	for range crowds {
		if inSacks(b, l) {
			t.Fatal("it receives in sacks too early")
		}
		s.send(t, several, 8)
		until(t, b, "a crowd arrives", func() bool { return l.count == int(s.next) })
	}
	if !inSacks(b, l) {
		t.Fatalf("after %d crowds it does not receive in sacks", crowds)
	}
}

func inSacks(b *Backend, l *letterbox) bool { return b.slots.at(l.op.B.Slot).wait }

// allCame fails unless l has received all that was sent, in order.
func allCame(t *testing.T, l *letterbox, s *sequence) {
	t.Helper()
	if l.count != int(s.next) || l.err != nil {
		t.Fatalf("%d of %d arrive, %v", l.count, s.next, l.err)
	}
	for i, p := range l.got {
		if binary.BigEndian.Uint32(p) != uint32(i) {
			t.Fatalf("in place %d is % x", i, p)
		}
	}
}

// A busy socket is received from in sacks, and by a multishot again once
// datagrams come one by one.
func TestManyDatagramsComeInSacks(t *testing.T) {
	for _, local := range []proactor.Address{udpHere, udpHere6} {
		for _, with := range []bool{false, true} {
			b := openTest(t, Options{})
			to, at := packet(t, b, local, nil)
			in, s := receive(b, to, with), newSequence(t, at)
			sacked(t, b, in, s)
			for range 5 {
				s.send(t, 2*sackSize+1, 8) // several sacks
				until(t, b, "sacks arrive", func() bool { return in.count == int(s.next) })
			}
			for range singles + 1 { // the last of those sacks may have brought one, too
				s.send(t, 1, 8)
				until(t, b, "single ones arrive", func() bool { return in.count == int(s.next) })
			}
			allCame(t, in, s)
			if inSacks(b, in) {
				t.Error("single datagrams come in sacks")
			}
			for _, p := range in.peers {
				if p != in.peers[0] || p.IP() != local.IP() || p.Port() == 0 {
					t.Fatalf("from %v, want %v", p, in.peers[0])
				}
			}
			b.Cancel(&in.op)
			until(t, b, "it ends", func() bool { return in.err != nil })
			if st := b.Stats(); in.err != proactor.ErrCanceled || st.Lent != 0 || st.Stale != 0 || st.Ops != 0 {
				t.Errorf("%v, %+v", in.err, st)
			}
		}
	}
}

// What a sack brings says what the packets' fields say, each its own.
func TestSacksBringWhatIsTold(t *testing.T) {
	b := openTest(t, Options{})
	told := &proactor.SocketOptions{RecvTTL: proactor.On, RecvLocal: proactor.On, SegmentedReceive: proactor.On}
	to, at := packet(t, b, udpHere, told)
	in, s := receive(b, to, true), newSequence(t, at)
	sacked(t, b, in, s)
	set := func(level, option, value int) {
		if err := unix.SetsockoptInt(s.fd, level, option, value); err != nil {
			t.Fatal(err)
		}
	}
	first, ttls := int(s.next), []int{9, 200, 64, 1}
	for _, ttl := range ttls {
		set(unix.IPPROTO_IP, unix.IP_TTL, ttl)
		s.send(t, 1, 8)
	}
	set(unix.IPPROTO_UDP, unix.UDP_SEGMENT, 8)
	s.send(t, 1, 36)
	until(t, b, "they arrive", func() bool { return in.count == int(s.next) })
	allCame(t, in, s)
	if !inSacks(b, in) {
		t.Error("they come one by one")
	}
	for i, m := range in.msgs[first:] {
		ttl, size := uint8(1), 8
		if i < len(ttls) {
			ttl, size = uint8(ttls[i]), 0
		}
		if m.Info.Has != proactor.HasTTL|proactor.HasLocal || m.Info.TTL != ttl || m.Info.Local != at.IP() || m.SegmentSize != size {
			t.Errorf("of datagram %d: %+v, segments of %d; want TTL %d, segments of %d", i, m.Info, m.SegmentSize, ttl, size)
		}
	}
}

// What is too long for a buffer is cut in a sack, too, and says so.
func TestLongDatagramsAreCutInSacks(t *testing.T) {
	limit := 4096 - 144 - controlSize
	b := openTest(t, Options{Datagrams: 16, DatagramSize: limit})
	to, at := packet(t, b, udpHere, nil)
	in, s := receive(b, to, true), newSequence(t, at)
	sacked(t, b, in, s)
	for _, n := range []int{limit, limit + 1, 9000, 10, 10} {
		s.send(t, 1, n)
	}
	until(t, b, "they arrive", func() bool { return in.count == int(s.next) })
	allCame(t, in, s)
	for i, m := range in.msgs[len(in.msgs)-5:] {
		n := len(in.got[len(in.msgs)-5+i])
		if want := []int{limit, limit, limit, 10, 10}[i]; n != want || m.Truncated != (i == 1 || i == 2) {
			t.Errorf("%d bytes arrive, truncated %v; want %d", n, m.Truncated, want)
		}
	}
}

// A meddler does something when a certain datagram is there.
type meddler struct {
	*letterbox
	at int
	do func()
}

func (m *meddler) Complete(op *proactor.Op) {
	m.letterbox.Complete(op)
	if op.More && m.count == m.at {
		m.do()
	}
}

// meddled receives in sacks, and has do called in the middle of one.
func meddled(t *testing.T) (*Backend, *meddler, *sequence) {
	b := openTest(t, Options{})
	to, at := packet(t, b, udpHere, nil)
	m := &meddler{letterbox: &letterbox{b: b}}
	m.op = proactor.Op{Kind: proactor.OpRecvFrom, Handle: to, Owner: m, Addr: &m.from, Msg: &m.msg}
	b.Submit(&m.op)
	s := newSequence(t, at)
	sacked(t, b, m.letterbox, s)
	m.at = int(s.next) + 3
	return b, m, s
}

// What a sack has brought is delivered after a Cancel, too, and before its end.
func TestCancelInASack(t *testing.T) {
	b, m, s := meddled(t)
	m.do = func() { b.Cancel(&m.op) }
	s.send(t, 6, 8)
	until(t, b, "it ends", func() bool { return m.err != nil })
	if m.err != proactor.ErrCanceled {
		t.Error(m.err)
	}
	m.err = nil
	allCame(t, m.letterbox, s)
	if st := b.Stats(); st.Ops != 0 || st.Lent != 0 {
		t.Errorf("%+v", st)
	}
}

// A Resume in the same sack takes the Cancel back.
func TestResumeInASack(t *testing.T) {
	b, m, s := meddled(t)
	m.do = func() { b.Cancel(&m.op); b.Resume(&m.op) }
	s.send(t, 6, 8)
	until(t, b, "the sack arrives", func() bool { return m.count == int(s.next) })
	s.send(t, 6, 8)
	until(t, b, "another arrives", func() bool { return m.count == int(s.next) })
	allCame(t, m.letterbox, s)
}

// A panic in a Complete loses nothing of the sack.
func TestPanicInASack(t *testing.T) {
	for _, last := range []bool{false, true} {
		b, m, s := meddled(t)
		if last {
			m.at += 3
		}
		m.do = func() { panic("meddler") }
		s.send(t, 6, 8)
		func() {
			defer func() {
				if recover() != "meddler" {
					t.Error("there was no panic")
				}
			}()
			until(t, b, "a panic", func() bool { return false })
		}()
		if m.count != m.at {
			t.Fatalf("%d were delivered, want %d", m.count, m.at)
		}
		s.send(t, 6, 8)
		until(t, b, "the rest arrives", func() bool { return m.count == int(s.next) })
		allCame(t, m.letterbox, s)
		if st := b.Stats(); st.Lent != 0 {
			t.Errorf("%+v", st)
		}
	}
}

// Holds of what came in sacks are asked back when they are too many, and keep their
// bytes until then.
func TestHoldsOfSacks(t *testing.T) {
	b := openTest(t, Options{Datagrams: 16})
	to, at := packet(t, b, udpHere, nil)
	in, s := receive(b, to, false), newSequence(t, at)
	sacked(t, b, in, s)
	in.keep = true
	for range 20 {
		s.send(t, 5, 8)
		until(t, b, "they arrive", func() bool { return in.count == int(s.next) })
		first := len(in.got) - len(in.holds)
		for i, h := range in.holds {
			if !bytes.Equal(h.Bytes, in.got[first+i]) {
				t.Fatalf("a hold has % x, want % x", h.Bytes, in.got[first+i])
			}
		}
	}
	allCame(t, in, s)
	pass(t, b, time.Millisecond)
	if st := b.Stats(); st.Holds > 8 || in.asked != int(s.next)-crowds*several-st.Holds {
		t.Errorf("%d were asked back; %+v", in.asked, st)
	}
	for _, h := range in.holds {
		h.Release()
	}
	in.holds, in.keep = nil, false
	if st := b.Stats(); st.Holds != 0 || st.Lent != 0 {
		t.Errorf("%+v", st)
	}
}

// A busy socket's receiving and answering allocates nothing.
func TestSacksAllocateNothing(t *testing.T) {
	b := openTest(t, Options{})
	to, at := packet(t, b, udpHere, nil)
	in, s := receive(b, to, true), newSequence(t, at)
	sacked(t, b, in, s)
	in.count = 2000 // from here on it keeps no copies
	p := make([]byte, 64)
	round := func() {
		want := in.count + 20
		for range 20 {
			_ = unix.Sendto(s.fd, p, 0, s.to)
		}
		for in.count < want {
			_ = b.Poll(time.Second)
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n > 0 && !invariant.Enabled {
		t.Errorf("%v allocations for 20 datagrams", n)
	}
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A stuck is a relay whose sink is full and is not read.
type stuck struct {
	op       proactor.Op
	relay    proactor.Relay
	from, to *os.File // what the source's peer writes to, and the sink's reads from
	filled   int      // bytes that were in the sink before
	sent     []byte
}

func (s *stuck) Complete(*proactor.Op) {}

func stall(t *testing.T, b *Backend) *stuck {
	t.Helper()
	s := &stuck{}
	source, from, err := unix2(t)
	if err != nil {
		t.Fatal(err)
	}
	sink, to, err := unix2(t)
	if err != nil {
		t.Fatal(err)
	}
	s.from, s.to = from, to
	t.Cleanup(func() { _ = from.Close(); _ = to.Close() })
	h := adopt(t, b, sink)
	fd := int(h.Index())
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		t.Fatal(err)
	}
	for n, err := 0, error(nil); err == nil; s.filled += max(n, 0) {
		n, err = unix.Write(fd, make([]byte, 100))
	}
	s.relay.Dst = h
	s.op = proactor.Op{Kind: proactor.OpRelay, Handle: adopt(t, b, source), Owner: s, Relay: &s.relay}
	b.Submit(&s.op)
	return s
}

// give sends a piece into the relay, and waits until it is there.
func (s *stuck) give(t *testing.T, b *Backend, p []byte) {
	t.Helper()
	if _, err := s.from.Write(p); err != nil {
		t.Fatal(err)
	}
	s.sent = append(s.sent, p...)
	until(t, b, "the relay has the piece", func() bool { return s.relay.B.(*relay).queued == len(s.sent) })
}

// Relays whose sinks take nothing give their buffers back beyond the cap, and
// lose nothing; nobody else starves for them.
func TestStalledRelaysKeepNoMoreBuffersThanTheCap(t *testing.T) {
	for _, o := range []Options{
		{Buffers: 8, BufferSize: 1024, Holds: 2, Plain: true},
		{Buffers: 8, BufferSize: 1024, Holds: 2},
	} {
		b := openTest(t, o)
		var all []*stuck
		for range 6 {
			all = append(all, stall(t, b))
		}
		for i := range 3 * len(all) {
			all[i%len(all)].give(t, b, pattern(1000+i))
		}
		for range 3 {
			_ = b.Poll(time.Millisecond)
		}
		if st := b.Stats(); st.Lent > 2+1 || st.Starved > 0 || b.pinned != st.Lent || b.asked != 0 {
			t.Errorf("%+v: %d buffers are pinned and %d asked back: %+v", o, b.pinned, b.asked, st)
		}
		for _, s := range all {
			_ = s.from.Close()
			got := make(chan []byte, 1)
			go func() { p, _ := io.ReadAll(s.to); got <- p }()
			until(t, b, "the relay ends once its sink is read", func() bool { return !s.op.Active() })
			_ = b.CloseFD(s.relay.Dst)
			if p := <-got; !bytes.Equal(p[s.filled:], s.sent) {
				t.Errorf("%+v: %d bytes arrive of %d, or changed", o, len(p)-s.filled, len(s.sent))
			}
		}
		_ = b.Poll(0)
		if st := b.Stats(); b.pinned != 0 || b.asked != 0 || st.Holds != 0 || st.Lent > 1 {
			t.Errorf("%+v: %d pinned, %d asked back at the end: %+v", o, b.pinned, b.asked, st)
		}
	}
}

// What a relay passes on at once is never asked back, however low the cap.
func TestRelaysThatDoNotStallKeepTheirBuffers(t *testing.T) {
	b := openTest(t, Options{Buffers: 64, BufferSize: 64, Holds: 1, Plain: true})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	p := relayTo(t, b, proactor.FromNetAddr(l.Addr()))
	const n = 8
	var fds [n]int
	for i := range fds {
		fds[i] = rawDial(t, p.address)
	}
	done, _ := background(b, n, func(i int) error {
		if !pingRaw(fds[i], pattern(64), make([]byte, 64), 500) {
			t.Error("a client failed")
		}
		return nil
	})
	until(t, b, "8 clients have their echoes", done)
	if st := b.Stats(); st.Evicted != 0 || st.RelayCopied == 0 {
		t.Errorf("%+v", st)
	}
}

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

	"mobius/internal/testenv"
	"mobius/proactor"
)

// halfClosed returns a stream of b whose peer has ended its side and does not
// read.
func halfClosed(t *testing.T, b *Backend) (proactor.Handle, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = peer.Close() })
	if err := peer.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	return adopt(t, b, f), peer.(*net.TCPConn)
}

// To the kernel's own poll a socket whose peer has half-closed is ready for
// ever (POLLRDHUP cannot be masked), so a send that has to wait would be tried
// 128 times in a row and then block a worker thread, out of a cancel's sight.
func TestSendToAHalfClosedPeerStartsNoThread(t *testing.T) {
	testenv.Eventually(t, 10*time.Second, "workers of tests before are gone", func() bool { return workerThreads() == 0 })
	data := pattern(16 << 20) // which takes longer than the count below when checks are compiled in
	for _, bulk := range []bool{false, true} {
		b := openTest(t, Options{})
		h, peer := halfClosed(t, b)
		d := &denied{}
		d.op = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: d, Buf: data}
		if bulk {
			from, to, err := unix2(t)
			if err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = to.Write(data); _ = to.Close() }()
			d.op = proactor.Op{Kind: proactor.OpRelay, Handle: adopt(t, b, from), Owner: d, Relay: &proactor.Relay{Dst: h}}
		}
		b.Submit(&d.op)
		until(t, b, "it waits for room", func() bool { return waitsForRoom(b, &d.op) })
		testenv.Eventually(t, 10*time.Second, "the peer is full and nothing moves", func() bool {
			enters := b.Stats().Enters
			for end := time.Now().Add(50 * time.Millisecond); time.Now().Before(end); {
				_ = b.Poll(time.Until(end))
			}
			return b.Stats().Enters-enters <= 2
		})
		before := b.Stats().Enters
		start := time.Now()
		for time.Since(start) < 200*time.Millisecond {
			_ = b.Poll(200*time.Millisecond - time.Since(start))
		}
		if n := b.Stats().Enters - before; n > 20 {
			t.Errorf("bulk %v: %d enters while nothing can be sent", bulk, n)
		}
		if n := workerThreads(); n != 0 {
			t.Errorf("bulk %v: %d worker threads", bulk, n)
		}
		got := make(chan []byte, 1)
		go func() { p, _ := io.ReadAll(peer); got <- p }()
		until(t, b, "it is sent when the peer reads", func() bool { return !d.op.Active() })
		if err := b.Shutdown(h); err != nil {
			t.Error(err)
		}
		if p := <-got; !bytes.Equal(p, data) {
			t.Errorf("bulk %v: %d bytes arrive, changed", bulk, len(p))
		}
	}
}

// waitsForRoom reports whether a Send, or the sink of a Relay, polls for room.
func waitsForRoom(b *Backend, op *proactor.Op) bool {
	s := b.slots.at(op.B.Slot)
	if op.Kind == proactor.OpRelay {
		s = s.relay.sink
	}
	return s.armed && s.poll
}

// A send that waits for a half-closed peer can be cancelled, and says how much
// was taken.
func TestCancelOfASendToAHalfClosedPeer(t *testing.T) {
	b := openTest(t, Options{})
	h, peer := halfClosed(t, b)
	d := &denied{}
	d.op = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: d, Buf: pattern(16 << 20)}
	b.Submit(&d.op)
	for range 20 {
		_ = b.Poll(2 * time.Millisecond)
	}
	b.Cancel(&d.op)
	until(t, b, "it ends", func() bool { return !d.op.Active() })
	if d.err != proactor.ErrCanceled || d.op.N == 0 || d.op.N == 16<<20 {
		t.Errorf("it ends with %v after %d bytes", d.err, d.op.N)
	}
	if err := b.CloseFD(h); err != nil {
		t.Fatal(err)
	}
	if p, err := io.ReadAll(peer); len(p) != d.op.N || !bytes.Equal(p, pattern(16 << 20)[:len(p)]) {
		t.Errorf("%d bytes arrive (%v), N is %d", len(p), err, d.op.N)
	}
}

func unix2(t *testing.T) (a, b *os.File, err error) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b"), nil
}

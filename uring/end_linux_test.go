//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A late receiver finds all that a peer sent, and its end, when it begins.
type late struct {
	b   *Backend
	h   proactor.Handle
	op  proactor.Op
	got int
}

func (l *late) Complete(op *proactor.Op) {
	if op.Kind == proactor.OpAccept && op.Err == nil {
		l.h = op.New
	}
	if op == &l.op {
		l.got += op.N
	}
}

// reset closes a connection so that the peer sees a reset.
func reset(t *testing.T, fd int) {
	t.Helper()
	if err := unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
		t.Fatal(err)
	}
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Dup3(null, fd, unix.O_CLOEXEC); err != nil { // the number stays taken
		t.Fatal(err)
	}
	_ = unix.Close(null)
}

// The end of a stream that comes behind more pieces than the kernel takes in
// one go is seen: of each kind, for each number of pieces.
func TestTheEndBehindManyPieces(t *testing.T) {
	const size = 64
	for _, how := range []string{"end", "reset", "unix", "relay"} {
		for _, n := range []int{31, 32, 33, 34, 63, 64, 65, 97, 160} {
			b := openTest(t, Options{Plain: true, Buffers: 256, BufferSize: size})
			l := &late{b: b}
			var fd int
			if how == "unix" || how == "relay" {
				x, y := pair(t)
				l.h, fd = dup(t, b, x), y
			} else {
				fd = rawDial(t, listenFor(t, b, l))
				until(t, b, "it is accepted", func() bool { return l.h != 0 })
			}
			if k, err := unix.Write(fd, pattern(size*n)); k != size*n {
				t.Fatal(k, err)
			}
			if how == "reset" {
				reset(t, fd)
			} else if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			l.op = proactor.Op{Kind: proactor.OpRecv, Handle: l.h, Owner: l}
			if how == "relay" {
				x, _ := pair(t)
				l.op = proactor.Op{Kind: proactor.OpRelay, Handle: l.h, Owner: l, Relay: &proactor.Relay{Dst: dup(t, b, x)}}
			}
			b.Submit(&l.op)
			until(t, b, "the "+how+" behind many pieces is seen", func() bool { return !l.op.Active() })
			if how == "relay" {
				l.got = int(l.op.Relay.Moved.Load())
			}
			if end := errors.Is(l.op.Err, io.EOF); l.got != size*n || end == (how == "reset") {
				t.Errorf("%s: %d of %d bytes, %v", how, l.got, size*n, l.op.Err)
			}
		}
	}
}

// dup gives b a copy of a descriptor.
func dup(t *testing.T, b *Backend, fd int) proactor.Handle {
	t.Helper()
	fd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	h, err := b.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

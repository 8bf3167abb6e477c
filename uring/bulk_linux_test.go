//go:build linux && (amd64 || arm64)

package uring

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A hoarder keeps what it receives, in holds if it is told to.
type hoarder struct {
	b     *Backend
	op    proactor.Op
	got   []byte
	holds []*proactor.Hold
	hold  bool
}

func (h *hoarder) Evict(*proactor.Hold) {}
func (h *hoarder) Complete(op *proactor.Op) {
	h.got = append(h.got, op.Buf...)
	if h.hold && op.N > 0 {
		h.holds = append(h.holds, h.b.Hold(op, h))
	}
}

// bulk reports whether the stream is read by the loop now.
func (h *hoarder) bulk() bool {
	s := h.b.slots.at(h.op.B.Slot)
	return s.armed && s.poll
}

// Streams of large pieces are read by the loop, and by the kernel again once
// their pieces are small or no buffer is spare.
func TestLargePiecesAreReadByTheLoop(t *testing.T) {
	b := openTest(t, Options{Buffers: 8, BufferSize: 256 << 10, Holds: 8, Plain: true})
	x, y := pair(t)
	h := &hoarder{b: b}
	h.op = proactor.Op{Kind: proactor.OpRecv, Handle: dup(t, b, x), Owner: h}
	b.Submit(&h.op)
	var sent []byte
	send := func(size int) {
		t.Helper()
		p := pattern(size)
		if n, err := unix.Write(y, p); n != size {
			t.Fatal(n, err)
		}
		sent = append(sent, p...)
		until(t, b, "it arrives", func() bool { return len(h.got) == len(sent) })
	}
	becomes := func(bulk bool, size int) {
		t.Helper()
		for n := 0; h.bulk() != bulk; n++ {
			if n == 8 {
				t.Fatalf("after %d pieces of %d bytes: read by the loop %v", n, size, h.bulk())
			}
			send(size)
			if err := b.Poll(0); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(64 << 10)
	if h.bulk() {
		t.Error("one piece makes a stream bulk")
	}
	renew := func() {
		t.Helper()
		b.Cancel(&h.op)
		until(t, b, "it ends", func() bool { return !h.op.Active() })
		b.Submit(&h.op)
	}
	becomes(true, 64<<10)
	becomes(false, 1000)
	if renew(); h.bulk() {
		t.Error("the next Recv begins as one before the last has ended")
	}
	becomes(true, 64<<10)
	h.hold = true
	becomes(false, 64<<10) // nothing is spare
	h.hold = false
	for _, hold := range h.holds {
		hold.Release()
	}
	becomes(true, 64<<10)

	if renew(); !h.bulk() {
		t.Error("the next Recv does not begin as the last one has ended")
	}
	b.Cancel(&h.op)
	until(t, b, "it ends", func() bool { return !h.op.Active() })
	h.op.Limit = 100_000
	b.Submit(&h.op)
	send(100_000)
	if h.op.Active() || h.op.Err != nil || !bytes.Equal(h.got, sent) {
		t.Errorf("a Limit: %d of %d bytes, %v", len(h.got), len(sent), h.op.Err)
	}
}

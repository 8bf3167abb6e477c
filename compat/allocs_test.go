package compat

import (
	"io"
	"testing"

	"mobius/internal/invariant"
)

// worker hands what it has received to a goroutine, which answers.
type worker struct {
	BuiltinEventEngine
	conns chan Conn
	spans bool // messages of 8 bytes
}

func (k *worker) OnOpen(c Conn) ([]byte, Action) {
	k.conns <- c
	return nil, None
}

func (k *worker) OnTraffic(c Conn) Action {
	if k.spans && c.InboundBuffered() < 8 {
		return None
	}
	b, err := c.Next(-1)
	if err != nil {
		return Close
	}
	if b[0] == 'a' { // asynchronously
		if c.AsyncWrite(b, nil) != nil {
			return Close
		}
		return None
	}
	_, _ = c.Write(b)
	return None
}

// Reading and writing allocates nothing: at once, later, and of messages that
// come in two pieces.
func TestNothingIsAllocated(t *testing.T) {
	if invariant.Enabled {
		t.Log("with invariants compiled in lent bytes are allocated on purpose")
		return
	}
	eachReal(t, func(w *world) {
		k := &worker{conns: make(chan Conn, 1), spans: true}
		s := w.serve(k, "tcp://127.0.0.1:0")
		c := dial(w, s)
		answer := make([]byte, 8)
		for _, question := range []string{"sync....", "async..."} {
			ask := []byte(question)
			n := testing.AllocsPerRun(2000, func() {
				for _, piece := range [][]byte{ask[:3], ask[3:]} {
					if _, err := c.Write(piece); err != nil {
						w.Fatal(err)
					}
				}
				if _, err := io.ReadFull(c, answer); err != nil {
					w.Fatal(err)
				}
			})
			if n != 0 || string(answer) != question {
				w.Errorf("%q: %v allocations for each, answer %q", question, n, answer)
			}
		}
	})
}

// What is passed on whole, or a part of which is, keeps its buffer: an echo of
// 16 KiB copies nothing. An append to it does not write over what follows.
func TestLentBytesAreRestored(t *testing.T) {
	el := &eventLoop{}
	whole := make([]byte, 40_000)
	el.whole = whole
	in := inbound{el: el, lent: whole}
	head, err := in.Next(10_000)
	if err != nil || cap(head) != 10_000 {
		t.Fatalf("capacity %d, %v", cap(head), err)
	}
	if got := el.restore(head[1000:9000]); len(got) != 8000 || cap(got) != 39_000 || &got[0] != &whole[1000] {
		t.Errorf("%d bytes with capacity %d", len(got), cap(got))
	}
	next, _ := in.Next(20_000)
	if got := el.restore(next); len(got) != 20_000 || cap(got) != 30_000 {
		t.Errorf("%d bytes with capacity %d", len(got), cap(got))
	}
	for _, p := range [][]byte{next[:10], make([]byte, 20_000), make([]byte, 50_000), head[:8000:8000]} {
		if got := el.restore(p); cap(got) != cap(p) {
			t.Errorf("%d bytes with capacity %d became %d", len(p), cap(p), cap(got))
		}
	}
	_ = append(head, 1)
	if whole[10_000] != 0 {
		t.Error("an append has written over what follows")
	}
}

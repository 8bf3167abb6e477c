package sys

import (
	"sync"
	"testing"

	"mobius/proactor"
)

func TestChunksNeverMove(t *testing.T) {
	var c Chunks[int]
	if c.At(0) != nil || c.At(1<<20) != nil {
		t.Fatal("cells before Grow")
	}
	far := c.Grow(5 * chunkSize)
	near := c.Grow(3)
	*far, *near = 1, 2
	if c.At(2*chunkSize) != nil {
		t.Error("a chunk between two that were asked for")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range uint32(20 * chunkSize) {
				if p := c.At(5 * chunkSize); p != far || *p != 1 {
					t.Errorf("cell moved while growing: %v", p)
					return
				}
				c.At(i)
			}
		})
	}
	for i := range uint32(20 * chunkSize) {
		c.Grow(i)
	}
	wg.Wait()
	if c.At(3) != near || *near != 2 {
		t.Error("cell moved")
	}
	n := 0
	c.All(func(*int) { n++ })
	if n != 20*chunkSize {
		t.Errorf("All meets %d cells", n)
	}
}

func TestGenerationWrapsWithoutZero(t *testing.T) {
	var tab Table
	e := tab.Open(7, Other, proactor.NoNetwork)
	h := e.Handle()
	tab.close(e)
	e.generation = ^uint32(0)
	again := tab.Open(7, Other, proactor.NoNetwork).Handle()
	if again.Generation() != 1 || again != h {
		t.Errorf("after the last generation comes %v", again)
	}
	if tab.Handles() != 1 {
		t.Errorf("%d handles", tab.Handles())
	}
	defer func() {
		if recover() == nil {
			t.Error("a number that is open was opened again")
		}
	}()
	tab.Open(7, Other, proactor.NoNetwork)
}

func TestCursorGoesThroughAllPieces(t *testing.T) {
	op := &proactor.Op{Buf: []byte("ab"), Bufs: [][]byte{nil, []byte("c"), {}, []byte("defgh"), nil}}
	for step := 1; step <= 8; step++ {
		var c Cursor
		c.Start(op)
		var got []byte
		for c.Left() > 0 {
			p := c.next(op)
			p = p[:min(len(p), step)]
			got = append(got, p...)
			c.Advance(op, len(p))
		}
		if string(got) != "abcdefgh" {
			t.Errorf("in steps of %d: %q", step, got)
		}
		c.Start(op)
		c.Advance(op, step)
		if c.Left() != 8-step || c.Left() > 0 && c.next(op)[0] != "abcdefgh"[step] {
			t.Errorf("after %d bytes at once: %d left", step, c.Left())
		}
	}
}

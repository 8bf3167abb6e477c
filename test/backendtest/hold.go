package backendtest

import (
	"sync/atomic"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// Sentences 3 and 3a: lent bytes and holds.

// A keeper holds every piece that a reader gets.
type keeper struct {
	d      *driver
	pieces []*piece // in the order in which they were made
	asked  []*piece // in the order in which they were asked back
	stingy bool     // does not give back what it is asked for
	off    bool     // keeps nothing any more
}

// A piece is one hold.
type piece struct {
	k     *keeper
	hold  *proactor.Hold
	seed  uint64
	off   int64
	times int         // asked back
	given atomic.Bool // released
}

// keep makes r's pieces stay with k.
func (k *keeper) keep(r *reader) {
	r.each = func([]byte) { k.take(r) }
}

func (k *keeper) take(r *reader) {
	if k.off {
		return
	}
	p := &piece{k: k, seed: r.seed, off: r.got - int64(len(r.Op.Buf))}
	buf := r.Op.Buf
	p.hold = k.d.b.Hold(&r.Op, p)
	k.pieces = append(k.pieces, p)
	if len(p.hold.Bytes) != len(buf) || &p.hold.Bytes[0] != &buf[0] {
		k.d.report("sentence 3: a hold of %d bytes holds %d, or others", len(buf), len(p.hold.Bytes))
	}
}

// Evict implements [proactor.Evictor].
func (p *piece) Evict(h *proactor.Hold) {
	if p.times++; p.times > 1 || h != p.hold {
		p.k.d.report("sentence 3b: Evict number %d of a hold (the same: %v)", p.times, h == p.hold)
	}
	p.k.asked = append(p.k.asked, p)
	if !p.k.stingy {
		p.release()
	}
}

// release checks that the bytes are what they were, and gives them back, if
// nobody has. Any goroutine.
func (p *piece) release() {
	if p.given.Swap(true) {
		return
	}
	if i := mismatch(p.seed, p.off, p.hold.Bytes); i >= 0 {
		p.k.d.report("sentence 3a: byte %d of %d held ones has changed to %#x", i, len(p.hold.Bytes), p.hold.Bytes[i])
	}
	p.hold.Release()
}

// held returns how many pieces have not been given back.
func (k *keeper) held() (n int) {
	for _, p := range k.pieces {
		if !p.given.Load() {
			n++
		}
	}
	return n
}

// releaseAll gives everything back, from another goroutine, and keeps
// nothing from now on.
func (k *keeper) releaseAll() { k.d.w.elsewhere(k.takeAll()) }

// takeAll makes k keep nothing from now on, and returns what gives back what
// it has. Any goroutine may call that.
func (k *keeper) takeAll() (release func()) {
	k.off = true
	pieces := k.pieces
	return func() {
		for _, p := range pieces {
			p.release()
		}
	}
}

// brief is how long a test watches that something does not happen.
func (w *world) brief() time.Duration {
	if w.cfg.Virtual {
		return 20 * time.Second
	}
	return 15 * time.Millisecond
}

func s3LentUntilCompleteReturns(w *world) {
	a, b := w.connect()
	c, d := w.connect()
	r, other := b.read(1), c.read(2)
	var off int64
	r.each = func([]byte) { // the reader compares once more when this returns
		n, err := b.d.b.TryWrite(d.h, [][]byte{made(2, off, 500)})
		if err != nil {
			b.d.report("TryWrite in Complete: %v", err)
		}
		off += int64(n)
	}
	total := int64(w.size(1 << 20))
	out := a.write(1, total, func() int { return 1000 })
	w.until("everything arrives", func() bool { return r.got == total && out.isDone() })
	w.until("what was written meanwhile arrives too", func() bool { return other.got == off })
}

func s3ReturnedBytesAreScribbledOver(w *world) {
	if !invariant.Enabled {
		return // only where the checks are compiled in
	}
	a, b := w.connect()
	r := b.read(1)
	var kept []byte
	r.each = func(p []byte) { kept = p }
	a.say(made(1, 0, 64))
	w.until("bytes arrive", r.has(64))
	w.step()
	if mismatch(1, 64-int64(len(kept)), kept) < 0 {
		w.Fatal("lent bytes still stand there after they were returned: nobody would notice who kept them")
	}
}

func s3HoldsKeepTheBytes(w *world) {
	w.each(func() {
		a, b := w.connect()
		k := &keeper{d: b.d}
		r := b.read(1)
		k.keep(r)
		out := a.write(1, 1000, func() int { return 200 })
		w.until("all bytes arrive, held or not", func() bool { return out.isDone() && r.got == 1000 })
		if len(k.pieces) == 0 || b.d.b.Stats().Holds > len(k.pieces) {
			w.Fatalf("%d pieces, %d holds in Stats", len(k.pieces), b.d.b.Stats().Holds)
		}
		r.cancel()
		w.until("the recv ends", r.isIdle)
		b.close() // the holds outlive the handle
		a.close()
		k.releaseAll()
	})
}

func s3aHeldBytesStayUnchanged(w *world) {
	a, b := w.connect()
	c, d := w.connect()
	k := &keeper{d: b.d, stingy: true}
	r := b.read(1)
	k.keep(r)
	for i := range int64(3) {
		op := a.d.probe(proactor.OpSend, a.h)
		op.Buf = made(1, i*50, 50)
		op.submit()
		w.until("the send completes", op.isIdle)
		w.within(w.brief(), r.has(i*50+50))
	}
	total := int64(w.size(8 << 20))
	flood := c.write(2, total, nil)
	in := d.read(2)
	w.within(w.brief(), in.has(total)) // as far as it gets with the holds out
	for k.held() > 0 || r.got < 150 {
		k.releaseOldest()
		w.within(w.brief(), func() bool { return r.got == 150 })
	}
	w.until("the flood gets through", func() bool { return flood.isDone() && in.got == total })
}

func s3aEchoFromHeldBytes(w *world) {
	l := w.server.listen(nil)
	const n = 20
	total := int64(w.size(1 << 20))
	var echoes [n]*echo
	var backs [n]*reader
	for i := range uint64(n) {
		a, b := w.join(l)
		echoes[i] = newEcho(b)
		echoes[i].recv.submit()
		backs[i] = a.read(i)
		a.write(i, total, func() int { return 1 + w.rand.IntN(9000) })
	}
	w.until("everything has come back", func() bool {
		for _, r := range backs {
			if r.got < total && r.live {
				return false
			}
		}
		return true
	})
	for i, r := range backs {
		if r.got != total {
			w.Fatalf("stream %d: %d bytes of %d, %v", i, r.got, total, r.err)
		}
	}
	evicted := 0
	for _, e := range echoes {
		evicted += e.evicted
	}
	if s := w.server.b.Stats(); s.Evicted-w.server.base.Evicted != uint64(evicted) {
		w.Errorf("Stats counts %d evictions, %d were asked", s.Evicted-w.server.base.Evicted, evicted)
	}
}

func s3aReleasedByOthers(w *world) {
	a, b := w.connect()
	total := int64(w.size(2 << 20))
	k := &keeper{d: b.d, stingy: true}
	r := b.read(4)
	k.keep(r)
	a.write(4, total, func() int { return 1 + w.rand.IntN(4000) })
	for first := 0; r.got < total || first < len(k.pieces); {
		w.step()
		batch := k.pieces[first:]
		first = len(k.pieces)
		if len(batch) > 0 {
			w.elsewhere(func() {
				for _, p := range batch {
					p.release()
				}
			})
		}
	}
}

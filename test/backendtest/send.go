package backendtest

import (
	"errors"
	"syscall"

	"mobius/proactor"
)

// Sentences 2c and 5: what a Send says, and that bytes keep their order.

// isReset reports whether err says that the peer is gone.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// small are options that make a peer that does not read stop a sender soon.
var small = &proactor.SocketOptions{SendBuffer: 4096, RecvBuffer: 4096}

// stall returns a writer whose peer does not read, with much still to send:
// some bytes were taken, and no more are.
func (w *world) stall(from stream, seed uint64) *writer {
	out := from.write(seed, 8<<20, nil)
	for range 20 {
		w.step()
	}
	if out.isDone() {
		w.Fatalf("a send of 8 MiB completes (N %d, %v) although nobody reads", out.n, out.err)
	}
	return out
}

func s2cCanceledSendSaysWhatWasTaken(w *world) {
	w.each(func() {
		a, b, _ := w.connectWith(small)
		out := w.stall(a, 1)
		out.cancel()
		w.until("a canceled send ends", out.isIdle)
		if out.err != proactor.ErrCanceled || out.n <= 0 || out.n >= 8<<20 {
			w.Fatalf("send ends with N %d, %v; want some of the bytes and ErrCanceled", out.n, out.err)
		}
		a.shutdown()
		r := b.read(1)
		r.wantEnd(int64(out.n)) // neither more nor fewer than it said
		a.close()
		b.close()
	})
}

func s2cCanceledSendGoesOnWhereItEnded(w *world) {
	a, b, _ := w.connectWith(small)
	total := int64(w.size(3 << 20))
	r := b.read(6)
	out := a.write(6, total, func() int { return 200_000 })
	canceled := 0
	for out.sent < total {
		for range w.rand.IntN(4) {
			w.step()
		}
		out.cancel()
		w.until("a canceled send ends", out.isIdle)
		if out.err != nil && out.err != proactor.ErrCanceled {
			w.Fatalf("send: %v", out.err)
		}
		if out.err != nil {
			canceled++
		}
		if out.sent < total {
			out.send()
		}
	}
	a.shutdown()
	r.wantEnd(total)
	if canceled == 0 && !w.cfg.Virtual {
		w.Logf("no send was caught in the middle")
	}
}

func s2cResetSaysWhatWasTaken(w *world) {
	a, b, _ := w.connectWith(small)
	out := w.stall(a, 1)
	r := b.reader(1, 0)
	r.Limit = 100
	r.submit()
	w.until("the peer has read a little", r.isIdle)
	b.reset() // with bytes unread and more to come
	w.until("a reset ends the send", out.isIdle)
	if !isReset(out.err) || out.n < 100 || out.n >= 8<<20 {
		w.Fatalf("send ends with N %d, %v; want what was taken and ECONNRESET or EPIPE", out.n, out.err)
	}
	again := a.d.probe(proactor.OpSend, a.h)
	again.Buf = []byte("x")
	again.submit()
	w.until("a send on a dead stream ends", again.isIdle)
	if !isReset(again.err) || again.n != 0 {
		w.Fatalf("send after a reset: N %d, %v", again.n, again.err)
	}
}

func s5ShortWritesAreTheBackends(w *world) {
	w.each(func() {
		a, b, _ := w.connectWith(small)
		total := int64(w.size(4 << 20))
		out := a.write(3, total, nil) // one Send; the writer checks N
		r := b.read(3)
		w.until("one big send completes", out.isDone)
		if out.results != 1 || out.err != nil {
			w.Fatalf("%d completions, %v; want one without error", out.results, out.err)
		}
		w.until("all of it arrives", r.has(total))
		a.close()
		r.wantEnd(total)
		b.close()
	})
}

func s5ManyBuffersInOrder(w *world) {
	a, b, _ := w.connectWith(small)
	r := b.read(4)
	var off int64
	for _, count := range []int{1, 3, 64, 65, 1024, 1500} {
		op := a.d.probe(proactor.OpSend, a.h)
		total := int64(0)
		next := func(n int) []byte {
			p := made(4, off+total, n)
			total += int64(n)
			return p
		}
		if count%2 == 1 {
			op.Buf = next(w.rand.IntN(100))
		}
		for range count {
			op.Bufs = append(op.Bufs, next(w.rand.IntN(w.size(12_800)))) // empty ones too
		}
		op.submit()
		w.until("a send of many buffers completes", op.isIdle)
		if off += total; int64(op.n) != total || op.err != nil {
			w.Fatalf("send of %d buffers: N %d, %v; want %d", count, op.n, op.err, total)
		}
	}
	w.until("everything arrives", r.has(off))
	a.shutdown()
	r.wantEnd(off)
}

func s5EmptySendCompletes(w *world) {
	a, b := w.connect()
	r := b.read(0)
	for _, bufs := range [][][]byte{nil, {nil, {}}} {
		op := a.d.probe(proactor.OpSend, a.h)
		op.Bufs = bufs
		op.submit()
		w.until("a send of nothing completes", op.isIdle)
		if op.n != 0 || op.err != nil {
			w.Fatalf("N %d, %v; want 0, nil", op.n, op.err)
		}
	}
	a.shutdown()
	r.wantEnd(0)
}

func s5OrderUnderBackPressure(w *world) {
	a, b, _ := w.connectWith(&proactor.SocketOptions{SendBuffer: 64 << 10, RecvBuffer: 64 << 10})
	total := int64(w.size(2 << 20))
	// Many small sends, each from the completion of the one before.
	out := a.write(8, total, func() int { return 1 + w.rand.IntN(400) })
	r := b.reader(8, 0)
	for r.got < total { // a slow reader: a little, every few turns
		for range w.rand.IntN(3) {
			w.step()
		}
		r.Limit = 1 + w.rand.IntN(w.size(256<<10))
		r.submit()
		w.until("a slow reader gets its piece", func() bool { return r.isIdle() || r.got >= total })
		if !r.live && r.err != nil {
			w.Fatalf("recv: %v", r.err)
		}
	}
	w.until("the writer is done", out.isDone)
	if out.sent != total {
		w.Fatalf("%d sent, %v", out.sent, out.err)
	}
}

func s5OneSendAndOneRecvAtOnce(w *world) {
	a, b, _ := w.connectWith(small)
	total := int64(w.size(1 << 20))
	// Both sides send more than fits before anybody reads.
	there, here := a.write(1, total, nil), b.write(2, total, nil)
	for range 5 {
		w.step()
	}
	back, in := a.read(2), b.read(1)
	w.until("both directions are done", func() bool {
		return there.isDone() && here.isDone() && in.got >= total && back.got >= total
	})
	if in.got != total || back.got != total {
		w.Fatalf("%d and %d bytes, want %d", in.got, back.got, total)
	}
}

// A pinner lends memory to zero-copy sends, and gets it back.
type pinner struct {
	d        *driver
	pin      proactor.Pin
	op       *probe
	released int
}

func (p *pinner) Released(pin *proactor.Pin, _ bool) {
	switch {
	case pin != &p.pin:
		p.d.report("Released of another pin")
	case p.op.live:
		p.d.report("sentence 5: Released before the send's last completion")
	case p.d.calling || !p.d.polling || p.d.elsewhere():
		p.d.report("Released not on the loop's goroutine inside Poll")
	}
	p.released++
	for i := range p.op.Buf {
		p.op.Buf[i] = 0xEE // the memory is the owner's again
	}
}

func (d *driver) pinned(h proactor.Handle, buf []byte) *pinner {
	p := &pinner{d: d, op: d.probe(proactor.OpSend, h)}
	p.pin.Owner = p
	p.op.Buf, p.op.Pin = buf, &p.pin
	return p
}

func s5PinIsReleasedOnce(w *world) {
	a, b := w.connect()
	r := b.read(5)
	var off int64
	var pins []*pinner
	for _, n := range []int{1, 100, 20_000, 70_000, 300_000} {
		p := a.d.pinned(a.h, made(5, off, w.size(n)))
		off += int64(len(p.op.Buf))
		p.op.submit()
		w.until("a zero-copy send completes", p.op.isIdle) // the next one does not wait for Released
		if p.op.err != nil || p.op.n != len(p.op.Buf) {
			w.Fatalf("N %d, %v; want %d", p.op.n, p.op.err, len(p.op.Buf))
		}
		pins = append(pins, p)
	}
	a.shutdown()
	r.wantEnd(off)
	a.close() // waits for the pins
	for i, p := range pins {
		if p.released != 1 {
			w.Errorf("pin %d was released %d times by the time its handle closed, want once", i, p.released)
		}
	}
}

func s5PinIsReleasedAfterAFailure(w *world) {
	a, b, _ := w.connectWith(small)
	p := a.d.pinned(a.h, make([]byte, 4<<20))
	p.op.submit()
	for range 10 {
		w.step()
	}
	b.reset()
	w.until("the send fails", p.op.isIdle)
	w.until("its memory is given back", func() bool { return p.released > 0 })
	q := a.d.pinned(a.h, make([]byte, 1<<16))
	q.op.submit()
	w.until("the next one fails too", q.op.isIdle)
	w.until("its memory is given back", func() bool { return q.released > 0 })
	stale := a.d.pinned(0, make([]byte, 10))
	stale.op.submit()
	w.until("one on no handle fails too", stale.op.isIdle)
	w.until("its memory is given back", func() bool { return stale.released > 0 })
	a.close()
	w.never("released twice", w.brief(), func() bool { return p.released+q.released+stale.released != 3 })
	if p.op.err == nil || q.op.err == nil || stale.op.err != proactor.ErrClosed {
		w.Fatalf("sends end with %v, %v, %v", p.op.err, q.op.err, stale.op.err)
	}
}

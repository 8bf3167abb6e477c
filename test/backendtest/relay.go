package backendtest

import (
	"io"
	"sync/atomic"

	"mobius/proactor"
)

// Sentence 11: what a Relay moves.

// A relay moves bytes between two streams of the server's backend.
type relay struct {
	*probe
	r proactor.Relay
}

// relay returns one that has not been submitted.
func (d *driver) relay(from, to proactor.Handle) *relay {
	x := &relay{probe: d.probe(proactor.OpRelay, from)}
	x.r.Dst, x.Relay = to, &x.r
	return x
}

// A chain is source → in, relayed to out → sink; in and out are the relay's.
type chain struct{ source, in, out, sink stream }

// chain makes one, over the given networks.
func (w *world) chain(left, right proactor.Network, o *proactor.SocketOptions) (c chain) {
	w.Helper()
	w.network = left
	c.source, c.in, _ = w.connectWith(nil)
	w.network = right
	c.sink, c.out, _ = w.connectWith(o)
	w.network = proactor.TCP
	return c
}

func (c chain) close() {
	c.source.d.w.Helper()
	for _, s := range []stream{c.source, c.in, c.out, c.sink} {
		s.close()
	}
}

func s11MovesEverythingToTheEnd(w *world) {
	nets := []proactor.Network{proactor.TCP, proactor.Unix}
	for _, left := range nets {
		for _, right := range nets {
			for _, total := range []int64{0, 1, 1000, int64(w.size(3 << 20)), int64(w.size(12 << 20))} {
				c := w.chain(left, right, nil)
				before := w.server.b.Stats()
				x := w.server.relay(c.in.h, c.out.h)
				x.submit()
				in := c.sink.read(1)
				if total > 0 {
					out := c.source.write(1, total, func() int { return 1 + w.rand.IntN(200_000) })
					w.until("everything is sent", out.isDone)
				}
				c.source.shutdown()
				w.until("the relay ends", x.isIdle)
				w.until("everything arrives", in.has(total))
				x.wantRelayed(total, io.EOF, proactor.NoSide)
				after := w.server.b.Stats()
				if moved := after.Spliced + after.RelayCopied - before.Spliced - before.RelayCopied; moved != uint64(total) {
					w.Errorf("%v→%v: Stats counts %d bytes relayed, %d were", left, right, moved, total)
				}
				if total == 1000 {
					w.never("the end is passed on by itself", w.brief(), in.isIdle)
				}
				c.out.shutdown()
				in.wantEnd(total)
				c.close()
			}
		}
	}
}

// wantRelayed checks the results of a relay that has ended.
func (x *relay) wantRelayed(moved int64, err error, side proactor.Side) {
	w := x.d.w
	w.Helper()
	if x.err != err || x.r.Side != side || x.r.Moved.Load() != moved || len(x.r.Rest) != 0 {
		w.Fatalf("relay ends with %v of the %v after %d bytes, %d in Rest; want %v of the %v after %d",
			x.err, x.r.Side, x.r.Moved.Load(), len(x.r.Rest), err, side, moved)
	}
}

func s11BothWaysAtOnce(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	total := int64(w.size(4 << 20))
	there, back := w.server.relay(c.in.h, c.out.h), w.server.relay(c.out.h, c.in.h)
	pass := func(x *relay, to stream) {
		x.on = func() {
			if x.Err == io.EOF {
				to.shutdown()
			}
		}
		x.submit()
	}
	pass(there, c.out)
	pass(back, c.in)
	request, reply := c.sink.read(1), c.source.read(2)
	cut := func() int { return 1 + w.rand.IntN(30_000) }
	a := c.source.write(1, total/2, cut)
	b := c.sink.write(2, total, cut)
	w.until("the request is sent", a.isDone)
	c.source.shutdown() // half close: the reply is still on its way
	request.wantEnd(total / 2)
	w.until("the reply is sent", b.isDone)
	c.sink.shutdown()
	reply.wantEnd(total)
	w.until("both relays end", func() bool { return there.isIdle() && back.isIdle() })
}

func s11ManyRelays(w *world) {
	const n = 16
	total := int64(w.size(1 << 20))
	var ends [n]*reader
	for i := range uint64(n) {
		c := w.chain(proactor.TCP, proactor.TCP, nil)
		x := w.server.relay(c.in.h, c.out.h)
		x.submit()
		ends[i] = c.sink.read(i)
		c.source.write(i, total, func() int { return 1 + w.rand.IntN(50_000) })
	}
	w.until("every relay gets everything through", func() bool {
		for _, r := range ends {
			if r.got < total {
				return false
			}
		}
		return true
	})
}

func s11SlowSink(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, small)
	total := int64(w.size(2 << 20))
	x := w.server.relay(c.in.h, c.out.h)
	x.submit()
	out := c.source.write(7, total, nil)
	r := c.sink.reader(7, 0)
	for r.got < total {
		for range w.rand.IntN(3) {
			w.step()
		}
		r.Limit = 1 + w.rand.IntN(w.size(1<<20))
		r.submit()
		w.until("a slow sink gets its piece", func() bool { return r.isIdle() || r.got >= total })
		if r.isIdle() && r.err != nil {
			w.Fatalf("recv: %v", r.err)
		}
	}
	w.until("the source is done", out.isDone)
	c.source.shutdown()
	w.until("the relay ends", x.isIdle)
	x.wantRelayed(total, io.EOF, proactor.NoSide)
}

func s11HeadGoesFirst(w *world) {
	for _, size := range []int{1, 100, w.size(3 << 20)} {
		c := w.chain(proactor.TCP, proactor.TCP, small)
		x := w.server.relay(c.in.h, c.out.h)
		x.r.Head = made(1, 0, size)
		c.source.say(made(1, int64(size), 50)) // waits there already
		x.submit()
		r := c.sink.read(1)
		w.until("head and bytes arrive", r.has(int64(size+50)))
		c.source.shutdown()
		w.until("the relay ends", x.isIdle)
		x.wantRelayed(int64(size+50), io.EOF, proactor.NoSide)
		c.close2(w, r)
	}
}

// close2 closes a chain whose sink is still being read.
func (c chain) close2(w *world, r *reader) {
	w.Helper()
	r.cancel()
	w.until("recv ends", r.isIdle)
	c.close()
}

func s11WindowEndsIt(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	r := c.sink.read(1)
	total := int64(max(w.size(600_000), 1000))
	out := c.source.write(1, total, nil)
	x := w.server.relay(c.in.h, c.out.h)
	var moved int64
	for _, window := range []int64{1, 100, total / 3, total / 2} {
		x.r.Window = window
		x.submit()
		w.until("the window ends the relay", x.isIdle)
		moved += window
		x.wantRelayed(moved, nil, proactor.NoSide)
		w.until("what it moved arrives", r.has(moved))
		w.never("more than the window", 0, func() bool { return r.got > moved })
	}
	head := made(1, moved, 10) // head is not read from the source and does not count
	plain := c.in.reader(1, moved)
	plain.Limit = 10
	plain.submit()
	w.until("the source can be read after the window", plain.isIdle)
	x.r.Head, x.r.Window = head, 5
	x.submit()
	w.until("the window ends the relay", x.isIdle)
	x.wantRelayed(moved+15, nil, proactor.NoSide)
	x.r.Head, x.r.Window = nil, 0
	x.submit()
	w.until("everything is sent", out.isDone)
	c.source.shutdown()
	w.until("the relay ends", x.isIdle)
	x.wantRelayed(total, io.EOF, proactor.NoSide)
	w.until("all arrives", r.has(total))
}

func s11BudgetBoundsATurn(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	total := int64(w.size(2 << 20))
	budget := max(total/64, 512)
	out := c.source.write(1, total, nil)
	r := c.sink.read(1)
	x := w.server.relay(c.in.h, c.out.h)
	x.r.Budget = int(budget)
	x.submit()
	for x.r.Moved.Load() < total {
		had := x.r.Moved.Load()
		w.server.poll(w.brief())
		if step := x.r.Moved.Load() - had; step > budget {
			w.Fatalf("%d bytes in one turn, with a budget of %d", step, budget)
		}
		if w.client != w.server {
			w.client.poll(0)
		}
		if x.isIdle() {
			break
		}
	}
	w.until("everything arrives", func() bool { return out.isDone() && r.got == total })
}

// s11CancelLosesNothing stops a relay at random moments and goes on by hand
// from what it says, small and bulk, so that bytes may be in a pipe.
func s11CancelLosesNothing(w *world) {
	for round, total := range []int64{5000, int64(w.size(3 << 20)), int64(w.size(12 << 20))} {
		c := w.chain(proactor.TCP, proactor.TCP, small)
		seed := uint64(round)
		r := c.sink.reader(seed, 0)
		r.Limit = max(int(total)/50, 1)
		r.submit()
		out := c.source.write(seed, total, nil)
		x := w.server.relay(c.in.h, c.out.h)
		var done int64 // bytes that have left for the sink
		for x.err != io.EOF {
			if r.isIdle() && r.err == nil {
				r.submit()
			}
			before := x.r.Moved.Load()
			x.r.Head = nil
			if round == 1 { // a head, read by hand, that may not get out in full
				x.r.Head = w.readSome(c.in, seed, done, 3000)
			}
			head := int64(len(x.r.Head))
			x.submit()
			for range w.rand.IntN(12) {
				w.step()
			}
			x.cancel()
			w.until("the relay ends", func() bool {
				if r.isIdle() && r.err == nil {
					r.submit()
				}
				return x.isIdle()
			})
			if x.err != proactor.ErrCanceled && x.err != io.EOF {
				w.Fatalf("relay: %v of the %v", x.err, x.r.Side)
			}
			moved := x.r.Moved.Load() - before
			rest := append(append([]byte(nil), x.r.Head[min(moved, head):]...), x.r.Rest...)
			done += moved
			if i := mismatch(seed, done, rest); i >= 0 {
				w.Fatalf("round %d: %d bytes moved, %d of Head; of %d that remain, number %d is wrong", round, moved, head, len(rest), i)
			}
			w.sendAlong(c.out, rest, r)
			if done += int64(len(rest)); done > total {
				w.Fatalf("%d bytes of %d", done, total)
			}
			if out.isDone() && done == total && x.err != io.EOF {
				c.source.shutdown()
			}
		}
		c.out.shutdown()
		w.until("the stream ends", func() bool {
			if r.isIdle() && r.err == nil {
				r.submit()
			}
			return r.isIdle() && r.err == io.EOF
		})
		if r.got != total || done != total {
			w.Fatalf("%d bytes arrived, %d were accounted for, of %d", r.got, done, total)
		}
		c.close()
	}
}

// readSome reads up to n bytes by hand, nothing if none come soon.
func (w *world) readSome(s stream, seed uint64, off int64, n int) (out []byte) {
	r := s.reader(seed, off)
	r.Limit = n
	r.each = func(p []byte) { out = append(out, p...) }
	r.submit()
	w.within(w.brief()/8, r.isIdle)
	r.cancel()
	w.until("recv ends", r.isIdle)
	s.d.forget(r.probe)
	return out
}

// sendAlong sends p while the reader at the other end reads on.
func (w *world) sendAlong(to stream, p []byte, r *reader) {
	op := to.d.probe(proactor.OpSend, to.h)
	op.Buf = p
	op.submit()
	w.until("the rest is sent by hand", func() bool {
		if r.isIdle() && r.err == nil {
			r.submit()
		}
		return op.isIdle()
	})
	if op.err != nil {
		w.Fatalf("send: %v", op.err)
	}
	to.d.probes = removeProbe(to.d.probes, op)
}

func removeProbe(all []*probe, p *probe) []*probe {
	for i := range all {
		if all[i] == p {
			return append(all[:i], all[i+1:]...)
		}
	}
	return all
}

func s11CancelOfAnIdleRelay(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	x := w.server.relay(c.in.h, c.out.h)
	x.submit()
	for range 3 {
		w.step()
	}
	for _, h := range []proactor.Handle{c.in.h, c.out.h} {
		if err := w.server.b.CloseFD(h); err != proactor.ErrBusy {
			w.Fatalf("CloseFD of a relay's side: %v, want ErrBusy", err)
		}
	}
	x.cancel()
	w.until("the relay ends", x.isIdle)
	x.wantRelayed(0, proactor.ErrCanceled, proactor.NoSide)
	c.close()
}

func s11SourceFails(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	x := w.server.relay(c.in.h, c.out.h)
	x.submit()
	r := c.sink.read(1)
	c.source.say(made(1, 0, 100))
	w.until("bytes arrive", r.has(100))
	c.source.reset()
	w.until("the relay ends", x.isIdle)
	if !isReset(x.err) || x.r.Side != proactor.Source || x.r.Moved.Load() != 100 {
		w.Fatalf("%v of the %v after %d bytes; want ECONNRESET of the source after 100", x.err, x.r.Side, x.r.Moved.Load())
	}
}

func s11SinkFails(w *world) {
	for _, bulk := range []int64{0, int64(w.size(8 << 20))} {
		c := w.chain(proactor.TCP, proactor.TCP, small)
		x := w.server.relay(c.in.h, c.out.h)
		x.submit()
		out := c.source.write(1, bulk+1000, nil)
		for range 5 {
			w.step()
		}
		c.sink.reset()
		w.within(w.brief(), x.isIdle)
		for off := bulk + 1000; x.live && out.isDone() && off < bulk+1100; off++ {
			c.source.put(1, off, 1) // what hits a dead stream brings its error back
			w.within(w.brief(), x.isIdle)
		}
		w.until("the relay ends", x.isIdle)
		if !isReset(x.err) || x.r.Side != proactor.Sink {
			w.Fatalf("%v of the %v; want ECONNRESET or EPIPE of the sink", x.err, x.r.Side)
		}
	}
}

func s11StaleSides(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	for _, bad := range []proactor.Side{proactor.Source, proactor.Sink} {
		x := w.server.relay(c.in.h, c.out.h)
		if bad == proactor.Source {
			x.Handle = 0
		} else {
			x.r.Dst = 0
		}
		x.submit()
		w.until("a relay on a stale handle ends", x.isIdle)
		x.wantRelayed(0, proactor.ErrClosed, bad)
	}
	c.close()
}

func s11ProgressIsReadableAnyTime(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	x := w.server.relay(c.in.h, c.out.h)
	x.submit()
	r := c.sink.read(1)
	total := int64(w.size(1 << 20))
	var stop atomic.Bool
	over := make(chan struct{})
	go func() { // anybody may look
		defer close(over)
		for last := int64(0); !stop.Load(); {
			now := x.r.Moved.Load()
			if now < last {
				w.report("Moved fell from %d to %d", last, now)
			}
			last = now
		}
	}()
	defer func() { stop.Store(true); <-over }()
	for off := int64(0); off < total; {
		start := w.server.b.Now()
		p := c.source.d.probe(proactor.OpSend, c.source.h)
		p.Buf = made(1, off, int(min(total/8+1, total-off)))
		off += int64(len(p.Buf))
		p.submit()
		w.until("a piece arrives", func() bool { return p.isIdle() && r.got == off })
		if at := x.r.Last.Load(); at < int64(start) || at > int64(w.server.b.Now()) {
			w.Fatalf("Last is %d, want a moment from %d to %d", at, start, w.server.b.Now())
		}
	}
}

func s11TurnsQuietAndBusyAgain(w *world) {
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	x := w.server.relay(c.in.h, c.out.h)
	x.submit()
	r := c.sink.read(1)
	var off int64
	for round := range 6 {
		for range 20 { // small talk
			c.source.say(made(1, off, 100))
			off += 100
			w.until("it arrives at once", r.has(off))
		}
		bulk := w.size(2<<20 + round) // and bulk
		p := c.source.d.probe(proactor.OpSend, c.source.h)
		p.Buf = made(1, off, bulk)
		off += int64(bulk)
		p.submit()
		w.until("bulk arrives", func() bool { return p.isIdle() && r.got == off })
	}
	c.source.shutdown()
	w.until("the relay ends", x.isIdle)
	x.wantRelayed(off, io.EOF, proactor.NoSide)
}

package backendtest

import (
	"time"

	"mobius/proactor"
)

// Sentence 16: limits are reached, not crashed into.

func s16ManyOpsAtOnce(w *world) {
	d := w.server
	const n = 2000 // more than any queue of a hostile backend holds
	ops := make([]*probe, n)
	for i := range ops {
		ops[i] = d.probe(proactor.OpRecv, 0)
		ops[i].submit()
	}
	w.until("all of them complete", func() bool { return d.b.Stats().Ops == d.base.Ops })
	for i, p := range ops {
		if p.results != 1 || p.err != proactor.ErrClosed {
			w.Fatalf("op %d: %d results, %v", i, p.results, p.err)
		}
	}
}

// s16ManyStreamsReadyAtOnce overruns queues and buffers: many streams have
// bytes, are canceled, and are resumed in the same moment.
func s16ManyStreamsReadyAtOnce(w *world) {
	const n = 150
	l := w.server.listen(nil)
	readers := make([]*reader, n)
	total := int64(w.size(64 << 10))
	for i := range readers {
		a, b := w.join(l)
		readers[i] = b.reader(uint64(i), 0)
		a.write(uint64(i), total, func() int { return 1 + w.rand.IntN(3000) })
	}
	for range 10 {
		w.step() // everything that fits is there before anybody reads
	}
	for _, r := range readers {
		r.submit()
	}
	w.step()
	for _, r := range readers {
		r.cancel()
	}
	w.step()
	for _, r := range readers {
		r.resume()
	}
	w.until("everybody gets everything", func() bool {
		for _, r := range readers {
			if r.got < total {
				return false
			}
		}
		return true
	})
	for _, r := range readers {
		r.cancel()
	}
	w.until("all end", func() bool {
		for _, r := range readers {
			if r.live {
				return false
			}
		}
		return true
	})
}

// s16SubmitFromCompletions starts many ops from within one completion.
func s16SubmitFromCompletions(w *world) {
	d := w.server
	const n = 300
	left := n
	first := d.probe(proactor.OpRecv, 0)
	first.on = func() {
		for range n {
			p := d.probe(proactor.OpSend, 0)
			p.on = func() { left-- }
			p.submit()
			p.cancel()
		}
	}
	first.submit()
	w.until("all ops started in one completion complete", func() bool { return first.isIdle() && left == 0 })
}

// s16AnIdleBackendDoesNotSpin leaves things around that are ready for nobody.
func s16AnIdleBackendDoesNotSpin(w *world) {
	l := w.server.listen(nil)
	a, b := w.join(l) // bytes that nobody reads
	a.say(made(1, 0, 10))
	c, d := w.join(l) // an end that nobody reads
	c.shutdown()
	e, f := w.join(l) // an error that nobody reads
	e.reset()
	g, h := w.join(l) // a send that nobody takes
	out := g.write(1, 32<<20, nil)
	for range 10 {
		w.step()
	}
	w.within(w.brief(), func() bool { return false })
	w.notSpinning(func() { w.never("", 8*w.brief(), func() bool { return false }) })
	r := b.read(1)
	w.until("the bytes are there", r.has(10))
	d.read(1).wantEnd(0)
	dead := f.read(1)
	w.until("the error is there", dead.isIdle)
	out.cancel()
	w.until("the send ends", out.isIdle)
	_ = h
}

// s16OneBusyStreamDoesNotStopOthers floods one stream and talks on others.
func s16OneBusyStreamDoesNotStopOthers(w *world) {
	l := w.server.listen(nil)
	a, b := w.join(l)
	flood := b.read(1)
	out := a.write(1, 1<<40, func() int { return w.size(2 << 20) })
	var turns [10]int
	stalled := 0
	for i := range turns {
		c, d := w.join(l)
		r := d.read(uint64(i))
		before := flood.got
		c.say(made(uint64(i), 0, 100))
		for r.got < 100 {
			w.step()
			if turns[i]++; turns[i] <= 20_000 {
				continue
			}
			if stalled++; !w.cfg.Virtual || stalled > len(turns)/2 {
				w.Fatalf("stream %d waits while another takes all\n%s", i, w.dump())
			}
			// A simulated network may have lost a segment, and the flood keeps the
			// clock from getting to where it is sent again.
			out.stop = true
			w.until("the flood pauses", out.isDone)
			w.until("a stream that stalled goes on", r.has(100))
			out.stop = false
			out.send()
		}
		w.until("the flood goes on beside it", func() bool { return flood.got > before || out.isDone() })
	}
	out.stop = true
	w.until("the flood ends", func() bool { return out.isDone() && flood.got == out.sent })
}

// s16AStreamHasABudgetPerTurn: however much a peer has sent, one Poll lends no
// more of it than it says.
func s16AStreamHasABudgetPerTurn(w *world) {
	if w.cfg.Turn == 0 {
		return
	}
	a, b := w.join(w.server.listen(nil))
	out := a.write(1, 1<<40, func() int { return w.size(2 << 20) })
	flood := b.read(1)
	for polls := 0; polls < 200 && flood.got < 4*int64(w.cfg.Turn) || flood.got == 0; polls++ {
		if w.client != w.server {
			w.client.poll(time.Millisecond)
		}
		before := flood.got
		w.server.poll(time.Millisecond)
		if n := flood.got - before; n > int64(w.cfg.Turn) {
			w.Fatalf("Poll %d lends %d bytes of one stream, want at most %d", polls, n, w.cfg.Turn)
		}
		if polls > 100_000 {
			w.Fatalf("%d Polls lend %d bytes\n%s", polls, flood.got, w.dump())
		}
	}
	out.stop = true
	w.until("the flood ends", func() bool { return out.isDone() && flood.got == out.sent })
}

package backendtest

import (
	"errors"
	"io"
	"syscall"

	"mobius/proactor"
)

// Sentences 2d and 8: Cancel and Resume.

func s2dResumeDuringCancel(w *world) {
	a, b := w.connect()
	l := w.server.listen(nil)
	r := b.read(1)
	for i := range int64(200) {
		r.cancel()
		if i%3 == 0 {
			r.resume()
			r.cancel()
		}
		l.cancel()
		r.resume()
		l.resume()
		if i%2 == 0 {
			w.step()
		}
		a.say(made(1, i*10, 10))
	}
	c := w.client.dial(l.local).wait()
	w.until("recv and accept go on", func() bool { return r.got == 2000 && l.count == 1 })
	if r.lasts != 0 || l.lasts != 0 || !r.Active() || !l.Active() {
		w.Fatalf("recv ended %d times, accept %d times (%v, %v); want ops that go on", r.lasts, l.lasts, r.err, l.err)
	}
	_ = c
}

func s2dResumeOfIdleAndActive(w *world) {
	a, b := w.connect()
	r := b.reader(1, 0)
	r.resume() // of an idle op: a Submit
	if !r.Active() {
		w.Fatal("Resume of an idle op did not submit it")
	}
	for range 5 {
		r.resume() // of an active op: nothing
	}
	a.say(made(1, 0, 10))
	w.until("bytes arrive", r.has(10))
	r.cancel()
	w.until("one Cancel ends it", r.isIdle)
	if r.lasts != 1 || r.err != proactor.ErrCanceled {
		w.Fatalf("%d last completions, %v; want one with ErrCanceled", r.lasts, r.err)
	}
}

func s2dTheLastWordCounts(w *world) {
	_, b := w.connect()
	r := b.read(1)
	for i := range 30 {
		r.cancel()
		r.resume()
		if i%2 == 0 {
			w.step()
		}
		r.cancel() // not taken back
		w.until("a recv that was canceled last ends", r.isIdle)
		if r.err != proactor.ErrCanceled {
			w.Fatalf("recv ends with %v, want ErrCanceled", r.err)
		}
		r.submit()
	}
}

func s2dEndDuringCancelAndResume(w *world) {
	a, b := w.connect()
	r := b.read(1)
	a.say(made(1, 0, 10))
	a.shutdown()
	r.cancel()
	r.resume()
	r.wantEnd(10) // the end of the stream is not lost with the Cancel
}

func s8ToggledStreamsLoseNothing(w *world) {
	w.each(func() {
		total := int64(w.size(3 << 20))
		a, b := w.connect()
		out := a.write(3, total, func() int { return 1 + w.rand.IntN(20_000) })
		r := b.read(3)
		toggles := 0
		inside := w.rand
		r.each = func([]byte) { // pauses in the middle of what is under way
			if inside.IntN(4) == 0 {
				r.cancel()
			}
		}
		for r.got < total || toggles < 1000 {
			switch toggles++; w.rand.IntN(3) {
			case 0:
				r.cancel()
			case 1:
				r.resume()
			}
			w.turn(w.brief() / 100)
			if r.err != nil && r.err != proactor.ErrCanceled {
				w.Fatalf("recv: %v", r.err)
			}
			if toggles > 1<<20 {
				w.Fatalf("%d bytes of %d after %d toggles\n%s", r.got, total, toggles, w.dump())
			}
		}
		w.until("the writer is done", out.isDone)
		r.each = nil
		a.shutdown()
		r.resume()
		w.until("the stream ends", func() bool { return r.isIdle() && r.err == io.EOF })
		if r.got != total {
			w.Fatalf("%d bytes, want %d", r.got, total)
		}
		a.close()
		b.close()
	})
}

func s8ResultsUnderWayAreDelivered(w *world) {
	for round := range 100 {
		a, b := w.connect()
		r := b.read(uint64(round))
		out := a.write(uint64(round), 3000, func() int { return 1000 })
		for range round % 7 {
			w.step()
		}
		r.cancel()
		w.until("a canceled recv ends", r.isIdle)
		got := r.got
		again := b.readFrom(uint64(round), got) // exactly what was not delivered
		w.until("the send completes, and the rest arrives", func() bool { return out.isDone() && again.got >= 3000 })
		if r.err != proactor.ErrCanceled || again.got != 3000 {
			w.Fatalf("%v after %d bytes, then up to %d", r.err, got, again.got)
		}
		again.cancel()
		w.until("it ends", again.isIdle)
		a.close()
		b.close()
	}
}

func s8EndWhileCanceled(w *world) {
	// Bytes, end and Cancel at once: the bytes come first, and the next Recv
	// is told the end if this one was not.
	for round := range 50 {
		a, b := w.connect()
		r := b.read(2)
		a.say(made(2, 0, 100))
		a.shutdown()
		for range round % 4 {
			w.step()
		}
		r.cancel()
		w.until("recv ends", r.isIdle)
		for r.err == proactor.ErrCanceled {
			r.submit()
			w.until("recv ends", r.isIdle)
		}
		r.wantEnd(100)
		a.close()
		b.close()
	}
}

func s8CancelOfAnIdleOpDoesNothing(w *world) {
	a, b := w.connect()
	r := b.reader(1, 0)
	r.cancel() // never submitted
	r.submit()
	a.say(made(1, 0, 10))
	w.until("a Cancel before Submit does not count", r.has(10))
	r.cancel()
	r.cancel() // twice
	w.until("recv ends", r.isIdle)
	r.cancel() // ended
	r.submit()
	a.say(made(1, 10, 10))
	w.until("a Cancel after the end does not count", r.has(20))
	if r.lasts != 1 {
		w.Fatalf("%d last completions, want 1", r.lasts)
	}
}

func s8CancelInItsOwnComplete(w *world) {
	a, b := w.connect()
	r := b.read(1)
	r.each = func([]byte) { r.cancel() }
	a.write(1, 10, func() int { return 5 })
	w.until("recv ends", r.isIdle)
	if r.err != proactor.ErrCanceled || r.got == 0 {
		w.Fatalf("%v after %d bytes", r.err, r.got)
	}
}

func s8OpsThatNeverGetReadyAreCanceled(w *world) {
	_, b := w.connect()
	l := w.server.listen(nil)
	r := b.read(1)
	for range 3 {
		w.step() // they wait in the kernel by now
	}
	l.cancel()
	r.cancel()
	w.until("both end", func() bool { return l.isIdle() && r.isIdle() })
	if l.err != proactor.ErrCanceled || r.err != proactor.ErrCanceled {
		w.Fatalf("accept %v, recv %v, want ErrCanceled", l.err, r.err)
	}
}

func s8CanceledAcceptLosesNoConnection(w *world) {
	for round := range 20 {
		l := w.server.listen(nil)
		const n = 10
		var dials [n]*dialer
		for i := range dials {
			dials[i] = w.client.dial(l.local)
		}
		for range round % 5 {
			w.step()
		}
		l.cancel()
		w.until("accept ends", l.isIdle)
		if l.err != proactor.ErrCanceled {
			w.Fatalf("accept ends with %v", l.err)
		}
		l.submit()
		w.until("each connection is accepted, by one or the other", func() bool { return l.count >= n })
		for _, c := range dials {
			c.wait().close()
		}
		l.stop()
		if l.count != n {
			w.Fatalf("%d connections accepted, %d made", l.count, n)
		}
		for len(l.queue) > 0 {
			l.take().close()
		}
	}
}

func s8ConnectIsCanceledAtEveryStage(w *world) {
	l := w.server.listen(nil)
	canceled := 0
	for stage := range 40 {
		c := &dialer{w.client.probe(proactor.OpConnect, 0), stream{}}
		h := w.client.socket(l.local, nil)
		c.stream, c.Handle, c.Addr = stream{w.client, h}, h, &l.local
		if stage%2 == 0 {
			c.cancel() // before Submit: nothing
		}
		c.submit()
		for range stage / 2 % 6 {
			w.client.poll(0)
		}
		c.cancel()
		w.until("connect ends", c.isIdle)
		switch c.err {
		case proactor.ErrCanceled:
			canceled++
		case nil:
		default:
			w.Fatalf("connect ends with %v", c.err)
		}
		c.stream.close()
	}
	w.Logf("%d of 40 were canceled before they were done", canceled)
	s := w.client.dial(l.local).wait() // none of it has hurt the listener
	_ = s
	w.until("it is accepted", func() bool { return l.count > 0 })
}

func s8RefusedConnect(w *world) {
	w.each(func() {
		c := w.client.dial(w.unusedAddress())
		w.until("a refused connect ends", c.isIdle)
		want := error(syscall.ECONNREFUSED)
		if w.network == proactor.Unix {
			want = syscall.ENOENT
		}
		if !errors.Is(c.err, want) && !errors.Is(c.err, syscall.ECONNREFUSED) {
			w.Fatalf("%v: connect ends with %v, want %v", w.network, c.err, want)
		}
		c.stream.close()
	})
}

// unusedAddress returns an address that nobody listens on.
func (w *world) unusedAddress() proactor.Address {
	w.Helper()
	l := w.server.bind(w.freshAddress(), nil)
	w.server.close(l.h)
	return l.local
}

package backendtest

import (
	"io"

	"mobius/proactor"
)

// Sentence 2b: what goes on, and until when.

func s2bAcceptGoesOn(w *world) {
	w.each(func() {
		l := w.server.listen(nil)
		n := w.size(640) + 44 // 64 where limits are tiny
		for i := range n {    // one after the other
			c := w.client.dial(l.local).wait()
			s := l.take()
			if i%2 == 0 {
				c.close()
				s.close()
			} else {
				s.close()
				c.close()
			}
		}
		if l.count != n || !l.live {
			w.Fatalf("%v: %d accepted, live %v; want %d by one op that goes on", w.network, l.count, l.live, n)
		}
		l.stop()
	})
}

func s2bAcceptTakesABurst(w *world) {
	l := w.server.bind(w.freshAddress(), nil)
	const n = 100
	var dials [n]*dialer
	for i := range dials {
		dials[i] = w.client.dial(l.local)
	}
	for range 3 { // some are in the backlog before there is an Accept
		w.step()
	}
	l.submit()
	w.until("every connection of a burst is accepted", func() bool { return l.count >= n })
	seen := map[proactor.Address]bool{}
	for _, p := range l.peers {
		if seen[p] {
			w.Errorf("peer %v was accepted twice", p)
		}
		seen[p] = true
	}
	for _, c := range dials {
		s := c.wait()
		local, remote, err := s.d.b.Names(s.h)
		if err != nil || remote != l.local || !seen[local] {
			w.Errorf("client %v → %v (%v): accept told another peer, or the listener is not %v", local, remote, err, l.local)
		}
	}
}

func s2bRecvGoesOnToTheEnd(w *world) {
	w.each(func() {
		for _, size := range []int{0, 1, 63, 64, 65, 511, 512, 513, 4096, 50_000, 1 << 20} {
			if size > 4096 {
				size = max(w.size(size), 1000)
			}
			a, b := w.connect()
			r := b.read(uint64(size))
			if size > 0 {
				out := a.write(uint64(size), int64(size), nil)
				w.until("everything is sent", out.isDone)
			}
			a.shutdown() // the end comes right behind the last byte
			r.wantEnd(int64(size))
			if r.lasts != 1 {
				w.Fatalf("recv ended %d times", r.lasts)
			}
			a.close()
			b.close()
		}
	})
}

func s2bRandomCutsBothWays(w *world) {
	w.each(func() {
		for _, limit := range []int{1, 100, 5000, 300_000} {
			total := int64(w.size(min(limit*2000, 4<<20)))
			a, b := w.connect()
			cut := func() int { return 1 + w.rand.IntN(limit) }
			in, back := b.read(1), a.read(2)
			there, here := a.write(1, total, cut), b.write(2, total, cut)
			w.until("everything has been sent both ways", func() bool { return there.isDone() && here.isDone() })
			a.shutdown()
			in.wantEnd(total)
			b.shutdown()
			back.wantEnd(total)
			a.close()
			b.close()
		}
	})
}

func s2bManyStreamsAtOnce(w *world) {
	n, total := 50, int64(w.size(1<<20))
	l := w.server.listen(nil)
	readers := make([]*reader, 0, 2*n)
	for i := range uint64(n) {
		a, b := w.join(l)
		readers = append(readers, b.read(2*i), a.read(2*i+1))
		cut := func() int { return 1 + w.rand.IntN(20_000) }
		for _, out := range []*writer{a.write(2*i, total, cut), b.write(2*i+1, total, cut)} {
			next := out.on
			out.on = func() {
				if next(); out.isDone() && out.sent == total {
					if err := out.s.d.b.Shutdown(out.s.h); err != nil {
						out.d.report("Shutdown from Complete: %v", err)
					}
				}
			}
		}
	}
	for _, r := range readers {
		r.wantEnd(total)
	}
}

func s2bLimitIsKept(w *world) {
	for _, limit := range []int{1, 2, 63, 64, 65, 1000, 4096, 100_000} {
		limit = min(limit, w.size(100_000))
		total := int64(limit*3 + 1)
		a, b := w.connect()
		out := a.write(9, total, nil)
		r := b.reader(9, 0)
		r.Limit = limit
		for round := int64(1); round <= 3; round++ {
			r.submit()
			w.until("a limited recv is filled", r.isIdle)
			if r.err != nil || r.got != round*int64(limit) {
				w.Fatalf("limit %d: %v after %d bytes, want nil after %d", limit, r.err, r.got, round*int64(limit))
			}
			w.never("bytes beyond the limit", 0, func() bool { return r.got > round*int64(limit) })
		}
		r.Limit++ // more than will come
		r.submit()
		w.until("everything is sent, and the last byte has come", func() bool { return out.isDone() && r.got == total })
		a.shutdown()
		r.wantEnd(total) // fewer bytes than the limit, then the end
		a.close()
		b.close()
	}
}

func s2bLimitCountsAcrossPieces(w *world) {
	a, b := w.connect()
	r := b.reader(2, 0)
	r.Limit = 10
	r.submit()
	for sent := int64(0); sent < 9; sent += 3 {
		a.say(made(2, sent, 3))
		w.until("a piece arrives", r.has(sent+3))
		if !r.live {
			w.Fatalf("a recv with limit 10 ended after %d bytes", r.got)
		}
	}
	a.say(made(2, 9, 3))
	w.until("the limit is reached", r.isIdle)
	if r.got != 10 || r.err != nil {
		w.Fatalf("%d bytes, %v; want 10, nil", r.got, r.err)
	}
	r.Limit = 0
	r.submit()
	w.until("the rest is there", r.has(12))
}

func s2bHalfCloseBothWays(w *world) {
	w.each(func() {
		total := int64(w.size(200_000))
		for _, first := range []bool{true, false} {
			a, b := w.connect()
			if !first {
				a, b = b, a
			}
			in := b.read(1)
			request := a.write(1, 1000, nil)
			w.until("the request is sent", request.isDone)
			a.shutdown()
			in.wantEnd(1000)
			back := a.read(2) // the reply to a finished request
			reply := b.write(2, total, func() int { return 10_000 })
			w.until("the reply is sent", reply.isDone)
			b.shutdown()
			back.wantEnd(total)
			a.close()
			b.close()
		}
	})
}

func s2bEndIsToldAgain(w *world) {
	a, b := w.connect()
	a.shutdown()
	for range 3 {
		r := b.read(0)
		r.wantEnd(0)
	}
}

func s2bResetEndsRecv(w *world) {
	a, b := w.connect()
	r := b.read(1)
	a.say(made(1, 0, 10))
	w.until("bytes arrive", r.has(10))
	a.reset()
	w.until("a reset ends recv", r.isIdle)
	if !isReset(r.err) || r.err == io.EOF {
		w.Fatalf("recv ends with %v after a reset, want ECONNRESET", r.err)
	}
}

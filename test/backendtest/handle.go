package backendtest

import (
	"io"
	"math/rand/v2"

	"mobius/proactor"
)

// Sentence 6: handles, their closing, and their generations.

func s6BusyWhileAnOpIsActive(w *world) {
	a, b, _ := w.connectWith(small) // nobody reads b: the send stays active
	quiet, silent := w.connect()    // nobody writes: the receive stays active
	l := w.server.listen(nil)
	c := w.client.bind(w.freshAddress(), nil)
	connect := &dialer{w.client.probe(proactor.OpConnect, 0), stream{}}
	h := w.client.socket(c.local, nil)
	connect.stream, connect.Handle, connect.Addr = stream{w.client, h}, h, &c.local
	connect.submit() // not polled yet: it is active
	r := silent.read(2)
	out := w.stallBusy(a)
	for _, x := range []struct {
		d *driver
		p *probe
	}{{w.server, l.probe}, {w.server, r.probe}, {w.client, out.probe}} {
		for range 2 {
			if err := x.d.b.CloseFD(x.p.Handle); err != proactor.ErrBusy {
				w.Fatalf("CloseFD with %v active: %v, want ErrBusy", x.p.Kind, err)
			}
			x.p.cancel() // being canceled is being active
		}
		w.until("it ends", x.p.isIdle)
		x.d.close(x.p.Handle)
		if err := x.d.b.CloseFD(x.p.Handle); err != proactor.ErrClosed {
			w.Fatalf("second CloseFD: %v, want ErrClosed", err)
		}
	}
	b.close()
	quiet.close()
}

// stallBusy is stall, and checks on the way that a Connect that was just
// submitted keeps its handle open.
func (w *world) stallBusy(from stream) *writer {
	w.Helper()
	for _, p := range w.client.probes {
		if p.Kind == proactor.OpConnect && p.live {
			if err := w.client.b.CloseFD(p.Handle); err != proactor.ErrBusy {
				w.Fatalf("CloseFD with a connect active: %v, want ErrBusy", err)
			}
		}
	}
	return w.stall(from, 2)
}

func s6StaleHandlesAnswerErrClosed(w *world) {
	a, b := w.connect()
	l := w.server.bind(w.freshAddress(), nil)
	w.server.close(l.h)
	b.close()
	a.close()
	x := w.server.b
	for _, h := range []proactor.Handle{b.h, l.h, 0, proactor.MakeHandle(1<<30, 7), ^proactor.Handle(0)} {
		_, _, names := x.Names(h)
		_, refuse := x.Refuse(h, 1)
		_, detach := x.Detach(h)
		_, try := x.TryWrite(h, [][]byte{{1}})
		for what, err := range map[string]error{
			"Names": names, "Refuse": refuse, "Detach": detach, "TryWrite": try,
			"SetOptions": x.SetOptions(h, &proactor.SocketOptions{SendBuffer: 4096}),
			"Shutdown":   x.Shutdown(h), "Reset": x.Reset(h), "CloseFD": x.CloseFD(h),
		} {
			if err != proactor.ErrClosed {
				w.Errorf("%s(%v): %v, want ErrClosed", what, h, err)
			}
		}
		if x.Token(h) != nil {
			w.Errorf("Token(%v) is not nil", h)
		}
		w.staleOps(h)
	}
}

// staleOps checks that ops on a stale handle end with ErrClosed, once.
func (w *world) staleOps(h proactor.Handle) {
	w.Helper()
	to := w.freshAddress().WithPort(9)
	for _, kind := range []proactor.Kind{proactor.OpAccept, proactor.OpConnect, proactor.OpRecv, proactor.OpSend} {
		p := w.server.probe(kind, h)
		p.Buf, p.Addr = []byte("for nobody"), &to
		if kind == proactor.OpRecv {
			p.Buf = nil
		}
		p.submit()
		w.until("an op on a stale handle ends", p.isIdle)
		if p.err != proactor.ErrClosed || p.n != 0 || p.results != 1 {
			w.Errorf("%v on %v: N %d, %v, %d results; want ErrClosed once", kind, h, p.n, p.err, p.results)
		}
	}
}

func s6ANumberUsedAgainIsAnotherHandle(w *world) {
	l := w.server.listen(nil)
	old := map[proactor.Handle]bool{}
	var last proactor.Handle
	reused := 0
	for i := range 80 {
		secret := rand.Uint64() // by which each connection knows its own bytes
		a, b := w.join(l)
		if old[b.h] || old[a.h] {
			w.Fatalf("connection %d has a handle that was used before", i)
		}
		if i > 0 {
			if b.h.Index() == last.Index() {
				reused++
			}
			if err := w.server.b.Shutdown(last); err != proactor.ErrClosed {
				w.Fatalf("a stale handle reaches a stream: %v", err)
			}
			if n, err := w.server.b.TryWrite(last, [][]byte{{0xBA, 0xD0}}); n != 0 || err != proactor.ErrClosed {
				w.Fatalf("a stale handle writes: %d, %v", n, err)
			}
		}
		old[a.h], old[b.h] = true, true
		back := a.read(secret + 1)
		in := b.read(secret)
		a.say(made(secret, 0, 33))
		b.say(made(secret+1, 0, 33))
		w.until("the cookies cross", func() bool { return in.got == 33 && back.got == 33 })
		a.say(made(secret, 33, 1+i)) // on its way when the recv is canceled
		in.cancel()
		w.until("recv ends", in.isIdle)
		back.cancel()
		w.until("recv ends", back.isIdle)
		last = b.h
		b.close()
		a.close()
	}
	if w.cfg.Descriptors && reused == 0 {
		w.Logf("no number was given out twice in a row")
	}
}

func s6LateBytesDoNotReachTheNextOwner(w *world) {
	l := w.server.listen(nil)
	for i := range uint64(60) {
		a, b := w.join(l)
		r := b.read(i)
		out := a.write(i, 200_000, func() int { return 5000 })
		w.until("bytes flow", func() bool { return r.got > 0 })
		out.stop = true
		r.cancel()
		w.until("recv ends", r.isIdle)
		b.close() // with bytes unread and more coming
		c, d := w.join(l)
		next := d.read(1000 + i)
		c.say(made(1000+i, 0, 50))
		w.until("the next connection gets its own bytes", next.has(50))
		next.cancel()
		out.cancel()
		w.until("all ends", func() bool { return next.isIdle() && out.isIdle() })
		a.close()
		c.close()
		d.close()
	}
}

func s6CloseEndsTheStreamForThePeer(w *world) {
	w.each(func() {
		a, b := w.connect()
		in, r := a.read(1), b.read(2)
		b.say(made(1, 0, 100))
		for range 3 {
			w.step()
		}
		r.cancel()
		w.until("recv ends", r.isIdle)
		b.close()
		start := w.now()
		w.until("the peer sees the end", in.isIdle)
		if in.err != io.EOF || in.got != 100 {
			w.Fatalf("the peer sees %v after %d bytes", in.err, in.got)
		}
		if took := w.now() - start; took > w.cfg.Patience/10 {
			w.Errorf("the peer saw the end after %v", took)
		}
		a.close()
	})
}

func s6ResetAborts(w *world) {
	a, b, _ := w.connectWith(small)
	out := w.stall(b, 1)
	out.cancel()
	w.until("the send ends", out.isIdle)
	r := a.reader(1, 0)
	b.reset() // discards what the kernel has not sent
	for range 5 {
		w.step()
	}
	r.submit()
	w.until("the peer hears of the reset", r.isIdle)
	if !isReset(r.err) {
		w.Fatalf("the peer sees %v after %d bytes, want ECONNRESET", r.err, r.got)
	}
}

func s6PortIsFreeAtOnce(w *world) {
	l := w.server.bind(w.freshAddress(), nil)
	at := l.local
	for round := range 20 {
		l.submit()
		c := w.client.dial(at)
		if round%2 == 0 { // half of them with connections in the backlog
			c.wait()
		}
		w.until("it is over", c.isIdle)
		l.stop()
		refused := w.client.dial(at)
		w.until("a connect to a closed port ends", refused.isIdle)
		if refused.err == nil {
			w.Fatalf("round %d: a closed port still accepts", round)
		}
		refused.stream.close()
		c.stream.close()
		for len(l.queue) > 0 {
			l.take().close()
		}
		l = w.server.bind(at, nil) // fails if the port is not free
	}
}

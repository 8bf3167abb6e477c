package backendtest

import (
	"errors"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// Sentences 1 and 2: the life of an op.

// An embedder is an owner with two ops inside, told apart by their address.
type embedder struct {
	d          *driver
	recv, send proactor.Op
	got        []*proactor.Op
}

func (e *embedder) Complete(op *proactor.Op) { e.got = append(e.got, op) }

func s1TheOpItselfComesBack(w *world) {
	a, b := w.connect()
	e := &embedder{d: b.d}
	e.recv = proactor.Op{Kind: proactor.OpRecv, Handle: b.h, Owner: e, Limit: 4}
	e.send = proactor.Op{Kind: proactor.OpSend, Handle: b.h, Owner: e, Buf: []byte("ping")}
	for round := range 20 {
		e.got = e.got[:0]
		b.d.b.Submit(&e.recv)
		b.d.b.Submit(&e.send)
		a.say([]byte("pong"))
		w.until("both ops of one owner complete", func() bool { return !e.recv.Active() && !e.send.Active() })
		for _, op := range e.got {
			if op != &e.recv && op != &e.send {
				w.Fatalf("round %d: the owner got an op that it did not submit", round)
			}
		}
		if e.send.N != 4 || e.send.Err != nil || e.recv.Err != nil {
			w.Fatalf("round %d: send %d %v, recv %v", round, e.send.N, e.send.Err, e.recv.Err)
		}
	}
}

func s1StartingAllocatesNothing(w *world) {
	if w.cfg.Allocates || invariant.Enabled {
		return // lent bytes are heap copies where invariants are compiled in
	}
	a, b := w.connect()
	e := newEcho(b)
	e.recv.submit()
	back := a.reader(1, 0)
	back.each = nil
	ping := a.d.probe(proactor.OpSend, a.h)
	ping.Buf = make([]byte, 64)
	var got int64
	echoed := func() bool { return back.got >= got+64 }
	back.on = func() { back.got += int64(back.Op.N) }
	back.submit()
	round := func() {
		got = back.got
		ping.submit()
		w.until("an echo comes back", echoed)
	}
	for range 100 {
		round()
	}
	if n := testing.AllocsPerRun(300, round); n != 0 {
		w.Fatalf("%v allocations for each message sent and echoed, want 0", n)
	}
}

func s1SubmittedAgainFromItsLastComplete(w *world) {
	a, b := w.connect()
	const rounds = 50
	r := b.reader(7, 0)
	r.Limit = 3
	take := r.on
	r.on = func() {
		take()
		if !r.More && r.lasts < rounds && r.Err == nil {
			r.submit()
		}
	}
	r.submit()
	a.write(7, 3*rounds, func() int { return 1 + w.rand.IntN(8) })
	w.until("every limited recv has been filled", r.isIdle)
	if r.got != 3*rounds || r.err != nil || r.lasts != rounds {
		w.Fatalf("%d bytes in %d ops, then %v; want %d in %d", r.got, r.lasts, r.err, 3*rounds, rounds)
	}
}

func s2NotInsideSubmitCancelResume(w *world) {
	a, b := w.connect()
	a.say(made(3, 0, 100))
	l := w.server.bind(w.freshAddress(), nil)
	c := w.client.dial(l.local).wait()
	// All of these could complete at once. The probes see to it that none does
	// inside the call; this waits for them outside.
	r := b.read(3)
	s := b.write(4, 10, nil)
	l.submit()
	stale := b.d.probe(proactor.OpRecv, proactor.Handle(0))
	stale.submit()
	refused := w.client.dial(w.unusedAddress())
	w.until("all ops have a result", func() bool {
		return r.got == 100 && s.isIdle() && l.count == 1 && stale.isIdle() && refused.isIdle()
	})
	for range 3 {
		r.cancel()
		r.resume()
	}
	l.cancel()
	r.cancel()
	w.until("the canceled ones end", func() bool { return l.isIdle() && r.isIdle() })
	a.say(made(3, 100, 10))
	r.resume() // of an idle op with bytes waiting: a Submit
	w.until("a resumed recv goes on", r.has(110))
	_ = c
}

func s2OneAtATimeOnTheLoopsGoroutine(w *world) {
	const n = 16
	l := w.server.listen(nil)
	total := 0
	for i := range n {
		c, s := w.join(l)
		r := s.read(uint64(i))
		out := c.write(uint64(i), 512, nil)
		r.each = func([]byte) {
			if s.d.b.Token(s.h) == nil { // a call into the backend from within Complete
				s.d.report("Token is nil for an open handle")
			}
			total++
		}
		_ = out
	}
	w.until("every stream got its bytes", func() bool {
		for _, p := range w.server.probes {
			if p.Kind == proactor.OpRecv && p.total < 512 {
				return false
			}
		}
		return true
	})
	if total < n {
		w.Fatalf("%d completions for %d streams", total, n)
	}
}

func s2aExactlyOneLast(w *world) {
	a, b := w.connect()
	l := w.server.listen(nil)
	c := w.client.dial(l.local)
	r := b.read(5)
	s := a.write(5, 1000, nil)
	stale := a.d.probe(proactor.OpSend, 0)
	stale.submit()
	refused := w.client.dial(w.unusedAddress())
	w.until("the bytes and the connection arrive", func() bool { return r.got == 1000 && l.count == 1 && c.isIdle() && s.isIdle() })
	l.cancel()
	r.cancel()
	all := []*probe{r.probe, s.probe, l.probe, c.probe, stale, refused.probe}
	w.until("all are over", func() bool {
		for _, p := range all {
			if p.live {
				return false
			}
		}
		return true
	})
	a.say([]byte("more")) // reaches nobody
	w.never("an op completes after its last completion", w.brief(), func() bool { return false })
	for _, p := range all {
		if p.lasts != 1 {
			w.Errorf("%v had %d last completions, want 1", p.Kind, p.lasts)
		}
	}
}

func s2aStatsCountOpsAndResults(w *world) {
	d := w.server
	before, seen := d.b.Stats(), d.completions
	ops := make([]*probe, 10)
	for i := range ops {
		ops[i] = d.probe(proactor.OpRecv, 0)
		ops[i].submit()
	}
	if s := d.b.Stats(); s.Ops != before.Ops+10 || s.Submitted != before.Submitted+10 {
		w.Errorf("Ops %d and Submitted %d after 10 Submits, were %d and %d", s.Ops, s.Submitted, before.Ops, before.Submitted)
	}
	w.until("ten ops on no handle complete", func() bool { return d.completions == seen+10 })
	if s := d.b.Stats(); s.Ops != before.Ops || s.Completed != before.Completed+10 {
		w.Errorf("Ops %d and Completed %d after 10 completions, were %d and %d", s.Ops, s.Completed, before.Ops, before.Completed)
	}
}

var errThrown = errors.New("thrown by a test")

// pollThrowing is driver.poll where Complete may panic with errThrown; it
// reports whether it did.
func (d *driver) pollThrowing(thrown *int) {
	defer func() {
		switch p := recover(); p {
		case nil:
		case errThrown:
			*thrown++
		default:
			panic(p)
		}
	}()
	timeout := d.w.cfg.Patience / 4
	if len(d.w.drivers) > 1 {
		timeout = time.Millisecond // the other one has work too
	}
	d.poll(timeout)
}

func s2ePanicInCompletePassesThroughPoll(w *world) {
	const n = 8
	l := w.server.listen(nil)
	var readers [n]*reader
	var from [n]stream
	thrown, due := 0, 0
	for i := range readers {
		c, s := w.join(l)
		from[i], readers[i] = c, s.read(uint64(i))
	}
	for i, r := range readers {
		take := r.on
		r.on = func() {
			take()
			if r.results == 1 {
				due++
				panic(errThrown)
			}
		}
		from[i].write(uint64(i), 300, func() int { return 100 })
	}
	end := w.now() + w.cfg.Patience
	for done := false; !done && w.now() < end; {
		for _, d := range w.drivers {
			d.pollThrowing(&thrown)
		}
		done = true
		for _, r := range readers {
			done = done && r.got >= 300
		}
	}
	if thrown != n || due != n {
		w.Fatalf("%d panics left Complete, %d left Poll, want %d\n%s", due, thrown, n, w.dump())
	}
	for i, r := range readers {
		if r.got != 300 || !r.live {
			w.Errorf("stream %d: %d bytes after a panic, live %v; want 300 and a recv that goes on", i, r.got, r.live)
		}
	}
}

func s2ePanicInTheLastComplete(w *world) {
	a, b := w.connect()
	thrown := 0
	s := a.d.probe(proactor.OpSend, a.h)
	s.Buf = []byte("four")
	s.on = func() { panic(errThrown) }
	s.submit()
	for end := w.now() + w.cfg.Patience; s.live && w.now() < end; {
		for _, d := range w.drivers {
			d.pollThrowing(&thrown)
		}
	}
	if s.live || s.Active() || thrown != 1 {
		w.Fatalf("live %v, active %v, %d panics; want an idle op and 1", s.live, s.Active(), thrown)
	}
	s.on = nil
	s.submit() // the op and the backend are usable
	w.until("the op completes when submitted again", s.isIdle)
	n := 0
	r := b.reader(0, 0)
	r.on = func() { n += r.Op.N }
	r.submit()
	w.until("both messages arrive", func() bool { return n == 8 })
}

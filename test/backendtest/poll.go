package backendtest

import (
	"runtime"
	"sync/atomic"
	"time"

	"mobius/proactor"
)

// Sentence 7: Poll and Wake.

const forever = 25 * 24 * time.Hour // more milliseconds than an int32 has

func s7WaitsForTheTimeout(w *world) {
	d := w.server
	for _, timeout := range []time.Duration{0, 1, time.Microsecond, time.Millisecond, 20 * time.Millisecond} {
		start, polls := w.now(), 0
		for w.now()-start < timeout || polls == 0 {
			d.poll(max(0, timeout-(w.now()-start)))
			polls++
		}
		took := w.now() - start
		if took > timeout+w.cfg.Patience/10 || polls > 20 {
			w.Errorf("Poll(%v) with nothing to do: %v in %d polls", timeout, took, polls)
		}
	}
}

func s7WaitsOnceForALongTimeout(w *world) {
	d := w.server
	best := time.Duration(0)
	for range 5 {
		start := w.now()
		d.poll(20 * time.Millisecond)
		best = max(best, w.now()-start)
	}
	if best < 19*time.Millisecond {
		w.Errorf("Poll(20ms) with nothing to do returned after %v at the latest", best)
	}
	if w.cfg.Virtual {
		start := w.now()
		d.poll(forever)
		if took := w.now() - start; took != forever {
			w.Errorf("Poll(%v) with nothing to do took %v of virtual time", forever, took)
		}
	}
}

func s7VeryLongTimeoutAndWake(w *world) {
	for _, timeout := range []time.Duration{forever, -1, 1<<63 - 1} {
		start := w.now()
		if w.cfg.Virtual {
			w.server.b.Wake()
		} else {
			go w.server.b.Wake()
		}
		w.server.poll(timeout)
		if took := w.now() - start; took > w.cfg.Patience/3 {
			w.Errorf("Poll(%v) returned %v after a Wake", timeout, took)
		}
	}
}

// s7NeverWaitsAfterCompleting makes things complete in many ways and polls
// with a long timeout each time; driver.poll checks that none of these polls
// waits once something has completed.
func s7NeverWaitsAfterCompleting(w *world) {
	d := w.server
	a, b := w.connect()
	l := d.listen(nil)
	r := b.read(1)
	var off int64
	stale := func() *probe {
		p := d.probe(proactor.OpRecv, 0)
		p.submit()
		return p
	}
	causes := []struct {
		what  string
		begin func() func() bool // returns what it leads to
	}{
		{"bytes", func() func() bool {
			a.put(1, off, 50)
			off += 50
			return r.has(off)
		}},
		{"a send", func() func() bool { p := b.write(9, 10, nil); return p.isIdle }},
		{"a connection", func() func() bool {
			had, c := l.count, d.dial(l.local)
			return func() bool { return l.count > had && c.isIdle() }
		}},
		{"a refused connection", func() func() bool { return d.dial(w.unusedAddress()).isIdle }},
		{"a stale handle", func() func() bool { return stale().isIdle }},
		{"a cancel", func() func() bool { p := l.probe; p.cancel(); return p.isIdle }},
		{"an op submitted by a completion", func() func() bool {
			p := stale()
			var next *probe
			p.on = func() { next = stale() }
			return func() bool { return next != nil && next.isIdle() }
		}},
		{"the end", func() func() bool { a.shutdown(); return r.isIdle }},
	}
	for _, c := range causes {
		start, done := w.now(), c.begin()
		for !done() {
			d.poll(w.cfg.Patience)
			if w.now()-start > w.cfg.Patience/2 {
				w.Fatalf("%s: Poll waited although there was something to complete", c.what)
			}
		}
	}
}

// s7CompletionsAddWork is an echo that is resumed by its own completions only.
func s7CompletionsAddWork(w *world) {
	a, b := w.connect()
	e := newEcho(b)
	e.recv.submit()
	total := int64(w.size(100_000))
	back := a.read(1)
	a.write(1, total, func() int { return 1000 })
	start := w.now()
	for back.got < total {
		w.turn(w.cfg.Patience)
		if w.now()-start > w.cfg.Patience {
			w.Fatalf("%d of %d bytes after %v\n%s", back.got, total, w.now()-start, w.dump())
		}
	}
}

func s7bWakeBeforePollIsKept(w *world) {
	d := w.server
	for i := range 50 {
		d.b.Wake()
		if i%3 == 0 {
			d.b.Wake() // one or many: the same
		}
		w.mustReturnEarly(d)
		if i%5 == 0 {
			best := time.Duration(0)
			for range 5 { // and then no more of it
				start := w.now()
				d.poll(2 * time.Millisecond)
				best = max(best, w.now()-start)
			}
			if best < 1900*time.Microsecond {
				w.Fatalf("Poll keeps returning early after a Wake: %v of 2ms", best)
			}
		}
	}
}

// mustReturnEarly polls with a long timeout and checks that Poll came back.
func (w *world) mustReturnEarly(d *driver) {
	w.Helper()
	start := w.now()
	d.poll(w.cfg.Patience)
	if took := w.now() - start; took > w.cfg.Patience/2 {
		w.Fatalf("sentence 7b: a Wake was lost: Poll(%v) waited %v", w.cfg.Patience, took)
	}
}

func s7bWakeFromWithinComplete(w *world) {
	d := w.server
	for range 20 {
		p := d.probe(proactor.OpRecv, 0)
		p.on = func() { d.b.Wake() }
		p.submit()
		w.until("it completes", p.isIdle)
		w.mustReturnEarly(d) // the Poll under way had completed something: the next one is meant
	}
}

func s7bNoWakeIsLost(w *world) {
	if w.cfg.Virtual {
		s7bWakeBeforePollIsKept(w)
		return
	}
	d := w.server
	const rounds = 5000
	var posted atomic.Int64
	seen, over := make(chan int64, 1), make(chan struct{})
	go func() {
		defer close(over)
		for i := int64(1); i <= rounds; i++ {
			posted.Store(i)
			d.b.Wake()
			if <-seen < i {
				return // the loop has given up
			}
			for range i % 64 { // hit every moment of the way into the next Poll
				runtime.Gosched()
			}
		}
	}()
	for i := int64(1); i <= rounds; i++ {
		start := w.now()
		for posted.Load() < i {
			d.poll(w.cfg.Patience / 6)
			if took := w.now() - start; took > w.cfg.Patience/8 {
				seen <- 0
				w.Fatalf("sentence 7b: wake-up %d of %d was lost", i, rounds)
			}
		}
		seen <- i
	}
	<-over
}

func s7cPollFromAnotherThread(w *world) {
	if w.cfg.AnyThread {
		return
	}
	d := w.another()
	d.poll(0)
	var err error
	w.elsewhere(func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err = d.b.Poll(0)
	})
	if err != proactor.ErrWrongThread {
		w.Fatalf("Poll from a second thread: %v, want ErrWrongThread", err)
	}
	d.poll(0) // the owner may go on
}

// s7cSubmitBeforeTheFirstPoll opens and submits on one goroutine and polls on another.
func s7cSubmitBeforeTheFirstPoll(w *world) {
	var b proactor.Backend
	var h proactor.Handle
	got := make(chan error, 1)
	ops := make([]proactor.Op, 3)
	owner := completer(func(op *proactor.Op) {
		if op == &ops[2] {
			got <- op.Err
		}
	})
	b = w.cfg.Open(w.TB)
	h, local, err := b.Listen(w.freshAddress(), nil)
	if err != nil {
		w.Fatal(err)
	}
	c, err := b.Stream(local, nil)
	if err != nil {
		w.Fatal(err)
	}
	ops[0] = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: owner}
	ops[1] = proactor.Op{Kind: proactor.OpRecv, Handle: 0, Owner: owner}
	ops[2] = proactor.Op{Kind: proactor.OpConnect, Handle: c, Owner: owner, Addr: &local}
	for i := range ops {
		b.Submit(&ops[i])
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for end := b.Now() + w.cfg.Patience; len(got) == 0 && b.Now() < end; {
			if err := b.Poll(w.cfg.Patience / 10); err != nil {
				w.Errorf("the first Poll, on another thread: %v", err)
				break
			}
		}
		if err := b.Close(); err != nil {
			w.Errorf("Close: %v", err)
		}
	}()
	<-over
	select {
	case err := <-got:
		if err != nil {
			w.Fatalf("connect: %v", err)
		}
	default:
		w.Fatal("a connect submitted before the first Poll did not complete")
	}
}

// A completer is a function as an owner.
type completer func(op *proactor.Op)

func (f completer) Complete(op *proactor.Op) { f(op) }

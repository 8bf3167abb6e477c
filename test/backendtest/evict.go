package backendtest

import (
	"io"
	"runtime"

	"mobius/proactor"
)

// Sentences 3b and 3c: who gives way when bytes are held, and who is served next.

func s3bPeersThatNeverReadDoNotStopOthers(w *world) {
	const idle = 100
	l := w.server.listen(nil)
	k := &keeper{d: w.server}
	var got [idle]*reader
	for i := range uint64(idle) {
		a, b := w.join(l)
		got[i] = b.read(i)
		k.keep(got[i]) // and never gives it back unless asked
		a.say(made(i, 0, 64))
	}
	w.until("each has its 64 bytes", func() bool {
		for _, r := range got {
			if r.got < 64 {
				return false
			}
		}
		return true
	})
	a, b := w.join(l)
	e := newEcho(b)
	e.recv.submit()
	total := int64(w.size(8 << 20))
	back := a.read(1)
	a.write(1, total, nil)
	w.until("a good stream is echoed in full beside them", back.has(total))
	k.mustBeOldestFirst(w)
	if n := w.cfg.Holds; n > 0 && len(k.asked) < idle-n {
		w.Errorf("%d of %d holds were asked back, with a cap of %d", len(k.asked), len(k.pieces), n)
	}
	k.releaseAll()
}

// s3bStalledRelaysDoNotStopOthers has relays keep what their sinks do not take.
func s3bStalledRelaysDoNotStopOthers(w *world) {
	const n = 12
	total := int64(w.size(1 << 20))
	var chains [n]chain
	var relays [n]*relay
	for i := range chains {
		c := w.chain(proactor.TCP, proactor.TCP, small)
		relays[i] = w.server.relay(c.in.h, c.out.h)
		relays[i].submit()
		c.source.write(uint64(i), total, func() int { return 1 + w.rand.IntN(3000) })
		for range 3 {
			w.step()
		}
		chains[i] = c
	}
	l := w.server.listen(nil)
	a, b := w.join(l)
	e := newEcho(b)
	e.recv.submit()
	back := a.read(99)
	a.write(99, total, nil)
	w.until("a good stream is echoed in full beside stalled relays", back.has(total))
	for i, c := range chains {
		in := c.sink.read(uint64(i))
		w.until("a relay goes on once its sink is read", in.has(total))
		c.source.shutdown()
		w.until("it ends", relays[i].isIdle)
		relays[i].wantRelayed(total, io.EOF, proactor.NoSide)
	}
}

// mustBeOldestFirst checks that holds were asked back in the order in which
// they were made.
func (k *keeper) mustBeOldestFirst(w *world) {
	w.Helper()
	at := 0
	for i, p := range k.asked {
		for at < len(k.pieces) && k.pieces[at] != p {
			at++
		}
		if at == len(k.pieces) {
			w.Fatalf("sentence 3b: hold asked back as number %d is older than the one before", i)
		}
	}
	if s := w.server.b.Stats(); s.Evicted-w.server.base.Evicted < uint64(len(k.asked)) {
		w.Errorf("Stats counts %d evictions, %d were asked", s.Evicted-w.server.base.Evicted, len(k.asked))
	}
}

// A hog is a stream whose reader holds everything and gives nothing back.
type hog struct {
	k   *keeper
	in  *reader
	out *writer
}

// hog starts one and waits until the backend lends no more, or it has lent a
// great deal. It reports whether the streams starve now.
func (w *world) hog(l *listener) (*hog, bool) {
	w.Helper()
	a, b := w.join(l)
	h := &hog{k: &keeper{d: w.server, stingy: true}, in: b.read(1)}
	h.k.keep(h.in)
	const enough = 48 << 20
	h.out = a.write(1, enough, func() int { return 64 << 10 })
	dry := w.starves()
	for last := int64(-1); h.in.got > last; {
		last = h.in.got
		more := h.in.has(last + 1)
		if !w.within(8*w.brief(), more) { // a slow machine looks the same, but nobody starves there
			w.settles("more is held, or a stream starves", func() bool { return more() || dry() })
		}
		if h.in.got >= enough {
			break
		}
	}
	starving := h.in.got < enough
	if w.cfg.Starves && !starving {
		w.Fatalf("%d bytes in %d pieces are held, and the backend lends on", h.in.got, len(h.k.pieces))
	}
	return h, starving
}

// starves returns what reports whether a stream of the server's has found no
// buffer since.
func (w *world) starves() func() bool {
	before := w.server.b.Stats().Starved
	return func() bool { return w.server.b.Stats().Starved > before }
}

// releaseOldest gives the oldest piece back, from another goroutine.
func (k *keeper) releaseOldest() bool {
	for _, p := range k.pieces {
		if !p.given.Load() {
			k.d.w.elsewhere(p.release)
			return true
		}
	}
	return false
}

func s3bEachHoldIsAskedOnceOldestFirst(w *world) {
	l := w.server.listen(nil)
	h, starving := w.hog(l)
	if starving && len(h.k.asked) == 0 {
		w.Errorf("sentence 3b: streams starve, %d holds are out, and none was asked back", len(h.k.pieces))
	}
	h.k.mustBeOldestFirst(w)
	for range 20 { // with some of them back it goes on, and asks for the next ones
		got := h.in.got
		h.k.releaseOldest()
		w.within(w.brief(), h.in.has(got+1))
	}
	h.k.mustBeOldestFirst(w)
	w.end(h)
}

func s3cStarvedAreServedInOrder(w *world) {
	const n = 12
	l := w.server.listen(nil)
	var from [n]stream
	var readers [n]*reader
	var order []int
	for i := range from {
		a, b := w.join(l)
		from[i], readers[i] = a, b.read(uint64(100+i))
	}
	h, starving := w.hog(l)
	for i, r := range readers {
		h.k.keep(r) // what they are served they hold too
		keep := r.each
		r.each = func(p []byte) {
			if keep(p); r.results == 1 {
				order = append(order, i)
			}
		}
		dry, served := w.starves(), len(order)
		from[i].say(made(uint64(100+i), 0, 20))
		if starving {
			w.settles("it is served, or starves", func() bool { return dry() || len(order) > served })
		}
	}
	if starving {
		w.notSpinning(func() { w.never("", 6*w.brief(), func() bool { return false }) })
	}
	before := len(order)
	for len(order) < n && h.k.releaseOldest() {
		served := len(order)
		w.within(w.brief(), func() bool { return len(order) > served })
	}
	w.until("every stream is served once all holds are back", func() bool { return len(order) == n })
	for i := before + 1; starving && i < n; i++ {
		if order[i] < order[i-1] {
			w.Fatalf("sentence 3c: served in the order %v, of which the first %d did not starve", order, before)
		}
	}
	if w.cfg.Starves && n-before < 3 {
		w.Errorf("only %d streams starved", n-before)
	}
	w.end(h)
}

// end gives back everything that a hog has, and waits until it is done.
func (w *world) end(h *hog) {
	w.Helper()
	h.out.stop = true
	h.k.releaseAll()
	w.until("the hog is done", func() bool { return h.out.isDone() && h.in.got >= h.out.sent })
}

func s3cServedAgainWithoutATimer(w *world) {
	l := w.server.listen(nil)
	a, b := w.join(l)
	h, starving := w.hog(l)
	if !starving {
		w.end(h)
		return
	}
	r := b.read(9)
	a.say(made(9, 0, 10))
	w.within(w.brief(), r.has(10))
	h.out.stop = true
	before := w.server.b.Stats()
	over := w.aside(h.k.takeAll()) // while the loop sleeps in Poll
	w.until("a starved stream is served", r.has(10))
	<-over
	if s := w.server.b.Stats(); !w.cfg.Virtual && s.Enters-before.Enters > 2000 {
		w.Errorf("%d system calls until a starved stream was served", s.Enters-before.Enters)
	}
	w.end(h)
}

// aside runs f on another goroutine, which nothing but f wakes the loop for. In
// virtual time it runs it to its end.
func (w *world) aside(f func()) (over chan struct{}) {
	over = make(chan struct{})
	start := w.server.polls.Load()
	go func() {
		defer close(over)
		for last, tries := start, 0; tries < 100; tries++ { // until the loop sleeps: in a Poll that began after this
			for range 1000 {
				runtime.Gosched()
			}
			now := w.server.polls.Load()
			if now == last && now != start {
				break
			}
			last = now
		}
		f()
	}()
	if w.cfg.Virtual {
		<-over
	}
	return over
}

// notSpinning runs f and checks that the backend made few system calls.
func (w *world) notSpinning(f func()) {
	w.Helper()
	before, start := w.server.b.Stats().Enters, w.now()
	f()
	calls, took := w.server.b.Stats().Enters-before, w.now()-start
	if len(w.drivers) > 1 || w.cfg.Virtual {
		return // then the test itself polls in small steps, or there are none
	}
	if most := 30 + uint64(took.Milliseconds())/5; calls > most {
		w.Errorf("sentence 16: %d system calls in %v with nothing to do", calls, took)
	}
}

func s3cABlockedStreamDoesNotStarveBySilence(w *world) {
	// Stream b starves because of others and is then served, although its own
	// peer sends nothing any more.
	l := w.server.listen(nil)
	a, b := w.join(l)
	c, d := w.join(l)
	k := &keeper{d: w.server, stingy: true}
	hold := d.read(2)
	k.keep(hold)
	out := c.write(2, int64(w.size(1<<20)), func() int { return 512 })
	w.within(4*w.brief(), func() bool { return out.isDone() && hold.got == out.sent })
	r := b.read(1)
	op := a.d.probe(proactor.OpSend, a.h)
	op.Buf = made(1, 0, 10)
	op.submit()
	w.within(w.brief(), r.has(10))
	k.releaseAll()
	w.until("both are served", func() bool { return r.got == 10 && out.isDone() && hold.got == out.total })
}

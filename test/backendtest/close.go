package backendtest

import (
	"errors"
	"sync/atomic"

	"mobius/proactor"
)

// What Close promises.

// closeWithEverythingActive closes a backend that has ops of all kinds under way.
func closeWithEverythingActive(w *world) {
	d := w.another()
	l, err := d.listenRaw(w)
	if err != nil {
		w.Fatal(err)
	}
	var ops []*probe
	add := func(kind proactor.Kind, h proactor.Handle) *probe {
		p := d.probe(kind, h)
		p.on = func() {}
		ops = append(ops, p)
		return p
	}
	accepted := add(proactor.OpAccept, l.h)
	accepted.submit()
	streams := make([]proactor.Handle, 4)
	for i := range streams {
		streams[i] = d.socket(l.local, small)
		c := d.probe(proactor.OpConnect, streams[i])
		c.Addr = &l.local
		c.submit()
		for end := d.b.Now() + w.cfg.Patience; c.live && d.b.Now() < end; {
			d.poll(w.cfg.Patience / 100)
		}
		if c.live || c.err != nil {
			w.Fatalf("connect: %v", c.err)
		}
	}
	send := add(proactor.OpSend, streams[0])
	send.Buf = make([]byte, 8<<20)
	send.submit()
	add(proactor.OpRecv, streams[1]).submit()
	relay := d.relay(streams[2], streams[3])
	relay.r.Head = make([]byte, 4<<20)
	relay.submit()
	d.pinned(streams[1], make([]byte, 1<<20)).op.submit()
	for range 10 {
		d.poll(w.brief() / 20)
	}
	add(proactor.OpConnect, d.socket(l.local, nil)).Addr = &l.local
	ops[len(ops)-1].submit() // and one that no Poll has seen
	work := add(proactor.OpWork, 0)
	work.Func = func() {}
	work.submit()
	if send.isIdle() || relay.isIdle() {
		w.Fatalf("8 MiB went to a peer that does not read")
	}
	d.closed = true // from now on every completion is a breach
	for range 2 {
		if err := d.b.Close(); err != nil {
			w.Fatalf("Close with ops active: %v", err)
		}
	}
	w.within(w.brief(), func() bool { return false })
}

// closeWithAFuncRunning closes a backend whose Work is in the middle of its
// Func: Close does not wait, and the op is the owner's again, to be used elsewhere.
func closeWithAFuncRunning(w *world) {
	if w.cfg.Virtual {
		return // a Func cannot be caught in the middle there
	}
	d := w.another()
	var started atomic.Bool
	release, over := make(chan struct{}), make(chan struct{})
	p := d.probe(proactor.OpWork, 0)
	p.on = func() {}
	p.Func = func() {
		started.Store(true)
		<-release
		close(over)
	}
	p.submit()
	for end := d.b.Now() + w.cfg.Patience; !started.Load() && d.b.Now() < end; {
		d.poll(w.brief())
	}
	d.closed = true // from now on every completion is a breach
	if err := d.b.Close(); err != nil {
		w.Fatalf("Close while a Func runs: %v", err)
	}
	if p.Active() {
		w.Fatal("a Work is active although its backend is closed")
	}
	again := proactor.Op{Kind: proactor.OpWork, Func: func() {}}
	ended := false
	again.Owner = completer(func(op *proactor.Op) { ended = op.Err == nil })
	p.Op = again // the memory serves another backend
	w.server.b.Submit(&p.Op)
	w.until("the op completes on another backend", func() bool { return ended })
	p.Op.Err = errMine
	close(release)
	<-over
	w.within(w.brief(), func() bool { return false })
	if p.Op.Err != errMine || p.Active() {
		w.Fatalf("a Func that ended after Close changed its op: %v", p.Op.Err)
	}
}

var errMine = errors.New("the owner's")

// listenRaw listens on a backend that is not a world's server.
func (d *driver) listenRaw(w *world) (*listener, error) {
	h, local, err := d.b.Listen(w.freshAddress(), small)
	return &listener{h: h, local: local, probe: &probe{d: d}}, err
}

// closeBeforeTheFirstPoll opens and closes, on any goroutine.
func closeBeforeTheFirstPoll(w *world) {
	w.elsewhere(func() {
		for range 3 {
			b := w.cfg.Open(w.TB)
			h, local, err := b.Listen(w.freshAddress(), nil)
			if err != nil {
				w.report("Listen: %v", err)
			}
			op := &proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: completer(func(*proactor.Op) {
				w.report("a completion out of Close")
			})}
			b.Submit(op)
			if err := b.Close(); err != nil {
				w.report("Close: %v", err)
			}
			if h, _, err := b.Listen(local, nil); err == nil {
				w.report("Listen after Close makes %v", h)
			}
		}
	})
}

// closeManyTimes opens and closes many backends: whatever one of them leaves
// behind shows up many times.
func closeManyTimes(w *world) {
	w.exchangeOn(w.another())
	before := mappings("-")
	const n = 40
	for range n {
		w.exchangeOn(w.another())
	}
	if now := mappings("-"); now > before+n/2 {
		w.Errorf("%d mappings of memory after %d backends, were %d", now, n, before)
	}
}

// exchangeOn sends a few bytes from one end of a backend to its other, and closes it.
func (w *world) exchangeOn(d *driver) {
	w.Helper()
	others := w.drivers
	server, client := w.server, w.client
	w.drivers, w.server, w.client = []*driver{d}, d, d
	a, b := w.connect()
	r := b.read(1)
	a.say(made(1, 0, 100))
	w.until("bytes arrive", r.has(100))
	r.cancel()
	d.finish()
	w.drivers, w.server, w.client = others[:len(others)-1], server, client
}

// closeGivesHandlesBack leaves handles open for Close to close.
func closeGivesHandlesBack(w *world) {
	d := w.another()
	l, err := d.listenRaw(w)
	if err != nil {
		w.Fatal(err)
	}
	c := w.client.dial(l.local).wait()
	if err := d.b.Close(); err != nil {
		w.Fatalf("Close: %v", err)
	}
	d.closed = true
	r := c.read(0)
	w.until("the peer hears of the end", r.isIdle)
	refused := w.client.dial(l.local)
	w.until("the port is free", refused.isIdle)
	if refused.err == nil {
		w.Fatal("a port of a closed backend still accepts")
	}
	h, _, err := w.server.b.Listen(l.local, nil)
	if err != nil {
		w.Fatalf("Listen on the port of a closed backend: %v", err)
	}
	w.server.own(h)
}

package backendtest

import "mobius/proactor"

// Sentence 10: Poll ops, whose result is readiness.

// wait submits a Poll op for events.
func (s stream) waitFor(events proactor.Events) *probe {
	p := s.d.probe(proactor.OpPoll, s.h)
	p.Events = events
	p.submit()
	return p
}

// wantReady waits for p and checks that it saw at least the events.
func (p *probe) wantReady(events proactor.Events) {
	w := p.d.w
	w.Helper()
	w.until("a Poll op completes", p.isIdle)
	if p.err != nil || p.Events&events != events {
		w.Fatalf("Poll op: events %b, %v; want %b", p.Events, p.err, events)
	}
}

func s10LevelTriggeredAndOneShot(w *world) {
	a, b := w.connect()
	if !w.supports(proactor.OpPoll, b.h) {
		return
	}
	b.waitFor(proactor.Writable).wantReady(proactor.Writable)
	p := b.waitFor(proactor.Readable)
	w.never("readable without bytes", w.brief(), p.isIdle)
	a.say(made(1, 0, 10))
	p.wantReady(proactor.Readable)
	w.never("a second completion", w.brief(), func() bool { return p.results != 1 })
	for range 3 { // the bytes are still there: at once, each time
		b.waitFor(proactor.Readable).wantReady(proactor.Readable)
	}
	r := b.read(1)
	w.until("a recv gets the bytes", r.has(10))
	r.cancel()
	w.until("it ends", r.isIdle)
	q := b.waitFor(proactor.Readable)
	w.never("readable after everything was read", w.brief(), q.isIdle)
	a.shutdown()
	q.wantReady(proactor.Readable)
}

func s10aSeveralPollsOnOneHandle(w *world) {
	a, b := w.connect()
	if !w.supports(proactor.OpPoll, b.h) {
		return
	}
	var all [5]*probe
	for i := range all {
		all[i] = b.waitFor(proactor.Readable)
	}
	b.waitFor(proactor.Readable | proactor.Writable).wantReady(proactor.Writable)
	if err := b.d.b.CloseFD(b.h); err != proactor.ErrBusy {
		w.Fatalf("CloseFD with Poll ops active: %v, want ErrBusy", err)
	}
	all[2].cancel()
	w.until("it ends", all[2].isIdle)
	if all[2].err != proactor.ErrCanceled {
		w.Fatalf("a canceled Poll op ends with %v", all[2].err)
	}
	a.say(made(1, 0, 10))
	for i, p := range all {
		if i != 2 {
			p.wantReady(proactor.Readable)
		}
	}
	fd, err := b.d.b.Detach(b.h) // the owner has it back
	if err != nil {
		w.Fatalf("Detach: %v", err)
	}
	b.d.disown(b.h)
	h, err := b.d.b.Adopt(fd)
	if err != nil {
		w.Fatalf("Adopt: %v", err)
	}
	again := stream{b.d, b.d.own(h)}
	again.waitFor(proactor.Readable).wantReady(proactor.Readable)
	r := again.read(1)
	w.until("its bytes are still there", r.has(10))
}

func s10CancelAndFailure(w *world) {
	a, b := w.connect()
	if !w.supports(proactor.OpPoll, b.h) {
		return
	}
	p := b.waitFor(proactor.Readable)
	w.step()
	p.cancel()
	w.until("it ends", p.isIdle)
	if p.err != proactor.ErrCanceled {
		w.Fatalf("Poll op ends with %v, want ErrCanceled", p.err)
	}
	p = b.waitFor(proactor.Readable)
	a.reset()
	w.until("it ends", p.isIdle)
	if p.err != nil || p.Events == 0 {
		w.Fatalf("Poll op on a reset stream: events %b, %v", p.Events, p.err)
	}
	stale := stream{b.d, 0}.waitFor(proactor.Readable)
	w.until("it ends", stale.isIdle)
	if stale.err != proactor.ErrClosed {
		w.Fatalf("Poll op on no handle: %v, want ErrClosed", stale.err)
	}
}

// wantAll waits for p and checks that it saw the events and Failed, and nothing
// else.
func (p *probe) wantAll(what string, events proactor.Events) {
	w := p.d.w
	w.Helper()
	w.until("a Poll op completes: "+what, p.isIdle)
	if p.err != nil || p.Events != events|proactor.Failed {
		w.Fatalf("%s: events %03b, %v; want %03b", what, p.Events, p.err, events|proactor.Failed)
	}
}

const bothEvents = proactor.Readable | proactor.Writable

func s10bAHangUpIsReadyForAll(w *world) {
	a, b := w.connect()
	if !w.supports(proactor.OpPoll, b.h) {
		return
	}
	b.shutdown()
	p := b.waitFor(proactor.Readable)
	w.never("readable while the peer writes on", w.brief(), p.isIdle)
	a.shutdown()
	p.wantAll("both sides have finished", proactor.Readable)
	b.waitFor(bothEvents).wantAll("both sides have finished, read or write", bothEvents)

	a, b = w.connect()
	p = b.waitFor(proactor.Readable)
	w.step()
	a.reset()
	p.wantAll("a reset", proactor.Readable)
}

func s10bTheEndOfAPipe(w *world) {
	if !w.hasChildren() {
		return
	}
	command := w.cfg.Child
	if command == nil {
		command = func(int) *proactor.Command {
			return &proactor.Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 0"}}
		}
	}
	c := command(0)
	c.Pipes = []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}}
	h, pipes, err := w.server.b.Spawn(c)
	if err != nil {
		w.Fatalf("Spawn: %v", err)
	}
	in, out := stream{w.server, w.server.own(pipes[0])}, stream{w.server, w.server.own(pipes[1])}
	p := out.waitFor(proactor.Readable)
	q := w.server.probe(proactor.OpChild, w.server.own(h))
	q.submit()
	p.wantAll("nobody writes", proactor.Readable)
	w.until("the child ends", q.isIdle)
	out.waitFor(proactor.Readable).wantAll("nobody writes, asked again", proactor.Readable)
	in.waitFor(proactor.Writable).wantAll("nobody reads", proactor.Writable)
	in.waitFor(0).wantAll("nobody reads, without an event", 0)
}

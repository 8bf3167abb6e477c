package backendtest

import "mobius/proactor"

// Sentence 15, between backends: how a listener's loop hands over connections.

// move hands s over to another backend.
func (s stream) move(to *driver) stream {
	w := s.d.w
	w.Helper()
	fd, err := s.d.b.Detach(s.h)
	if err != nil {
		w.Fatalf("Detach: %v", err)
	}
	s.d.disown(s.h)
	h, err := to.b.Adopt(fd)
	if err != nil {
		w.Fatalf("Adopt: %v", err)
	}
	return stream{to, to.own(h)}
}

func s15MovesBetweenBackends(w *world) {
	other := w.another()
	l := w.server.listen(nil)
	for i := range uint64(30) {
		a, b := w.join(l)
		a.say(made(i, 0, 40)) // waits in the socket while it moves
		local, remote, err := w.server.b.Names(b.h)
		if err != nil {
			w.Fatalf("Names: %v", err)
		}
		moved := b.move(other)
		if l2, r2, err := other.b.Names(moved.h); err != nil || l2 != local || r2 != remote {
			w.Fatalf("Names after the move: %v, %v (%v); were %v, %v", l2, r2, err, local, remote)
		}
		e := newEcho(moved)
		e.recv.submit()
		back := a.read(i)
		a.say(made(i, 40, 60))
		w.until("a connection that moved is echoed by the other backend", back.has(100))
		for _, p := range []*probe{back.probe, e.recv} {
			p.cancel()
			w.until("it ends", p.isIdle)
		}
		w.until("the echo is idle", e.send.isIdle)
		moved.close()
		a.close()
		if err := w.server.b.CloseFD(b.h); err != proactor.ErrClosed {
			w.Fatalf("the old handle answers %v, want ErrClosed", err)
		}
	}
}

func s15DetachEndsTheGeneration(w *world) {
	other := w.another()
	a, b := w.connect()
	r := b.read(1)
	out := w.stall(b, 2)
	for _, p := range []*probe{out.probe, r.probe} {
		if _, err := b.d.b.Detach(b.h); err != proactor.ErrBusy {
			w.Fatalf("Detach with %v active: %v, want ErrBusy", p.Kind, err)
		}
		p.cancel()
		w.until("it ends", p.isIdle)
	}
	token := b.d.b.Token(b.h)
	fd, err := b.d.b.Detach(b.h)
	if err != nil {
		w.Fatalf("Detach: %v", err)
	}
	b.d.disown(b.h)
	if token.Enter(b.h) || token.Share(b.h) {
		w.Fatal("the token of a detached handle can be had")
	}
	w.staleOps(b.h)
	h, err := other.b.Adopt(fd)
	if err != nil {
		w.Fatalf("Adopt: %v", err)
	}
	other.own(h)
	in := a.read(2)
	stream{other, h}.shutdown()
	in.wantEnd(out.sent) // what the kernel took is not lost by the move
}

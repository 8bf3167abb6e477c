package datagram

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// What comes between ResumeReading and the end of the turn comes behind what was
// kept.
func TestWhatWasKeptComesFirst(t *testing.T) {
	each(t, func(s *site) {
		r := &log{}
		p := s.listen(s.v4(), r, nil)
		p.from = p.LocalAddr()
		comes := func(text string) { p.received(&proactor.Op{Buf: []byte(text), Msg: &proactor.Msg{}, More: true}) }
		p.PauseReading()
		comes("a")
		comes("b")
		p.ResumeReading()
		comes("c")
		s.Until("all are told", r.has(`"c"`))
		if want := []string{"start", `"a"`, `"b"`, `"c"`}; !slices.Equal(r.events, want) {
			s.Errorf("told %v, want %v", r.events, want)
		}
	})
}

// Only errors in a row make a port rest, and a datagram ends a row.
func TestRestAfterARowOfErrors(t *testing.T) {
	each(t, func(s *site) {
		r := &log{}
		p, other := s.listen(s.v4(), r, nil), s.listen(s.v4(), &log{}, nil)
		errs := func(n int) {
			for range n {
				p.survives(syscall.EHOSTUNREACH)
			}
		}
		errs(restAfter - 1)
		s.write(other, "between", p.LocalAddr())
		s.Until("a datagram comes between", r.has(`"between"`))
		errs(restAfter - 1)
		if p.flags.has(resting) {
			s.Error("it rests though a datagram has come between")
		}
		errs(1)
		if !p.flags.has(resting) {
			s.Errorf("it does not rest after %d errors", restAfter)
		}
		s.write(other, "after", p.LocalAddr())
		s.Until("it goes on", r.has(`"after"`))
	})
}

// A stuck is a backend on which nothing that is sent ends by itself.
type stuck struct {
	proactor.Backend
	sends []*proactor.Op
}

func (b *stuck) Submit(op *proactor.Op) {
	if op.Kind == proactor.OpSendTo {
		op.Begin()
		b.sends = append(b.sends, op)
		return
	}
	b.Backend.Submit(op)
}

func (b *stuck) Cancel(op *proactor.Op) {
	if op.Kind != proactor.OpSendTo {
		b.Backend.Cancel(op)
		return
	}
	end(op, proactor.ErrCanceled)
}

// end completes a send, in a timers phase.
func end(op *proactor.Op, err error) {
	t := &loop.Timer{Func: func() { op.Deliver(0, err, false) }}
	op.Owner.(*packet).port.l.Start(t, 0)
}

// newStuck returns a port whose datagrams stay where they are.
func newStuck(t *testing.T, p Protocol, o *Options) (*site, *stuck, *Port) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
	b := &stuck{Backend: w.Open()}
	s := &site{w, w.LoopOn(b, loop.Options{})}
	return s, b, s.listen(s.v4(), p, o)
}

// A port whose datagrams the kernel does not take stops in time all the same.
func TestStopOfAPortThatCannotSend(t *testing.T) {
	r := &witness{}
	s, _, p := newStuck(t, r, &Options{CloseTimeout: 5 * time.Second})
	s.write(p, "x", p.LocalAddr())
	begin, took := s.l.Now(), time.Duration(0)
	stopped := p.StopListening()
	stopped.Then(func(struct{}, error) { took = s.l.Now() - begin })
	s.Until("stopped", func() bool { return took > 0 })
	if took < 5*time.Second || took > 6*time.Second {
		t.Errorf("it took %v, want 5s", took)
	}
	if len(r.failed) != 1 || !errors.Is(r.failed[0], transport.ErrNotWritable) {
		t.Errorf("told of %v", r.failed)
	}
}

// ResumeWriting comes when the queue is half empty, not with each place.
func TestResumeWhenHalfEmpty(t *testing.T) {
	r := &witness{}
	s, b, p := newStuck(t, r, &Options{Queue: 8, CloseTimeout: -1})
	for range 8 {
		s.write(p, "x", p.LocalAddr())
	}
	if err := p.WriteTo([]byte("x"), p.LocalAddr()); !errors.Is(err, transport.ErrFull) {
		t.Errorf("a ninth: %v", err)
	}
	for i, op := range b.sends {
		end(op, nil)
		s.Until("it is sent", func() bool { return p.Queued() == 7-i })
		if want := i >= 3; (r.resumed > 0) != want || r.resumed > 1 {
			t.Errorf("with %d queued it was told to resume %d times", p.Queued(), r.resumed)
		}
	}
	s.Until("stopped", isDone(p.StopListening()))
}

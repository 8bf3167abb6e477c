package transport

import (
	"testing"
	"time"

	"mobius/proactor"
	"mobius/sim"
)

// faulty is a simulated backend on which single operations fail as a test
// wants it.
type faulty struct {
	*sim.Backend
	fail  func(op *proactor.Op) error // nil: the operation goes on
	ready []*proactor.Op
	errs  []error
	hang  bool // a Cancel does nothing
	asked int  // calls of Refuse
	hasty bool // a hold is asked back before its holder has it
}

func newFaultyWorld(t testing.TB) (*world, *faulty) {
	t.Helper()
	net := sim.New(quiet(1))
	b, err := net.Open()
	if err != nil {
		t.Fatal(err)
	}
	f := &faulty{Backend: b, fail: func(*proactor.Op) error { return nil }}
	w := newWorldOn(t, f)
	w.net, w.limit = net, time.Minute
	return w, f
}

func (f *faulty) Submit(op *proactor.Op) {
	if f.hang {
		op.Begin()
		return
	}
	if err := f.fail(op); err != nil {
		op.Begin()
		f.ready, f.errs = append(f.ready, op), append(f.errs, err)
		return
	}
	f.Backend.Submit(op)
}

func (f *faulty) Cancel(op *proactor.Op) {
	if f.hang {
		return
	}
	for _, x := range f.ready {
		if x == op {
			return // it ends anyway
		}
	}
	f.Backend.Cancel(op)
}

func (f *faulty) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	h := f.Backend.Hold(op, owner)
	if f.hasty {
		owner.Evict(h)
	}
	return h
}

func (f *faulty) Resume(op *proactor.Op) {
	if !op.Active() {
		f.Submit(op)
		return
	}
	f.Backend.Resume(op)
}

func (f *faulty) Poll(timeout time.Duration) error {
	if len(f.ready) == 0 {
		return f.Backend.Poll(timeout)
	}
	ready, errs := f.ready, f.errs
	f.ready, f.errs = nil, nil
	if err := f.Backend.Poll(0); err != nil {
		return err
	}
	for i, op := range ready {
		op.Deliver(0, errs[i], false)
	}
	return nil
}

func (f *faulty) Refuse(h proactor.Handle, most int) (int, error) {
	f.asked++
	return f.Backend.Refuse(h, most)
}

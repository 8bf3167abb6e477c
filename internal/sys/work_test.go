package sys

import (
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"mobius/proactor"
)

type owner struct{}

func (owner) Complete(*proactor.Op) {}

func workOp(f func()) *proactor.Op {
	op := &proactor.Op{Kind: proactor.OpWork, Func: f, Owner: owner{}}
	op.Begin()
	return op
}

func TestWorkersKeepTheirLimits(t *testing.T) {
	var w Workers
	woken := make(chan struct{}, 16)
	w.Init(2, 2, func() { woken <- struct{}{} })
	var running, most atomic.Int32
	gate := make(chan struct{})
	f := func() {
		if n := running.Add(1); n > most.Load() {
			most.Store(n)
		}
		<-gate
		running.Add(-1)
	}
	ops := []*proactor.Op{workOp(f), workOp(f), workOp(f), workOp(f)}
	for _, op := range ops[:2] {
		if err := w.Start(op); err != nil {
			t.Fatal(err)
		}
	}
	for running.Load() != 2 {
		runtime.Gosched()
	}
	if err := errors.Join(w.Start(ops[2]), w.Start(ops[3])); err != nil {
		t.Fatal(err)
	}
	if err := w.Start(workOp(f)); err != proactor.ErrLimit {
		t.Errorf("beyond the limit: %v", err)
	}
	if w.Cancel(ops[0]) || !w.Cancel(ops[3]) || w.Cancel(ops[3]) {
		t.Error("Cancel must take back what has not started, and only that")
	}
	close(gate)
	for range 3 {
		<-woken
	}
	n := 0
	for w.Finished() != nil {
		n++
	}
	if n != 3 || most.Load() != 2 {
		t.Errorf("%d finished, %d at once, want 3 and 2", n, most.Load())
	}
}

func TestWorkThatDoesNotReturn(t *testing.T) {
	var w Workers
	woken := make(chan struct{}, 16)
	w.Init(1, 8, func() { woken <- struct{}{} })
	cause := errors.New("cause")
	for _, op := range []*proactor.Op{
		workOp(func() { panic(cause) }), workOp(runtime.Goexit), workOp(func() {}),
	} {
		if err := w.Start(op); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		<-woken
	}
	var p *WorkPanic
	if err := w.Finished().Err; !errors.As(err, &p) || !errors.Is(err, cause) || len(p.Stack) == 0 {
		t.Errorf("a panic became %v", err)
	}
	if err := w.Finished().Err; !errors.As(err, &p) || p.Value != nil {
		t.Errorf("a Goexit became %v", err)
	}
	if err := w.Finished().Err; err != nil {
		t.Errorf("the one after: %v", err)
	}
}

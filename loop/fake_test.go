package loop

import (
	"sync"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// fake is a backend made for the tests of a turn: completions are scripted,
// its clock moves only when a Poll waits, and every Poll is recorded. With
// blocking set a Poll without anything to complete blocks until Wake instead.
type fake struct {
	proactor.Sockets // nil: nothing here opens sockets

	blocking bool
	clock    time.Duration
	waits    []time.Duration // the timeouts of all Polls
	ready    []func()        // completions, for the next Poll
	ops      []*proactor.Op  // active
	canceled []*proactor.Op  // completed by the next Poll
	pollErr  error
	stuck    bool // canceled ops never complete
	closed   int
	entered  chan struct{} // gets a value when a blocking Poll begins to wait

	mu     sync.Mutex
	wakes  int
	wake   chan struct{}
	alarms []func()
}

func newFake() *fake {
	return &fake{wake: make(chan struct{}, 1), entered: make(chan struct{}, 1024)}
}

func (f *fake) Name() string { return "fake" }

func (f *fake) Affinity() proactor.Affinity { return proactor.OneThread }

func (f *fake) Submit(op *proactor.Op) {
	op.Begin()
	f.ops = append(f.ops, op)
}

func (f *fake) Cancel(op *proactor.Op) {
	if op.Active() && !f.stuck {
		f.canceled = append(f.canceled, op)
	}
}

func (f *fake) Resume(*proactor.Op)                                {}
func (f *fake) Hold(*proactor.Op, proactor.Evictor) *proactor.Hold { return nil }
func (f *fake) Token(proactor.Handle) *proactor.Token              { return nil }
func (f *fake) WriteFrom() int                                     { return 1 }
func (f *fake) TryWrite(proactor.Handle, [][]byte) (int, error)    { return 0, nil }
func (f *fake) Now() time.Duration                                 { return f.clock }
func (f *fake) Stats() proactor.Stats                              { return proactor.Stats{Ops: len(f.ops)} }
func (f *fake) Close() error                                       { f.closed++; return nil }
func (f *fake) Alarm(d time.Duration, fn func()) (stop func())     { return f.alarm(fn) }

// Poll completes what is scripted; else it lets virtual time pass, or blocks.
func (f *fake) Poll(timeout time.Duration) error {
	f.waits = append(f.waits, timeout)
	if f.pollErr != nil {
		return f.pollErr
	}
	busy := len(f.ready) > 0 || len(f.canceled) > 0
	switch {
	case busy || timeout == 0:
	case f.blocking:
		f.entered <- struct{}{}
		<-f.wake
	case timeout > 0:
		f.clock += timeout
	}
	for len(f.ready) > 0 {
		fn := f.ready[0]
		f.ready = f.ready[1:]
		fn()
	}
	for len(f.canceled) > 0 {
		op := f.canceled[0]
		f.canceled = f.canceled[1:]
		f.forget(op)
		op.Deliver(0, proactor.ErrCanceled, false)
	}
	return nil
}

func (f *fake) forget(op *proactor.Op) {
	for i, o := range f.ops {
		if o == op {
			f.ops = append(f.ops[:i], f.ops[i+1:]...)
			return
		}
	}
}

func (f *fake) Wake() {
	f.mu.Lock()
	f.wakes++
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func (f *fake) wakeups() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.wakes
}

// alarm keeps fn until the test rings it.
func (f *fake) alarm(fn func()) (stop func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alarms = append(f.alarms, fn)
	return func() {}
}

// ring calls the alarms that are set, as the clock would.
func (f *fake) ring() {
	f.mu.Lock()
	alarms := f.alarms
	f.alarms = nil
	f.mu.Unlock()
	for _, fn := range alarms {
		fn()
	}
}

// troubles collects what a loop reports.
type troubles struct {
	mu  sync.Mutex
	all []Trouble
}

func (s *troubles) report(t Trouble) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, t)
}

func (s *troubles) list() []Trouble {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Trouble(nil), s.all...)
}

// setup returns a loop on a fake backend. Troubles that the test does not ask
// for fail it.
func setup(t *testing.T, o Options) (*Loop, *fake) {
	t.Helper()
	f := newFake()
	if o.Report == nil {
		o.Report = func(tr Trouble) { t.Errorf("trouble: %v\n%s", tr, tr.Stack) }
	}
	return New(f, o), f
}

func turn(t *testing.T, l *Loop) {
	t.Helper()
	if err := l.Iterate(-1); err != nil {
		t.Fatal(err)
	}
}

// uncheckedOnly leaves a count of allocations to the build that ships: checks
// allocate.
func uncheckedOnly(t *testing.T) {
	if invariant.Enabled {
		t.Skip("checks are compiled in, and they allocate")
	}
}

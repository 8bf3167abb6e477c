package mobius

import (
	"context"
	"slices"
	"sync"
	"syscall"
	"testing"

	"mobius/internal/testenv"
	"mobius/loop"
)

// A source is signals that a test makes.
type source struct {
	mu     sync.Mutex
	notify func(Signal)
	asked  []Signal
}

func (s *source) listen(notify func(Signal), signals ...Signal) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify, s.asked = notify, signals
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.notify = nil
	}
}

// raise reports whether anybody listened.
func (s *source) raise(sig Signal) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.notify == nil {
		return false
	}
	s.notify(sig)
	return true
}

// Signals are heard while the reactor runs, in every Run anew, and not between
// and after; each goes where Options.Signals says.
func TestSignals(t *testing.T) {
	onAllSources(t, func(t *testing.T, r *Reactor, s *source, d *diary) {
		if s.raise(syscall.SIGTERM) {
			t.Error("heard before Run")
		}
		ran := run(r)
		eventually(t, "it hears", func() bool { return s.raise(syscall.SIGHUP) })
		eventually(t, "it handles", func() bool { return len(d.all()) == 1 })
		r.Crash()
		if err := wait(t, ran); err != nil || s.raise(syscall.SIGHUP) {
			t.Errorf("heard after a Crash: Run: %v", err)
		}
		ran = run(r)
		eventually(t, "it hears again", func() bool { return s.raise(syscall.SIGTERM) })
		if err := wait(t, ran); err != nil || s.raise(syscall.SIGTERM) {
			t.Errorf("heard after the end: Run: %v", err)
		}
		d.expect(t, "hangup, on the loop: true")
		if got := r.StopSignal(); got != syscall.SIGTERM {
			t.Errorf("stopped by %v", got)
		}
		for _, sig := range []Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
			if !slices.Contains(s.asked, sig) {
				t.Errorf("asked for %v, not %v", s.asked, sig)
			}
		}
	})
}

func onAllSources(t *testing.T, test func(t *testing.T, r *Reactor, s *source, d *diary)) {
	s, d := &source{}, &diary{}
	var r *Reactor
	o := Options{Loops: 2, Signals: &Signals{Source: s.listen, Handle: map[Signal]func(Signal){
		syscall.SIGHUP: func(sig Signal) { d.note("%v, on the loop: %v", sig, r.Loops()[0].Inside()) },
	}}}
	onAll(t, o, func(t *testing.T, made *Reactor) {
		r, d.lines = made, nil
		test(t, made, s, d)
	})
}

// A second signal to stop changes nothing, and Stop by hand is no signal's.
func TestSignalsWhileStopping(t *testing.T) {
	s := &source{}
	r := simulated(t, Options{Signals: &Signals{Source: s.listen, Stop: []Signal{syscall.SIGQUIT}}})
	wanted := loop.NewFuture[int](r.Loops()[0])
	r.AddSystemEventWait(Before, Shutdown, func() Awaitable { return wanted })
	ran := run(r)
	eventually(t, "it hears", func() bool { return s.raise(syscall.SIGQUIT) })
	s.raise(syscall.SIGQUIT)
	r.Call(func() { wanted.Complete(0, nil) })
	if err := wait(t, ran); err != nil || r.StopSignal() != syscall.SIGQUIT || len(s.asked) != 1 {
		t.Errorf("Run: %v, stopped by %v, asked for %v", err, r.StopSignal(), s.asked)
	}
	r = simulated(t, Options{Signals: &Signals{Source: s.listen}})
	r.CallWhenRunning(func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil || r.StopSignal() != nil {
		t.Errorf("Run: %v, stopped by %v", err, r.StopSignal())
	}
	if _, err := New(Options{Signals: &Signals{Handle: map[Signal]func(Signal){syscall.SIGHUP: nil}}}); err == nil {
		t.Error("a nil handler: no error")
	}
}

// Without Options.Signals, and after Run, the process's signals are others'.
func TestSignalsAreRestored(t *testing.T) {
	testenv.Leaks(t)
	onAll(t, Options{Signals: &Signals{Stop: []Signal{}}}, func(t *testing.T, r *Reactor) {
		r.CallWhenRunning(func() { r.Stop() })
		if err := r.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

package mobius

import (
	"fmt"

	"mobius/internal/signals"
)

// A Signal is an os.Signal: syscall.SIGHUP and the like.
type Signal = signals.Signal

// Signals say which of the process's signals a reactor handles while it is
// running, and how. They are heard from the During phase of [Startup] until Run
// returns; then what was there before is there again. Several reactors, and
// others who use os/signal, may hear the same one: each is told.
//
// Child processes need none of this: no SIGCHLD is used.
type Signals struct {
	// Stop are those that stop the reactor as [Reactor.Stop] does. Nil means
	// SIGINT and SIGTERM, an empty slice none. An interrupt that the process was
	// started to ignore, in the background of a shell, stays ignored.
	Stop []Signal

	// Handle are functions to be called on the first loop with a signal that
	// arrives, instead of a Stop.
	Handle map[Signal]func(Signal)

	// Source, if not nil, is where signals come from instead of the process, for
	// tests and for programs that have their own ways: it has notify called with
	// each of the signals, on any goroutine, until stop is called, and not after
	// that has returned.
	Source func(notify func(Signal), signals ...Signal) (stop func())
}

// check returns what is wrong with Options.Signals.
func (s *Signals) check() error {
	if s == nil {
		return nil
	}
	for sig, f := range s.Handle {
		if sig == nil || f == nil {
			return fmt.Errorf("mobius: Options.Signals.Handle has a nil for %v, want a signal and a function", sig)
		}
	}
	return nil
}

// hearing is a reactor's hearing of signals.
type hearing struct {
	want    *Signals
	silence func() // while it hears
	ended   Signal // what has stopped the reactor; guarded by Reactor.mu
}

// start begins to hear.
func (h *hearing) start(r *Reactor) {
	if h.want == nil {
		return
	}
	all, source := h.want.Stop, h.want.Source
	if all == nil {
		all = signals.Stopping()
	}
	for sig := range h.want.Handle {
		all = append(all[:len(all):len(all)], sig)
	}
	if source == nil {
		source = signals.Notify
	}
	h.silence = source(func(sig Signal) { h.arrived(r, sig) }, all...)
}

// stop ends it.
func (h *hearing) stop() {
	if h.silence != nil {
		h.silence()
		h.silence = nil
	}
}

// arrived takes a signal to the first loop.
func (h *hearing) arrived(r *Reactor, sig Signal) {
	if f := h.want.Handle[sig]; f != nil {
		if err := r.Call(func() { f(sig) }); err != nil {
			r.log.Warn("a signal was not handled", "signal", sig.String(), "error", err)
		}
		return
	}
	r.mu.Lock()
	if h.ended == nil && r.ending == going {
		h.ended = sig
	}
	r.mu.Unlock()
	if err := r.Stop(); err != nil {
		r.log.Info("a signal to stop changes nothing", "signal", sig.String(), "error", err)
	}
}

// StopSignal returns the signal that has stopped the reactor, or nil. A program
// that was stopped so may want to end by it. Any goroutine.
func (r *Reactor) StopSignal() Signal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.signals.ended
}

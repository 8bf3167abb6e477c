package backends

import (
	"runtime"
	"slices"
	"testing"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/sim"
)

// A Backend is one that tests run on.
type Backend struct {
	Name   string // what it calls itself
	Limits string // what is tiny about it, if anything is
	Open   func() (proactor.Backend, error)

	// AnyThread: a goroutine owns the backend, so that tests need not be locked
	// to their threads.
	AnyThread bool
}

// Real returns the backends of this platform that do real I/O. The one that
// parks, of which all but the wait is epoll's, is among them if MOBIUS_LONG=1.
func Real() []Backend {
	if testenv.Long() {
		return All()
	}
	return platform()
}

// All returns the backends of this platform that do real I/O.
func All() []Backend { return append(platform(), limited(parked(), false)...) }

// Hostile returns those of Real with limits so tiny that they are met all
// the time: rings of four entries, two buffers, sends of a few bytes.
func Hostile() []Backend {
	if testenv.Long() {
		return append(hostile(), limited(parked(), true)...)
	}
	return hostile()
}

func limited(of []Backend, tiny bool) []Backend {
	return slices.DeleteFunc(of, func(b Backend) bool { return tiny != (b.Limits != "") })
}

// Each runs f on a quiet simulated network and on each real backend, as
// subtests named after them. A real backend that the kernel refuses is missing
// (testenv.Missing).
func Each(t *testing.T, f func(w *World)) {
	t.Run("sim", func(t *testing.T) { f(Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})) })
	EachReal(t, f)
}

// EachReal is Each without the simulator.
func EachReal(t *testing.T, f func(w *World)) { eachOf(t, Real(), f) }

// EachOfAll is EachReal with all of [All].
func EachOfAll(t *testing.T, f func(w *World)) { eachOf(t, All(), f) }

func eachOf(t *testing.T, of []Backend, f func(w *World)) {
	for _, b := range of {
		t.Run(b.Name, func(t *testing.T) { f(open(t, b)) })
	}
}

// EachHostile runs f on each of [Hostile], as subtests named after them.
func EachHostile(t *testing.T, f func(w *World)) {
	for _, b := range Hostile() {
		t.Run(b.Name+", "+b.Limits, func(t *testing.T) { f(open(t, b)) })
	}
}

// Seeds runs f on so many simulated networks, whose faults are drawn from
// their seeds unless o says otherwise; see [sim.Run], whose variables of the
// environment it obeys.
func Seeds(t *testing.T, seeds int, o sim.Options, f func(w *World, seed uint64)) {
	sim.Run(t, seeds, func(t *sim.T) {
		w := simulate(t, t.Net(o))
		f(w, t.Seed)
		w.close() // or the network finds them left over
	})
}

// open returns a world on a real backend. Its test is locked to its thread if
// that owns the backends, and must leave no descriptor or goroutine behind.
func open(t *testing.T, b Backend) *World {
	t.Helper()
	testenv.Leaks(t)
	if !b.AnyThread {
		runtime.LockOSThread()
		t.Cleanup(runtime.UnlockOSThread)
	}
	w := newWorld(t, b.Name, nil, func() proactor.Backend {
		backend, err := b.Open()
		if err != nil {
			testenv.Missing(t, "%s: %v", b.Name, err)
		}
		return backend
	})
	t.Cleanup(w.close)
	return w
}

package backends

import (
	"errors"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// A World is some loops on one kind of backend, which can reach each other,
// and are all driven by the test's goroutine.
type World struct {
	testing.TB
	Kind string   // the name of its backends
	Net  *sim.Net // the simulated network; nil on real backends

	// Troubles is what the loops have reported. The test fails at its end
	// unless it has looked: then it takes them out.
	Troubles []loop.Trouble

	loops []*loop.Loop
	open  func() proactor.Backend
}

// Patience is how long a World waits for a condition: on real backends so
// long, on simulated ones as many virtual hours as it has seconds.
const Patience = 30 * time.Second

func newWorld(tb testing.TB, name string, net *sim.Net, open func() proactor.Backend) *World {
	return &World{TB: tb, Kind: name, Net: net, open: open}
}

// Simulate returns a world on a simulated network.
func Simulate(tb testing.TB, o sim.Options) *World {
	tb.Helper()
	net := sim.New(o)
	w := simulate(tb, net)
	tb.Cleanup(func() {
		w.close()
		if err := net.Leaks(); err != nil {
			tb.Error(err)
		}
	})
	return w
}

func simulate(tb testing.TB, net *sim.Net) *World {
	return newWorld(tb, "sim", net, func() proactor.Backend {
		b, err := net.Open()
		if err != nil {
			tb.Fatal(err)
		}
		return b
	})
}

// Open returns one more backend of the world, which the caller closes.
func (w *World) Open() proactor.Backend {
	w.Helper()
	b := w.open()
	if b.Name() != w.Kind {
		w.Fatalf("the backend is %s, want %s", b.Name(), w.Kind)
	}
	return b
}

// Loop returns one more loop of the world, which the world turns and closes.
func (w *World) Loop() *loop.Loop { return w.LoopWith(loop.Options{}) }

// LoopWith is Loop with options; Report is the world's.
func (w *World) LoopWith(o loop.Options) *loop.Loop {
	w.Helper()
	return w.LoopOn(w.Open(), o)
}

// LoopOn is LoopWith on a backend that the test has made, from one of Open for
// example.
func (w *World) LoopOn(b proactor.Backend, o loop.Options) *loop.Loop {
	w.Helper()
	if o.Name == "" {
		o.Name = strconv.Itoa(len(w.loops))
	}
	o.Report = func(t loop.Trouble) { w.Troubles = append(w.Troubles, t) }
	l := loop.New(b, o)
	w.loops = append(w.loops, l)
	return l
}

// Address returns the address of a TCP port that is free to be chosen.
func (w *World) Address() proactor.Address {
	return proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0)
}

// Turn makes every loop that has not stopped turn once, without waiting.
func (w *World) Turn() {
	w.Helper()
	w.turn(0)
}

// step is Turn, but each loop waits: for as long as a simulated network finds
// nothing to do, or for a few milliseconds.
func (w *World) step() {
	w.Helper()
	limit := 20 * time.Millisecond / time.Duration(max(1, len(w.loops)))
	if w.Net != nil {
		limit = time.Hour
	}
	w.turn(limit)
}

func (w *World) turn(limit time.Duration) {
	w.Helper()
	for _, l := range w.loops {
		select {
		case <-l.Done():
			continue
		default:
		}
		if err := l.Iterate(limit); err != nil && l.Err() != loop.ErrStopped && l.Err() != loop.ErrGoexit {
			w.Fatalf("loop %s: %v", l.Name(), err)
		}
	}
}

// Until turns the loops until cond holds.
func (w *World) Until(what string, cond func() bool) {
	w.Helper()
	start, end := w.now(), time.Now().Add(Patience)
	for turns := 0; !cond(); turns++ {
		w.step()
		if w.Net == nil && time.Now().After(end) {
			w.Fatalf("not after %v: %s; troubles: %v", Patience, what, w.Troubles)
		}
		if w.Net != nil && (w.now()-start > Patience*3600 || turns > 1_000_000) {
			w.Fatalf("not after %v of virtual time and %d turns: %s; troubles: %v", w.now()-start, turns, what, w.Troubles)
		}
	}
}

func (w *World) now() time.Duration {
	if w.Net != nil {
		return w.Net.Now()
	}
	return 0
}

// Pass lets d pass on a loop's clock.
func (w *World) Pass(l *loop.Loop, d time.Duration) {
	w.Helper()
	over := false
	l.Start(&loop.Timer{Func: func() { over = true }}, d)
	w.Until("time has passed", func() bool { return over })
}

// TakeTroubles returns what the loops have reported, which the test then has
// looked at.
func (w *World) TakeTroubles() []loop.Trouble {
	t := w.Troubles
	w.Troubles = nil
	return t
}

// close stops the loops, one after the other.
func (w *World) close() {
	for _, l := range w.loops {
		if err := l.Close(); err != nil && !errors.Is(err, loop.ErrGoexit) {
			w.Errorf("Close of loop %s: %v", l.Name(), err)
		}
	}
	for _, t := range w.Troubles {
		w.Errorf("trouble: %v\n%s", t, t.Stack)
	}
}

package backendtest

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/proactor"
)

// A world is what one test runs in: the backends, one or two, and the clock.
type world struct {
	testing.TB
	cfg     *Config
	client  *driver // connects
	server  *driver // listens; the same as client unless a pair is tested
	drivers []*driver
	rand    *rand.Rand

	mu      sync.Mutex
	breach  string // the first breach of the contract that a callback has met
	network proactor.Network
}

func newWorld(tb testing.TB, c *Config, name string) *world {
	h := fnv.New64a()
	h.Write([]byte(name))
	w := &world{TB: tb, cfg: c, rand: rand.New(rand.NewPCG(c.Seed, h.Sum64())), network: proactor.TCP}
	w.server = w.open(c.Open, c.Name)
	w.client = w.server
	if c.Client != nil {
		w.client = w.open(c.Client, c.ClientName)
	}
	return w
}

// open opens a backend that the world drives, and closes at the end.
func (w *world) open(open func(testing.TB) proactor.Backend, name string) *driver {
	w.Helper()
	b := open(w.TB)
	if name != "" && b.Name() != name {
		w.Fatalf("this is backend %q, the test is for %q", b.Name(), name)
	}
	d := &driver{w: w, b: b, thread: thread()}
	w.drivers = append(w.drivers, d)
	d.poll(0)
	d.base = b.Stats()
	return d
}

// another opens one more backend of the kind under test.
func (w *world) another() *driver { return w.open(w.cfg.Open, w.cfg.Name) }

func (w *world) now() time.Duration { return w.server.b.Now() }

// turn makes progress on every backend, for at most limit.
func (w *world) turn(limit time.Duration) {
	if len(w.drivers) == 1 {
		w.drivers[0].poll(limit)
		return
	}
	before, nap := w.completions(), 200*time.Microsecond
	if w.cfg.Virtual {
		nap = limit // the backends know of each other
	}
	for _, wait := range []time.Duration{0, nap} {
		for _, d := range w.drivers {
			if !d.closed {
				d.poll(min(limit, wait))
			}
			if wait > 0 && w.completions() != before {
				return
			}
		}
		if w.completions() != before {
			return
		}
	}
}

func (w *world) completions() (n int) {
	for _, d := range w.drivers {
		n += d.completions
	}
	return n
}

// until turns until cond holds, and fails the test if it never does.
func (w *world) until(what string, cond func() bool) {
	if !w.within(w.cfg.Patience, cond) {
		w.Helper()
		w.Fatalf("waited %v in vain: %s\n%s", w.cfg.Patience, what, w.dump())
	}
}

// settles is until for what comes true without an event: it looks again after
// each small step.
func (w *world) settles(what string, cond func() bool) {
	step := time.Millisecond
	if w.cfg.Virtual {
		step = w.cfg.Patience / 1000
	}
	for end := w.now() + w.cfg.Patience; !cond(); w.turn(step) {
		if w.now() > end {
			w.Helper()
			w.Fatalf("waited %v in vain: %s\n%s", w.cfg.Patience, what, w.dump())
		}
	}
}

// within turns until cond holds or d has passed, and reports whether it holds.
func (w *world) within(d time.Duration, cond func() bool) bool {
	for end := w.now() + d; !cond(); {
		left := end - w.now()
		if left <= 0 {
			return false
		}
		w.turn(left)
	}
	return true
}

// never turns for d and fails the test if cond holds in the meantime.
func (w *world) never(what string, d time.Duration, cond func() bool) {
	if w.within(d, cond) {
		w.Helper()
		w.Fatalf("it happened: %s\n%s", what, w.dump())
	}
}

// step makes one turn that does not wait long: what is under way gets on.
func (w *world) step() { w.turn(time.Millisecond) }

// elsewhere runs f on another goroutine and turns until f has returned. In
// virtual time, which would run away from a real goroutine, it just waits.
func (w *world) elsewhere(f func()) {
	w.Helper()
	done, over := atomic.Bool{}, make(chan struct{})
	go func() {
		defer close(over)
		defer w.wake()
		defer done.Store(true)
		f()
	}()
	if w.cfg.Virtual {
		<-over
		w.stopIfBroken()
		return
	}
	w.until("the other goroutine returns", done.Load)
	<-over
}

func (w *world) wake() {
	for _, d := range w.drivers {
		if !d.closed {
			d.b.Wake()
		}
	}
}

// report notes the first breach of the contract. Any goroutine.
func (w *world) report(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.breach == "" {
		w.breach = fmt.Sprintf(format, args...)
	}
}

func (w *world) stopIfBroken() {
	w.mu.Lock()
	breach := w.breach
	w.mu.Unlock()
	if breach != "" {
		w.Helper()
		w.Fatal(breach)
	}
}

func (w *world) dump() (s string) {
	for _, d := range w.drivers {
		s += d.dump() + "\n"
	}
	return s
}

// finish ends what the test has left, and finds what the backend has: every
// op ends after Cancel, every handle closes, every counter is back where it was.
func (w *world) finish() {
	w.Helper()
	for _, d := range w.drivers {
		if d.closed {
			continue
		}
		for _, p := range d.probes {
			if p.live {
				p.on = nil
				p.cancel()
			}
		}
	}
	for _, d := range w.drivers {
		d.finish()
	}
	w.stopIfBroken()
}

func (d *driver) finish() {
	w := d.w
	w.Helper()
	if d.closed {
		return
	}
	for _, p := range d.probes {
		w.until("every op ends after Cancel", p.isIdle)
	}
	for _, f := range d.atEnd {
		f()
	}
	for len(d.handles) > 0 {
		d.close(d.handles[0])
	}
	var s proactor.Stats
	w.settles("Ops, Holds, Pins, Handles, Lent and Direct are back where they were at the start", func() bool {
		s = d.b.Stats()
		return s.Ops == d.base.Ops && s.Holds == 0 && s.Pins == 0 && s.Handles == d.base.Handles && s.Lent == d.base.Lent &&
			s.Direct == d.base.Direct
	})
	if w.cfg.Watch != nil {
		w.cfg.Watch(s)
	}
	for range 2 {
		if err := d.b.Close(); err != nil {
			w.Fatalf("Close: %v", err)
		}
		d.closed = true
	}
}

// abandon frees what a failed test has left, as far as that goes.
func (w *world) abandon() {
	for _, d := range w.drivers {
		if d.closed {
			continue
		}
		d.closed = true
		func() {
			defer func() {
				if p := recover(); p != nil {
					w.Logf("Close panics: %v", p)
				}
			}()
			d.b.Close()
		}()
	}
}

// size scales an amount of bytes or of rounds to the backend's limits.
func (w *world) size(n int) int {
	return max(n/max(w.cfg.Scale, 1), 1)
}

package twisted

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"mobius"
	"mobius/proactor"
)

// A clocked backend is any backend whose time is the test's: it passes when a
// Poll would wait, and when the test says so. All Polls are noted.
type clocked struct {
	proactor.Backend
	now   time.Duration
	waits []time.Duration
}

func (c *clocked) Now() time.Duration { return c.now }

func (c *clocked) Poll(timeout time.Duration) error {
	c.waits = append(c.waits, timeout)
	c.now += max(timeout, 0)
	return c.Backend.Poll(0)
}

// A play is a reactor on a clocked backend, driven by the test.
type play struct {
	*testing.T
	r     *mobius.Reactor
	clock *clocked
	notes
}

// eachClock runs f with a reactor whose clock is replaced, on every backend.
func eachClock(t *testing.T, f func(p *play)) {
	eachBackend(t, func(t *testing.T, open func() (proactor.Backend, error)) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		p := &play{T: t, clock: &clocked{now: 1000 * time.Hour}}
		runReactor(t, mobius.Options{}, func() (b proactor.Backend, err error) {
			p.clock.Backend, err = open()
			return p.clock, err
		}, func(t *testing.T, r *mobius.Reactor, j *journal) {
			p.r = r
			p.turn() // Startup
			p.clock.waits = nil
			f(p)
			if j.count("") != j.count("GOMAXPROCS") {
				t.Errorf("logged %q", j.all())
			}
		})
	})
}

// turn runs one turn, without letting time pass.
func (p *play) turn() {
	p.Helper()
	if err := p.r.Iterate(0); err != nil {
		p.Fatal(err)
	}
}

// pass lets time pass: all that comes due is called, each at its own time.
func (p *play) pass(d time.Duration) {
	p.Helper()
	for end := p.clock.now + d; p.clock.now < end; {
		if err := p.r.Iterate(end - p.clock.now); err != nil {
			p.Fatal(err)
		}
	}
}

// wait returns how long the loop waits when nobody asks it to be quick.
func (p *play) wait() time.Duration {
	p.Helper()
	before := p.clock.now
	if err := p.r.Iterate(-1); err != nil {
		p.Fatal(err)
	}
	p.clock.now = before
	return p.clock.waits[len(p.clock.waits)-1]
}

// at adds a note of the seconds since the test began.
func (p *play) at(name string) func() {
	begin := p.clock.now
	return func() { p.add("%s at %v", name, (p.clock.now - begin)) }
}

// times returns the deadlines of the calls to come, from now.
func (p *play) times() []time.Duration {
	var all []time.Duration
	for _, c := range p.r.DelayedCalls() {
		all = append(all, c.Time()-p.r.Now())
	}
	if !slices.IsSorted(all) {
		p.Errorf("the calls to come are not in order: %v", all)
	}
	return all
}

package backendtest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"mobius/proactor"
)

// A driver turns one backend and keeps account of what a test has on it.
type driver struct {
	w      *world
	b      proactor.Backend
	thread int
	base   proactor.Stats // right after it was opened

	probes  []*probe
	handles []proactor.Handle // open, in the order in which they were made

	atEnd []func() // what to do when all ops have ended

	polls       atomic.Uint32 // calls of Poll
	polling     bool          // inside Poll
	calling     bool          // inside Submit, Cancel or Resume
	completing  bool          // inside Complete
	closed      bool
	completions int           // since the start
	completed   time.Duration // when the latest Complete returned
}

// elsewhere reports whether the caller is on another thread than the one that
// turns the backend, if that is always the same.
func (d *driver) elsewhere() bool { return !d.w.cfg.free() && thread() != d.thread }

// call makes a call during which nothing may complete.
func (d *driver) call(f func()) {
	d.calling = true
	f()
	d.calling = false
}

// poll makes one call of Poll and checks sentence 7: it does not wait after
// having completed something.
func (d *driver) poll(timeout time.Duration) {
	if err := d.tryPoll(timeout); err != nil {
		d.w.Fatalf("Poll: %v", err)
	}
	d.w.stopIfBroken()
}

func (d *driver) tryPoll(timeout time.Duration) error {
	before := d.completions
	d.polls.Add(1)
	d.polling = true
	defer func() { d.polling, d.completing = false, false }() // a panic in Complete may pass
	err := d.b.Poll(timeout)
	if d.completions > before && timeout > 4*time.Second {
		if idle := d.b.Now() - d.completed; idle > timeout/2 {
			d.report("sentence 7: Poll(%v) went on for %v after it had completed something", timeout, idle)
		}
	}
	return err
}

// own notes a handle, to be closed at the end of the test.
func (d *driver) own(h proactor.Handle) proactor.Handle {
	d.handles = append(d.handles, h)
	return h
}

// disown forgets a handle that was closed or given away.
func (d *driver) disown(h proactor.Handle) {
	if i := slices.Index(d.handles, h); i >= 0 {
		d.handles = slices.Delete(d.handles, i, i+1)
	}
}

// close closes a handle on which no op is active. A pin may still be out.
func (d *driver) close(h proactor.Handle) {
	d.w.Helper()
	var err error
	d.w.settles("CloseFD no longer answers ErrBusy", func() bool {
		err = d.b.CloseFD(h)
		return err != proactor.ErrBusy
	})
	if err != nil {
		d.w.Fatalf("CloseFD(%v): %v", h, err)
	}
	d.disown(h)
}

// report notes a breach of the contract from inside a callback, where a test
// cannot end; the next step of the test ends it.
func (d *driver) report(format string, args ...any) { d.w.report(format, args...) }

// dump describes what is going on, for a test that has waited too long.
func (d *driver) dump() string {
	s := fmt.Sprintf("%s: %+v", d.b.Name(), d.b.Stats())
	n := 0
	for _, p := range d.probes {
		if !p.live {
			continue
		}
		if n++; n > 20 {
			s += "\n\t…"
			break
		}
		s += fmt.Sprintf("\n\t%v on %v: state %d, %d results, total %d", p.Kind, p.Handle, p.B.State, p.results, p.total)
	}
	return s
}

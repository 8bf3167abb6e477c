package twisted

import (
	"errors"
	"strings"
	"testing"
	"time"

	"mobius"
	"mobius/loop"
)

func TestCase15UnknownPhase(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		for _, p := range []mobius.Phase{0, 5, 255} {
			if _, err := r.AddSystemEventTrigger(p, mobius.Startup, func() {}); err == nil || !strings.Contains(err.Error(), "Before") {
				t.Errorf("phase %v: %v, want an error that says which there are", p, err)
			}
		}
	})
}

// custom is an event of a program's own.
const custom mobius.Event = "custom"

// fire makes the custom event happen on the loop, and stops the reactor when
// done is called.
func fire(t *testing.T, r *mobius.Reactor) {
	t.Helper()
	when(t, r, func() {
		if err := r.FireSystemEvent(custom); err != nil {
			t.Errorf("FireSystemEvent: %v", err)
		}
	})
	r.CallLater(10*time.Millisecond, func() { stop(t, r) })
	run(t, r)
}

func TestCase16PhasesInOrder(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		for p := mobius.After; p >= mobius.Before; p-- {
			for i := range 2 {
				trigger(t, r, p, custom, func() { n.add("%v %d", p, i) })
			}
		}
		fire(t, r)
		n.expect(t, "before 0", "before 1", "drain 0", "drain 1", "during 0", "during 1", "after 0", "after 1")
	})
}

// A future that fails counts as done, too.
func TestCase17DuringWaitsForFutures(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		trigger(t, r, mobius.During, custom, n.adding("during"))
		for _, d := range []time.Duration{2, 1} {
			if _, err := r.AddSystemEventWait(mobius.Before, custom, func() mobius.Awaitable {
				n.add("before")
				return mobius.DeferLater(r, d*time.Millisecond, func() (int, error) {
					n.add("done")
					return 0, errors.New("counts as done")
				})
			}); err != nil {
				t.Fatal(err)
			}
		}
		fire(t, r)
		n.expect(t, "before", "before", "done", "done", "during")
		if j.count("counts as done") != 2 {
			t.Errorf("logged %q, want both failures", j.all())
		}
	})
}

func TestCase19LaterTriggerCompletesEarlierFuture(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		first := loop.NewFuture[int](r.Loops()[0])
		if _, err := r.AddSystemEventWait(mobius.Before, custom, func() mobius.Awaitable { n.add("first"); return first }); err != nil {
			t.Fatal(err)
		}
		trigger(t, r, mobius.Before, custom, func() { n.add("second"); first.Complete(1, nil) })
		trigger(t, r, mobius.Before, custom, n.adding("third"))
		trigger(t, r, mobius.During, custom, n.adding("during"))
		fire(t, r)
		n.expect(t, "first", "second", "third", "during")
	})
}

func TestCase20PanicInBefore(t *testing.T) { panicIn(t, mobius.Before) }
func TestCase21PanicInDuring(t *testing.T) { panicIn(t, mobius.During) }

func panicIn(t *testing.T, phase mobius.Phase) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		trigger(t, r, phase, custom, func() { panic("in a trigger") })
		for p := mobius.Before; p <= mobius.After; p++ {
			trigger(t, r, p, custom, n.adding(p.String()))
		}
		fire(t, r)
		n.expect(t, "before", "drain", "during", "after")
		if j.count("in a trigger") != 1 {
			t.Errorf("logged %q, want the panic", j.all())
		}
	})
}

func TestCase23WrongHandles(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		id := trigger(t, r, mobius.Before, custom, func() { t.Error("a removed trigger is called") })
		other, err := mobius.New(mobius.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		resembles := trigger(t, other, mobius.Before, custom, func() {})
		for name, wrong := range map[string]mobius.TriggerID{"zero": {}, "of another reactor": resembles} {
			if err := r.RemoveSystemEventTrigger(wrong); err != mobius.ErrNoTrigger {
				t.Errorf("%s: %v, want %v", name, err, mobius.ErrNoTrigger)
			}
		}
		for i, want := range []error{nil, mobius.ErrNoTrigger} {
			if err := r.RemoveSystemEventTrigger(id); err != want {
				t.Errorf("removal %d: %v, want %v", i, err, want)
			}
		}
		used := trigger(t, r, mobius.Before, custom, func() {})
		fire(t, r)
		if err := r.RemoveSystemEventTrigger(used); err != mobius.ErrNoTrigger {
			t.Errorf("one that was called: %v, want %v", err, mobius.ErrNoTrigger)
		}
	})
}

func TestCase24RemovePendingBefore(t *testing.T) { removePending(t, mobius.Before) }
func TestCase27RemovePendingDuring(t *testing.T) { removePending(t, mobius.During) }

func removePending(t *testing.T, phase mobius.Phase) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		var removed mobius.TriggerID
		trigger(t, r, phase, custom, func() { n.add("removes: %v", r.RemoveSystemEventTrigger(removed)) })
		removed = trigger(t, r, phase, custom, n.adding("removed"))
		trigger(t, r, phase, custom, func() {
			n.add("stays")
			trigger(t, r, phase, custom, n.adding("added meanwhile"))
		})
		fire(t, r)
		n.expect(t, "removes: <nil>", "stays", "added meanwhile")
	})
}

func TestCase25RemoveCalledBefore(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		called := trigger(t, r, mobius.Before, custom, n.adding("called"))
		trigger(t, r, mobius.Before, custom, func() { n.add("removes: %v", r.RemoveSystemEventTrigger(called)) })
		fire(t, r)
		n.expect(t, "called", "removes: <nil>")
		if j.count("a trigger is removed that has been called") != 1 {
			t.Errorf("logged %q, want a warning", j.all())
		}
	})
}

func TestCase28TriggersAreCalledOnce(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		trigger(t, r, mobius.During, custom, n.adding("first"))
		when(t, r, func() {
			r.FireSystemEvent(custom)
			trigger(t, r, mobius.During, custom, n.adding("second"))
			r.FireSystemEvent(custom)
			r.FireSystemEvent(custom)
			stop(t, r)
		})
		run(t, r)
		n.expect(t, "first", "second")
	})
}

// An event that waits for something is not fired again meanwhile.
func TestCase28FiredWhileUnderWay(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		held := loop.NewFuture[int](r.Loops()[0])
		if _, err := r.AddSystemEventWait(mobius.Before, custom, func() mobius.Awaitable { n.add("before"); return held }); err != nil {
			t.Fatal(err)
		}
		trigger(t, r, mobius.During, custom, n.adding("during"))
		r.CallLater(time.Millisecond, func() {
			r.FireSystemEvent(custom)
			n.add("fired again")
			held.Complete(1, nil)
		})
		fire(t, r)
		n.expect(t, "before", "fired again", "during")
	})
}

func TestCase29EventsAreIndependent(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		const other mobius.Event = "other"
		held := loop.NewFuture[int](r.Loops()[0])
		if _, err := r.AddSystemEventWait(mobius.Before, custom, func() mobius.Awaitable {
			n.add("before custom")
			r.FireSystemEvent(other)
			r.FireSystemEvent(custom) // it is under way
			return held
		}); err != nil {
			t.Fatal(err)
		}
		trigger(t, r, mobius.During, custom, n.adding("during custom"))
		for _, p := range []mobius.Phase{mobius.During, mobius.Before} {
			trigger(t, r, p, other, func() { n.add("%v other", p) })
		}
		trigger(t, r, mobius.After, other, func() { n.add("after other"); held.Complete(1, nil) })
		fire(t, r)
		n.expect(t, "before custom", "before other", "during other", "after other", "during custom")
	})
}

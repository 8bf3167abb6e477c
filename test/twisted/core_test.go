package twisted

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/loop"
)

// notes are what has happened on the first loop, in order. The test reads them
// once Run has returned.
type notes []string

func (n *notes) add(format string, args ...any) { *n = append(*n, fmt.Sprintf(format, args...)) }

// adding returns a function that adds a note.
func (n *notes) adding(what string) func() { return func() { n.add("%s", what) } }

func (n *notes) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(*n, want) {
		t.Errorf("happened\n  %s\nwant\n  %s", strings.Join(*n, "\n  "), strings.Join(want, "\n  "))
	}
	*n = nil
}

// run runs a reactor to its end, without a failure.
func run(t *testing.T, r *mobius.Reactor) {
	t.Helper()
	if err := r.Run(context.Background()); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// when has f called once the reactor runs.
func when(t *testing.T, r *mobius.Reactor, f func()) {
	t.Helper()
	if err := r.CallWhenRunning(f); err != nil {
		t.Fatal(err)
	}
}

// trigger registers f.
func trigger(t *testing.T, r *mobius.Reactor, phase mobius.Phase, event mobius.Event, f func()) mobius.TriggerID {
	t.Helper()
	id, err := r.AddSystemEventTrigger(phase, event, f)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// stop stops a reactor on one of its loops.
func stop(t *testing.T, r *mobius.Reactor) {
	t.Helper()
	if err := r.Stop(); err != nil {
		t.Errorf("Stop: %v", err)
	}
}

func TestCase1StopWhenNotStarted(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		for _, event := range []mobius.Event{mobius.Startup, mobius.Shutdown} {
			trigger(t, r, mobius.During, event, n.adding(string(event)))
		}
		if err := r.Stop(); err != mobius.ErrNotRunning {
			t.Errorf("Stop: %v, want %v", err, mobius.ErrNotRunning)
		}
		n.expect(t)
		when(t, r, func() { stop(t, r) })
		run(t, r) // as if nothing had been said
		n.expect(t, "startup", "shutdown")
	})
}

func TestCase3OrderOfCallWhenRunning(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		for _, name := range []string{"first", "second", "third"} {
			when(t, r, n.adding(name))
		}
		when(t, r, func() {
			when(t, r, n.adding("at once, since it is running"))
			n.add("last")
			stop(t, r)
		})
		run(t, r)
		n.expect(t, "first", "second", "third", "at once, since it is running", "last")
	})
}

func TestCase4RunningInStartup(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		for _, p := range []mobius.Phase{mobius.After, mobius.Before, mobius.During} {
			trigger(t, r, p, mobius.Startup, func() { n.add("%v: %v", p, r.Running()) })
		}
		when(t, r, func() { stop(t, r) })
		if r.Running() {
			t.Error("it is running before Run")
		}
		run(t, r)
		if r.Running() {
			t.Error("it is running after Run")
		}
		n.expect(t, "before: false", "during: true", "after: true")
	})
}

// While a function of Startup's Before phase is waited for, the loop serves and
// timers run, but the reactor is not running.
func TestCase4RunWaitsForStartup(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		if _, err := r.AddSystemEventWait(mobius.Before, mobius.Startup, func() mobius.Awaitable {
			return mobius.DeferLater(r, time.Millisecond, func() (int, error) {
				n.add("served, running: %v", r.Running())
				return 0, nil
			})
		}); err != nil {
			t.Fatal(err)
		}
		when(t, r, func() { n.add("running: %v", r.Running()); stop(t, r) })
		run(t, r)
		n.expect(t, "served, running: false", "running: true")
	})
}

// An ear is a source of signals that only notes who listens.
type ear struct{ listening bool }

func (e *ear) listen(func(mobius.Signal), ...mobius.Signal) (stop func()) {
	e.listening = true
	return func() { e.listening = false }
}

func TestCase5SignalsDuringStartup(t *testing.T) {
	e := &ear{}
	eachReactor(t, mobius.Options{Signals: &mobius.Signals{Source: e.listen}}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		for _, event := range []mobius.Event{mobius.Startup, mobius.Shutdown} {
			for _, p := range []mobius.Phase{mobius.Before, mobius.After} {
				trigger(t, r, p, event, func() { n.add("%v %s: %v", p, event, e.listening) })
			}
		}
		when(t, r, func() { stop(t, r) })
		run(t, r)
		n.expect(t, "before startup: false", "after startup: true", "before shutdown: true", "after shutdown: true")
		if e.listening {
			t.Error("signals are heard after Run")
		}
	})
}

func TestCase7ShutdownComesLater(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		trigger(t, r, mobius.Before, mobius.Shutdown, n.adding("before shutdown"))
		when(t, r, func() {
			stop(t, r)
			n.add("Stop has returned")
		})
		run(t, r)
		n.expect(t, "Stop has returned", "before shutdown")
	})
}

// A mourner notes whether its connection was lost because the reactor has
// stopped, and may panic then.
type mourner struct {
	r      *mobius.Reactor
	n      *notes
	name   string
	panics bool
	made   func()
}

func (m *mourner) ConnectionMade(mobius.Transport) { m.made() }
func (m *mourner) DataReceived([]byte)             {}

func (m *mourner) ConnectionLost(err error) {
	m.n.add("%s: %v", m.name, errors.Is(err, mobius.ErrStopped) && !m.r.Running())
	if m.panics {
		panic("in ConnectionLost")
	}
}

// connected makes a server and a client of r, and calls made when each has its
// connection.
func connected(t *testing.T, r *mobius.Reactor, server, client mobius.Protocol) {
	t.Helper()
	p, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return server }))
	if err != nil {
		t.Fatal(err)
	}
	f := mobius.Client{Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return client })}
	if _, err := r.ConnectTCP(p.Addr().String(), f); err != nil {
		t.Fatal(err)
	}
}

func TestCase8ShutdownDisconnectsAll(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		there := 0
		made := func() {
			if there++; there == 2 {
				stop(t, r)
			}
		}
		connected(t, r, &mourner{r, &n, "one", true, made}, &mourner{r, &n, "one", true, made})
		run(t, r)
		n.expect(t, "one: true", "one: true")
		if got := j.count("in ConnectionLost"); got != 2 {
			t.Errorf("%d panics are logged, want 2: %q", got, j.all())
		}
	})
}

func TestCase9RunInsideRun(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		when(t, r, func() {
			n.add("inside: %v", r.Run(context.Background()))
			r.CallLater(0, func() {
				n.add("goes on: %v", r.Running())
				stop(t, r)
			})
		})
		run(t, r)
		n.expect(t, "inside: "+mobius.ErrRunning.Error(), "goes on: true")
	})
}

func TestCase11IterateDoesNotBlock(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		fired := false
		r.CallLater(24*time.Hour, func() { fired = true })
		for range 3 {
			if err := r.Iterate(0); err != nil {
				t.Fatal(err)
			}
		}
		if fired {
			t.Error("it has waited for a day")
		}
		if err := r.Close(); err != nil { // here, where it was driven
			t.Error(err)
		}
	})
}

// What a Crash has cut off of Startup comes in the next Run.
func TestCase13CrashInStartup(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		held := loop.NewFuture[int](r.Loops()[0])
		if _, err := r.AddSystemEventWait(mobius.Before, mobius.Startup, func() mobius.Awaitable {
			n.add("before")
			r.CallLater(0, func() { r.Crash() })
			return held
		}); err != nil {
			t.Fatal(err)
		}
		when(t, r, func() {
			n.add("running: %v", r.Running())
			held.Complete(1, nil) // it is nobody's any more
			r.CallLater(0, func() { stop(t, r) })
		})
		run(t, r)
		n.expect(t, "before")
		run(t, r)
		n.expect(t, "running: true")
	})
}

func TestCase12CrashEndsRunOnly(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		for p := mobius.Before; p <= mobius.After; p++ {
			trigger(t, r, p, mobius.Shutdown, n.adding(p.String()))
		}
		when(t, r, func() {
			if err := r.Crash(); err != nil {
				t.Errorf("Crash: %v", err)
			}
		})
		run(t, r)
		n.expect(t)
		if r.Running() {
			t.Error("it is running after Crash")
		}
		if err := r.Stop(); err != mobius.ErrNotRunning {
			t.Errorf("Stop after Crash: %v", err)
		}
	})
}

func TestCase13RunAfterCrash(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		trigger(t, r, mobius.Before, mobius.Shutdown, n.adding("shutdown"))
		when(t, r, func() {
			n.add("crash")
			r.CallLater(0, n.adding("a timer of the first Run"))
			r.Crash()
		})
		run(t, r)
		when(t, r, func() {
			n.add("running: %v", r.Running())
			r.CallLater(time.Millisecond, func() { stop(t, r) })
		})
		run(t, r)
		n.expect(t, "crash", "running: true", "a timer of the first Run", "shutdown")
		if err := r.Run(context.Background()); err != mobius.ErrNotRestartable {
			t.Errorf("Run after Stop: %v, want %v", err, mobius.ErrNotRestartable)
		}
	})
}

// Functions of Before and Drain find everything alive, and may take their time
// to bring it to an end; those of During and After find nothing left.
func TestX22OrderOfShutdown(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var n notes
		there := 0
		made := func() {
			if there++; there == 2 {
				stop(t, r)
			}
		}
		connected(t, r, &mourner{r, &n, "lost", false, made}, &mourner{r, &n, "lost", false, made})
		for p := mobius.Before; p <= mobius.After; p++ {
			trigger(t, r, p, mobius.Shutdown, func() { n.add("%v, running: %v", p, r.Running()) })
		}
		if _, err := r.AddSystemEventWait(mobius.Drain, mobius.Shutdown, func() mobius.Awaitable {
			return mobius.DeferLater(r, time.Millisecond, func() (int, error) { n.add("drained"); return 0, nil })
		}); err != nil {
			t.Fatal(err)
		}
		run(t, r)
		n.expect(t, "before, running: true", "drain, running: true", "drained", "lost: true", "lost: true",
			"during, running: false", "after, running: false")
	})
}

// A signal of the table is handled on the loop; others end the reactor.
func TestCase5SignalsByASource(t *testing.T) {
	var n notes
	var r *mobius.Reactor
	source := func(notify func(mobius.Signal), _ ...mobius.Signal) (stop func()) {
		notify(syscall.SIGHUP)
		notify(syscall.SIGTERM)
		return func() {}
	}
	signals := &mobius.Signals{Source: source, Handle: map[mobius.Signal]func(mobius.Signal){
		syscall.SIGHUP: func(s mobius.Signal) { n.add("%v, on the loop: %v", s, r.OnLoop()) },
	}}
	eachReactor(t, mobius.Options{Signals: signals}, func(t *testing.T, made *mobius.Reactor, j *journal) {
		r = made
		run(t, r)
		n.expect(t, "hangup, on the loop: true")
		if r.StopSignal() != syscall.SIGTERM {
			t.Errorf("stopped by %v, want SIGTERM", r.StopSignal())
		}
	})
}

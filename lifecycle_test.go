package mobius

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// A diary keeps what has happened, from any goroutine.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) noting(what string) func() { return func() { d.note("%s", what) } }

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := d.all(); !slices.Equal(got, want) {
		t.Errorf("happened\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// simulated returns a reactor on a simulated network of its own.
func simulated(t *testing.T, o Options) *Reactor {
	t.Helper()
	net := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults, Foreign: true})
	o.Open = func(int) (proactor.Backend, error) { return net.Open() }
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// onAll runs a test on the simulator and on each real backend.
func onAll(t *testing.T, o Options, test func(t *testing.T, r *Reactor)) {
	t.Run("sim", func(t *testing.T) { test(t, simulated(t, o)) })
	everyBackend(t, func(t *testing.T, name string) {
		o.Backend = name
		r, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		test(t, r)
	})
}

// run starts Run, and returns what it will return.
func run(r *Reactor) chan error {
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	return ran
}

// trigger registers a note for each phase of an event.
func (d *diary) trigger(t *testing.T, r *Reactor, event Event) {
	t.Helper()
	for p := Before; p <= After; p++ {
		if _, err := r.AddSystemEventTrigger(p, event, func() { d.note("%v %s, running: %v", p, event, r.Running()) }); err != nil {
			t.Fatal(err)
		}
	}
}

type noter struct {
	d    *diary
	name string
}

func (n noter) ConnectionMade(Transport)    { n.d.note("%s made", n.name) }
func (n noter) DataReceived([]byte)         {}
func (n noter) ConnectionLost(reason error) { n.d.note("%s lost", n.name) }

// The order of a whole life: connections are there in Before and in Drain, and
// gone in During.
func TestOrderOfALife(t *testing.T) {
	for _, loops := range []int{1, 3} {
		onAll(t, Options{Loops: loops}, func(t *testing.T, r *Reactor) {
			d := &diary{}
			d.trigger(t, r, Startup)
			d.trigger(t, r, Shutdown)
			port, err := r.ListenTCP("127.0.0.1:0", FactoryFunc(func(Address) Protocol { return noter{d, "server"} }))
			if err != nil {
				t.Fatal(err)
			}
			ran := run(r)
			client := FactoryFunc(func(Address) Protocol { return noter{d, "client"} })
			if _, err := r.ConnectTCP(port.Addr().String(), Client{Factory: client}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "both are connected", func() bool { return len(d.all()) == 6 })
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
			if err := wait(t, ran); err != nil {
				t.Error(err)
			}
			slices.Sort(d.lines[4:6]) // who is told first of two is nobody's business
			slices.Sort(d.lines[8:10])
			d.expect(t,
				"before startup, running: false", "drain startup, running: false",
				"during startup, running: true", "after startup, running: true",
				"client made", "server made",
				"before shutdown, running: true", "drain shutdown, running: true",
				"client lost", "server lost",
				"during shutdown, running: false", "after shutdown, running: false")
		})
	}
}

// Stop waits for what Before and Drain wait for; everything works meanwhile.
func TestStopWaitsForFutures(t *testing.T) {
	onAll(t, Options{}, func(t *testing.T, r *Reactor) {
		d := &diary{}
		for _, p := range []Phase{Before, Drain} {
			r.AddSystemEventWait(p, Shutdown, func() Awaitable {
				d.note("%v", p)
				return DeferLater(r, 20*time.Millisecond, func() (int, error) {
					d.note("%v is done", p)
					return 0, errors.New("counts as done")
				})
			})
		}
		r.AddSystemEventTrigger(During, Shutdown, d.noting("during"))
		ran := run(r)
		r.CallWhenRunning(func() {
			if err := r.Stop(); err != nil || r.Stop() != ErrNotRunning {
				t.Errorf("Stop: %v, and a second one", err)
			}
			d.note("stopped")
		})
		if err := wait(t, ran); err != nil {
			t.Error(err)
		}
		d.expect(t, "stopped", "before", "before is done", "drain", "drain is done", "during")
	})
}

// never registers a trigger that Shutdown waits for in vain.
func never(r *Reactor, begun func()) {
	r.AddSystemEventWait(Before, Shutdown, func() Awaitable {
		begun()
		return loop.NewFuture[int](r.Loops()[0])
	})
}

// A Shutdown has an end, though something in Before has none, and so has a
// Stop's: Crash.
func TestEndsWithoutWaiting(t *testing.T) {
	onAll(t, Options{Loops: 2}, func(t *testing.T, r *Reactor) {
		d := &diary{}
		ctx, cancel := context.WithCancel(context.Background())
		never(r, cancel)
		r.AddSystemEventTrigger(After, Shutdown, d.noting("after"))
		ran := run(r)
		eventually(t, "it runs", r.Running)
		if err := r.Shutdown(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
		if err := wait(t, ran); err != nil {
			t.Error(err)
		}
		d.expect(t, "after")
	})
	onAll(t, Options{Loops: 2}, func(t *testing.T, r *Reactor) {
		d := &diary{}
		never(r, func() {
			if err := r.Crash(); err != nil || r.Crash() != ErrNotRunning {
				t.Errorf("Crash: %v, and a second one", err)
			}
		})
		r.AddSystemEventTrigger(After, Shutdown, d.noting("after"))
		r.CallWhenRunning(func() { r.Stop() })
		if err := wait(t, run(r)); err != nil {
			t.Error(err)
		}
		if err := r.Run(context.Background()); err != ErrNotRestartable {
			t.Errorf("Run after Stop and Crash: %v", err)
		}
		d.expect(t)
	})
}

// A Stop cuts a Shutdown short that waits for connections.
func TestStopCutsShutdownShort(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(dial(t, port.Addr()), "hello"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.Shutdown(context.Background()) }()
		eventually(t, "the port drains", func() bool { return !port.Listening() })
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if err := wait(t, ended); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
		if err := r.Shutdown(context.Background()); err != nil {
			t.Errorf("a second Shutdown: %v", err)
		}
		wait(t, s.lostOne)
	})
}

// A reactor with several loops is left by Crash as it is: a connection that
// was made before serves on in the next Run.
func TestCrashKeepsConnections(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		for _, loops := range []int{1, 3} {
			r, err := New(Options{Backend: name, Loops: loops})
			if err != nil {
				t.Fatal(err)
			}
			s := newServer()
			port, err := r.ListenTCP("127.0.0.1:0", s)
			if err != nil {
				t.Fatal(err)
			}
			var conns []net.Conn
			for range 3 {
				conns = append(conns, dial(t, port.Addr()))
			}
			for range 3 {
				ran := run(r)
				for _, c := range conns {
					if err := ask(c, "hello"); err != nil {
						t.Fatal(err)
					}
				}
				if err := r.Crash(); err != nil {
					t.Error(err)
				}
				if err := wait(t, ran); err != nil || r.Running() {
					t.Errorf("Run after Crash: %v", err)
				}
				if _, err := r.ListenTCP("127.0.0.1:0", s); err != ErrNotRunning {
					t.Errorf("Listen after Crash: %v", err)
				}
				if err := errors.Join(r.Stop(), r.Crash()); !errors.Is(err, ErrNotRunning) {
					t.Errorf("Stop and Crash after Crash: %v", err)
				}
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if len(s.lost) != 3 || !errors.Is(s.lost[0], ErrStopped) {
				t.Errorf("lost %v", s.lost)
			}
		}
	})
}

// A Crash of several loops while one of them fails leaves nothing behind.
func TestCrashWhileALoopFails(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		for fails := range 3 {
			r, err := New(Options{Backend: name, Loops: 3, Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			ran := run(r)
			eventually(t, "it runs", r.Running)
			r.Loops()[fails].Call(func() {
				r.Crash()
				runtime.Goexit()
			})
			if err := wait(t, ran); !errors.Is(err, loop.ErrGoexit) {
				t.Errorf("Run: %v, want %v", err, loop.ErrGoexit)
			}
		}
	})
}

// Whatever ends a loop, the triggers of Shutdown are called, once.
func TestTriggersAfterAFailure(t *testing.T) {
	for _, fails := range []int{0, 1} {
		onAll(t, Options{Loops: 2, Logger: slog.New(slog.DiscardHandler)}, func(t *testing.T, r *Reactor) {
			d := &diary{}
			for p := Before; p <= After; p++ {
				r.AddSystemEventTrigger(p, Shutdown, d.noting(p.String()))
			}
			r.AddSystemEventTrigger(During, Shutdown, runtime.Goexit)
			never(r, func() {})
			ran := run(r)
			r.Loops()[fails].Call(runtime.Goexit)
			if err := wait(t, ran); !errors.Is(err, loop.ErrGoexit) {
				t.Errorf("Run: %v, want %v", err, loop.ErrGoexit)
			}
			d.expect(t, "before", "drain", "during", "after")
		})
	}
}

// The end of the context, at whatever time, is a Stop.
func TestContextEndsRun(t *testing.T) {
	onAll(t, Options{}, func(t *testing.T, r *Reactor) {
		d := &diary{}
		d.trigger(t, r, Shutdown)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := r.Run(ctx); err != nil {
			t.Error(err)
		}
		d.expect(t, "before shutdown, running: true", "drain shutdown, running: true",
			"during shutdown, running: false", "after shutdown, running: false")
		if _, err := r.AddSystemEventTrigger(Before, Startup, func() {}); err != ErrStopped {
			t.Errorf("a trigger for a reactor that has ended: %v", err)
		}
		if err := r.CallWhenRunning(func() {}); err != ErrStopped {
			t.Errorf("CallWhenRunning of a reactor that has ended: %v", err)
		}
	})
}

// Iterate serves, begins and ends like Run, and with nothing left over.
func TestIterateToTheEnd(t *testing.T) {
	onAll(t, Options{}, func(t *testing.T, r *Reactor) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		d := &diary{}
		d.trigger(t, r, Startup)
		d.trigger(t, r, Shutdown)
		answers := make(chan string, 1)
		port, err := r.ListenTCP("127.0.0.1:0", newServer())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.ConnectTCP(port.Addr().String(), Client{Factory: asker("hello", answers)}); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(patience); len(answers) == 0 && time.Now().Before(end); {
			if err := r.Iterate(time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		if got := wait(t, answers); got != "hello" {
			t.Errorf("answered %q", got)
		}
		r.Call(func() {
			if err := r.Iterate(0); err != ErrRunning {
				t.Errorf("Iterate inside: %v", err)
			}
		})
		if err := r.Iterate(0); err != nil {
			t.Error(err)
		}
		if err := r.Run(context.Background()); err != ErrRunning {
			t.Errorf("Run meanwhile: %v", err)
		}
		r.Stop()
		for err = nil; err == nil; {
			err = r.Iterate(-1)
		}
		if err != ErrStopped || r.Iterate(0) != ErrNotRestartable || r.Close() != nil {
			t.Errorf("at the end: %v", err)
		}
		if lines := d.all(); len(lines) != 8 || lines[7] != "after shutdown, running: false" {
			t.Errorf("happened: %q", lines)
		}
	})
}

// Iterate after a Crash begins anew; Close ends it at any time.
func TestIterateCrashAndClose(t *testing.T) {
	onAll(t, Options{}, func(t *testing.T, r *Reactor) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for range 2 {
			d := &diary{}
			d.trigger(t, r, Startup)
			if err := r.Iterate(0); err != nil || !r.Running() {
				t.Fatalf("Iterate: %v", err)
			}
			r.Crash()
			if err := r.Iterate(0); err != ErrNotRunning || r.Running() {
				t.Errorf("Iterate with a Crash: %v", err)
			}
			if len(d.all()) != 4 {
				t.Errorf("happened: %q", d.all())
			}
		}
		if err := r.Run(context.Background()); err != ErrRunning {
			t.Errorf("Run of what Iterate drives: %v", err)
		}
		if err := errors.Join(r.Iterate(0), r.Close(), r.Close()); err != nil {
			t.Error(err)
		}
		if err := r.Iterate(0); err != ErrNotRestartable {
			t.Errorf("Iterate after Close: %v", err)
		}
	})
	r := simulated(t, Options{Loops: 2})
	if err := r.Iterate(0); err == nil || !strings.Contains(err.Error(), "Options.Loops") {
		t.Errorf("Iterate of two loops: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

// Close of a reactor that runs is refused, and on its loops nothing waits for itself.
func TestMisuseWhileRunning(t *testing.T) {
	onAll(t, Options{Loops: 2}, func(t *testing.T, r *Reactor) {
		testenv.Leaks(t)
		r.CallWhenRunning(func() {
			if err := r.Close(); err != ErrRunning {
				t.Errorf("Close: %v", err)
			}
			if err := r.Shutdown(context.Background()); err != loop.ErrOnLoop {
				t.Errorf("Shutdown: %v", err)
			}
			if err := r.Run(context.Background()); err != ErrRunning {
				t.Errorf("Run: %v", err)
			}
			if err := r.FireSystemEvent(Shutdown); err == nil {
				t.Error("FireSystemEvent of the reactor's own: no error")
			}
			if _, err := r.AddSystemEventWait(During, Shutdown, func() Awaitable { return nil }); err == nil {
				t.Error("AddSystemEventWait in During: no error")
			}
			r.Stop()
		})
		if err := r.Run(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

package mobius

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// CallLater keeps the order of times, on virtual time exactly.
func TestCallLater(t *testing.T) {
	net := sim.New(sim.Options{Faults: sim.NoFaults})
	r, err := New(Options{Open: func(int) (proactor.Backend, error) { return net.Open() }})
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	at := func(name string) func() { return func() { calls = append(calls, fmt.Sprint(name, " ", net.Now())) } }
	r.CallLater(2*time.Second, at("two"))
	one := r.CallLater(time.Hour, at("one"))
	gone := r.CallLater(time.Second, at("gone"))
	three := r.CallLater(time.Second, at("three"))
	if !one.Reset(time.Second) || !three.Delay(2*time.Second) || !gone.Cancel() || gone.Cancel() || gone.Active() || !one.Active() {
		t.Error("Reset, Delay, Cancel, Active")
	}
	if got := three.Time() - one.Time(); got != 2*time.Second {
		t.Errorf("three is %v after one, want 2s", got)
	}
	r.CallLater(4*time.Second, func() { r.Stop() })
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one 1s", "two 2s", "three 3s"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	if one.Active() || one.Cancel() || one.Reset(1) || one.Delay(1) {
		t.Error("a call that was made is still active")
	}
}

// A panic costs its connection, is logged with its stack, and nothing else.
func TestPanicIsLogged(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		var text lockedBuffer
		r := start(t, Options{Backend: name, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		lost := make(chan error, 1)
		port, err := r.ListenTCP("127.0.0.1:0", FactoryFunc(func(Address) Protocol { return &panicker{lost} }))
		if err != nil {
			t.Fatal(err)
		}
		dial(t, port.Addr()).Write([]byte("x"))
		var e *ConnError
		if err := wait(t, lost); !errors.As(err, &e) || e.Kind != Panicked {
			t.Errorf("lost with %v, want Panicked", err)
		}
		eventually(t, "the panic is logged", func() bool { return strings.Contains(text.String(), "panicker).DataReceived") })
	})
}

type panicker struct{ lost chan error }

func (p *panicker) ConnectionMade(Transport) {}
func (p *panicker) DataReceived([]byte)      { panic("oh") }
func (p *panicker) ConnectionLost(err error) { p.lost <- err }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A loop that fails ends the others, and is Run's error.
func TestAFailingLoopEndsRun(t *testing.T) {
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	r, err := New(Options{Loops: 3, Open: func(int) (proactor.Backend, error) { return net.Open() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Loops()[1].Call(runtime.Goexit); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	if err := wait(t, ran); !errors.Is(err, loop.ErrGoexit) {
		t.Errorf("Run: %v, want %v", err, loop.ErrGoexit)
	}
}

// Too few processors are logged once, and never changed.
func TestGOMAXPROCSIsLoggedOnce(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	for loops, want := range map[int]int{before: 1, max(before-2, 0): 0} {
		if loops == 0 {
			continue
		}
		var text lockedBuffer
		r, err := New(Options{Loops: loops, Logger: slog.New(slog.NewTextHandler(&text, nil)),
			Open: func(int) (proactor.Backend, error) { return net.Open() }})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CallWhenRunning(func() { r.Stop() }); err != nil {
			t.Fatal(err)
		}
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(text.String(), "GOMAXPROCS"); got != want {
			t.Errorf("%d loops at GOMAXPROCS %d: logged %d times, want %d", loops, before, got, want)
		}
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("GOMAXPROCS was %d, and is %d", before, now)
	}
}

// Without a Logger, what cannot be returned goes to slog's default; with one,
// nothing does.
func TestDefaultLogger(t *testing.T) {
	var text lockedBuffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(&text, nil)))
	defer slog.SetDefault(before)
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	for _, logger := range []*slog.Logger{slog.New(slog.DiscardHandler), nil} {
		r, err := New(Options{
			Loops: runtime.GOMAXPROCS(0), Logger: logger,
			Open: func(int) (proactor.Backend, error) { return net.Open() },
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Call(func() { panic("in a call") }); err != nil {
			t.Fatal(err)
		}
		r.CallWhenRunning(func() { r.Stop() })
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"GOMAXPROCS is below", "in a call"} {
			if got := strings.Contains(text.String(), want); got != (logger == nil) {
				t.Errorf("Logger is %v: slog's default was told %q: %v", logger, want, got)
			}
		}
	}
}

// Everything that any goroutine may call is called from many at once, while
// the reactor starts, runs and stops. The race detector judges.
func TestAnyGoroutine(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name, Loops: 3})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- r.Run(context.Background()) }()
		eventually(t, "it runs", func() bool { return r.Call(func() {}) == nil && !fresher(r) })
		var all sync.WaitGroup
		var answered atomic.Int32
		for range 8 {
			all.Go(func() {
				port, err := r.ListenTCP("127.0.0.1:0", newServer())
				if err != nil {
					t.Error(err)
					return
				}
				answers := make(chan string, 5)
				for range cap(answers) {
					if _, err := r.ConnectTCP(port.Addr().String(), Client{Factory: asker("hello", answers)}); err != nil {
						t.Error(err)
					}
				}
				for range cap(answers) {
					if wait(t, answers) == "hello" {
						answered.Add(1)
					}
				}
				if err := port.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		r.Stop()
		if err := wait(t, ran); err != nil || answered.Load() != 40 {
			t.Errorf("Run: %v; %d answers, want 40", err, answered.Load())
		}
	})
}

func fresher(r *Reactor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == fresh
}

package loop_test

import (
	"errors"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/test/backends"
)

// within runs f on a goroutine of its own and waits for what it returns.
func within(w *backends.World, f func() error) error {
	w.Helper()
	ended := make(chan error, 1)
	go func() { ended <- f() }()
	select {
	case err := <-ended:
		return err
	case <-time.After(backends.Patience):
		w.Fatal("it did not return")
		return nil
	}
}

// A Pause ends Run and keeps everything: timers and calls wait for the next Run.
func TestPauseAndRunAgain(t *testing.T) {
	backends.EachOfAll(t, func(w *backends.World) {
		var events []string
		note := func(s string) func() { return func() { events = append(events, s) } }
		l := loop.New(w.Open(), loop.Options{OnStart: note("start"), OnStop: note("stop")})
		l.Start(&loop.Timer{Func: note("timer")}, 0)
		for range 3 {
			if err := l.Call(func() { note("call")(); l.Pause() }); err != nil {
				w.Fatal(err)
			}
			if err := within(w, l.Run); !errors.Is(err, loop.ErrPaused) {
				w.Fatalf("Run: %v, want %v", err, loop.ErrPaused)
			}
		}
		if err := l.Iterate(0); !errors.Is(err, loop.ErrRunning) {
			w.Errorf("Iterate of a loop that has its own goroutine: %v", err)
		}
		if err := l.Call(l.Stop); err != nil {
			w.Fatal(err)
		}
		if err := within(w, l.Run); err != nil {
			w.Errorf("Run: %v", err)
		}
		want := []string{"start", "timer", "call", "start", "call", "start", "call", "start", "stop"}
		if len(events) != len(want) {
			w.Fatalf("events %q, want %q", events, want)
		}
		for i := range want {
			if events[i] != want[i] {
				w.Fatalf("events %q, want %q", events, want)
			}
		}
	})
}

// Nothing happens in a loop that has paused, and it can be stopped and closed
// by anybody, with or without another Run.
func TestPausedLoopEnds(t *testing.T) {
	for name, end := range map[string]func(*loop.Loop) error{
		"Close":          (*loop.Loop).Close,
		"Stop, then Run": func(l *loop.Loop) error { l.Stop(); <-l.Done(); return ignore(l.Run(), loop.ErrStopped) },
		"Shutdown":       func(l *loop.Loop) error { l.Shutdown(time.Second); <-l.Done(); return l.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			backends.EachOfAll(t, func(w *backends.World) {
				l := loop.New(w.Open(), loop.Options{Watchdog: 2 * time.Millisecond, Report: func(tr loop.Trouble) { w.Errorf("%v", tr) }})
				l.Call(l.Pause)
				if err := within(w, l.Run); !errors.Is(err, loop.ErrPaused) {
					w.Fatal(err)
				}
				ran := make(chan struct{})
				if err := l.Call(func() { close(ran) }); err != nil {
					w.Fatal(err)
				}
				if testenv.Becomes(20*time.Millisecond, func() bool { return isClosed(ran) }) {
					w.Error("a paused loop has run a call")
				}
				if err := within(w, func() error { return end(l) }); err != nil {
					w.Error(err)
				}
				if !isClosed(ran) {
					w.Error("a call was lost")
				}
			})
		})
	}
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Iterate too ends by a Pause, and goes on with the next one.
func TestPauseOfIterate(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		starts, calls := 0, 0
		l := w.LoopWith(loop.Options{OnStart: func() { starts++ }})
		for range 2 {
			l.Call(func() { calls++; l.Pause() })
			if err := l.Iterate(0); !errors.Is(err, loop.ErrPaused) {
				w.Fatalf("Iterate: %v, want %v", err, loop.ErrPaused)
			}
		}
		if err := l.Run(); !errors.Is(err, loop.ErrRunning) {
			w.Errorf("Run of a loop that Iterate drives: %v", err)
		}
		w.Turn()
		if starts != 3 || calls != 2 {
			w.Errorf("%d starts and %d calls, want 3 and 2", starts, calls)
		}
	})
}

// A Stop of the same turn is stronger, and a loop that ends does not spin
// because it was to pause.
func TestStopIsStrongerThanPause(t *testing.T) {
	backends.EachOfAll(t, func(w *backends.World) {
		l := loop.New(w.Open(), loop.Options{})
		l.Call(func() { l.Pause(); l.Stop() })
		if err := within(w, l.Run); err != nil {
			w.Error(err)
		}
	})
}

// What OnStart and OnStop panic with is reported, and costs nothing else.
func TestPanicInOnStartAndOnStop(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		n := 0
		l := w.LoopWith(loop.Options{OnStart: func() { n++; panic("start") }, OnStop: func() { n++; panic("stop") }})
		w.Turn()
		l.Stop()
		w.Until("it has stopped", func() bool { return l.Iterate(0) != nil })
		troubles := w.TakeTroubles()
		if len(troubles) != 2 || troubles[0].Phase != loop.Starts || troubles[1].Phase != loop.Ends || n != 2 {
			w.Errorf("reported %v", troubles)
		}
	})
}

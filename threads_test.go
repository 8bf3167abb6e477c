package mobius

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// Never more calls run at a time than were suggested, all of them do, and a
// change of the number is heeded.
func TestCallInThreadIsBounded(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Threads: 3})
		var now, most, all atomic.Int32
		release := make(chan struct{})
		job := func() {
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			<-release
			now.Add(-1)
			all.Add(1)
		}
		for range 20 {
			if err := r.CallInThread(job); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "three run", func() bool { return now.Load() == 3 })
		if err := r.SuggestThreadPoolSize(7); err != nil {
			t.Fatal(err)
		}
		eventually(t, "seven run", func() bool { return now.Load() == 7 })
		close(release)
		eventually(t, "all have run", func() bool { return all.Load() == 20 })
		if most.Load() != 7 {
			t.Errorf("%d ran at one time, want 7", most.Load())
		}
		for _, n := range []int{0, -1, 65} {
			if err := r.SuggestThreadPoolSize(n); err == nil {
				t.Errorf("%d threads: no error", n)
			}
		}
		if _, err := New(Options{Backend: name, Threads: 65}); err == nil {
			t.Error("Options.Threads of 65: no error")
		}
	})
}

// The queue before the pool has a limit.
func TestCallInThreadIsFull(t *testing.T) {
	onAll(t, Options{Calls: 2}, func(t *testing.T, r *Reactor) {
		var ran atomic.Int32
		for i, want := range []error{nil, nil, loop.ErrFull} {
			if err := r.CallInThread(func() { ran.Add(1) }); err != want {
				t.Errorf("call %d: %v, want %v", i, err, want)
			}
		}
		if v, err := DeferToThread(r, func() (int, error) { return 1, nil }).Wait(context.Background()); v != 0 || err != loop.ErrFull {
			t.Errorf("DeferToThread: %d, %v", v, err)
		}
		done := run(r)
		eventually(t, "what was taken has run", func() bool { return ran.Load() == 2 })
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if err := wait(t, done); err != nil {
			t.Error(err)
		}
	})
}

// A stop drops what has not begun, tells so, and waits for what has.
func TestStopAndCallsInThreads(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		var text lockedBuffer
		r, err := New(Options{Backend: name, Threads: 1, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		if err != nil {
			t.Fatal(err)
		}
		begun, release := make(chan struct{}), make(chan struct{})
		first := DeferToThread(r, func() (int, error) { close(begun); <-release; return 1, nil })
		second := DeferToThread(r, func() (int, error) { t.Error("it has begun"); return 2, nil })
		if err := r.CallInThread(func() { t.Error("it has begun") }); err != nil {
			t.Fatal(err)
		}
		ran := run(r)
		wait(t, begun)
		if err := r.Stop(); err != nil {
			t.Fatal(err)
		}
		dropped := 1
		eventually(t, "no more is taken", func() bool {
			err := r.CallInThread(func() { t.Error("it has begun") })
			if err == nil {
				dropped++
			}
			return err == ErrStopped
		})
		select {
		case <-ran:
			t.Error("Run did not wait for a call that runs")
		default:
		}
		close(release)
		if err := wait(t, ran); err != nil {
			t.Error(err)
		}
		if v, err := first.Wait(context.Background()); v != 1 || err != nil {
			t.Errorf("the call that ran: %d, %v", v, err)
		}
		if _, err := second.Wait(context.Background()); err != ErrStopped {
			t.Errorf("the call that waited: %v", err)
		}
		if n := strings.Count(text.String(), "came to nothing"); n != dropped {
			t.Errorf("%d dropped calls are logged, want %d: %s", n, dropped, text.String())
		}
	})
}

// A thread that does not come back is given up after StopTimeout, and what it
// still does then is nobody's.
func TestStopGivesUpOnAThread(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name, StopTimeout: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		begun, release := make(chan struct{}), make(chan struct{})
		stuck := DeferToThread(r, func() (int, error) { close(begun); <-release; return 1, nil })
		ran := run(r)
		wait(t, begun)
		r.Stop()
		if err := wait(t, ran); err != nil {
			t.Error(err)
		}
		close(release)
		if v, err := stuck.Wait(context.Background()); v != 0 || err != ErrStopped {
			t.Errorf("the stuck call: %d, %v", v, err)
		}
	})
}

// Results come to the loop that has asked, panics and Goexit too.
func TestDeferToThread(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		var text lockedBuffer
		r := start(t, Options{Backend: name, Loops: 2, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		for i, l := range r.Loops() {
			came := make(chan bool, 1)
			l.Call(func() {
				DeferToThread(r, func() (bool, error) { return !r.OnLoop(), nil }).Then(func(away bool, err error) {
					came <- away && err == nil && l.Inside()
				})
			})
			if !wait(t, came) {
				t.Errorf("the result of loop %d", i)
			}
		}
		oh := errors.New("oh")
		for what, f := range map[string]func() (int, error){
			"error": func() (int, error) { return 1, oh },
			"panic": func() (int, error) { panic(oh) },
		} {
			if _, err := DeferToThread(r, f).Wait(context.Background()); !errors.Is(err, oh) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := DeferToThread(r, func() (int, error) { runtime.Goexit(); return 0, nil }).Wait(context.Background()); err == nil {
			t.Error("Goexit: no error")
		}
		r.CallInThread(func() { panic("in a thread") })
		const want = "panic in a thread's work: in a thread"
		eventually(t, "the panic is logged", func() bool { return strings.Contains(text.String(), want) })
	})
}

func TestBlockingCallFromThread(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		ctx := context.Background()
		oh := errors.New("oh")
		if on, err := BlockingCallFromThread(ctx, r, func() (bool, error) { return r.Loops()[0].Inside(), nil }); !on || err != nil {
			t.Errorf("on the loop: %v, %v", on, err)
		}
		if _, err := BlockingCallFromThread(ctx, r, func() (int, error) { panic(oh) }); !errors.Is(err, oh) {
			t.Errorf("panic: %v", err)
		}
		if v, err := BlockingWaitFromThread(ctx, r, func() *Future[int] {
			return DeferLater(r, time.Millisecond, func() (int, error) { return 7, oh })
		}); v != 7 || err != oh {
			t.Errorf("a future: %d, %v", v, err)
		}
		if _, err := BlockingWaitFromThread(ctx, r, func() *Future[int] { return nil }); err == nil {
			t.Error("a nil future: no error")
		}
		short, cancel := context.WithCancel(ctx)
		if _, err := BlockingWaitFromThread(short, r, func() *Future[int] {
			cancel()
			return loop.NewFuture[int](r.Loops()[0])
		}); err != context.Canceled {
			t.Errorf("the end of the context: %v", err)
		}
		for _, l := range r.Loops() {
			got := make(chan error, 1)
			l.Call(func() {
				_, err := BlockingCallFromThread(ctx, r, func() (int, error) { return 0, nil })
				got <- err
			})
			if err := wait(t, got); err != loop.ErrOnLoop {
				t.Errorf("on a loop: %v", err)
			}
		}
		held := make(chan error, 1)
		go func() {
			_, err := BlockingWaitFromThread(ctx, r, func() *Future[int] { r.Stop(); return loop.NewFuture[int](r.Loops()[0]) })
			held <- err
		}()
		if err := wait(t, held); err != ErrStopped {
			t.Errorf("the reactor's end: %v", err)
		}
	})
}

// One seed is one trace with calls in threads too: on the simulator they run at
// drawn moments of virtual time, as many at a time as were suggested.
func TestThreadsAreSimulated(t *testing.T) {
	trace := func(seed uint64) (uint64, int) {
		net := sim.New(sim.Options{Seed: seed})
		r, err := New(Options{Threads: 2, Open: func(int) (proactor.Backend, error) { return net.Open() }})
		if err != nil {
			t.Fatal(err)
		}
		left := 10
		for range left {
			DeferToThread(r, func() (int, error) { return 1, nil }).Then(func(n int, err error) {
				if left -= n; left == 0 {
					r.Stop()
				}
			})
		}
		if err := r.Run(context.Background()); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		return net.TraceHash(), left
	}
	for seed := range uint64(50) {
		a, left := trace(seed)
		b, _ := trace(seed)
		if a != b || left != 0 {
			t.Errorf("seed %d: traces %x and %x, %d left", seed, a, b, left)
		}
	}
}

// Calls in threads from many goroutines, while the reactor starts, crashes,
// runs again and stops. The race detector judges; all are called, or told.
func TestThreadsFromAnyGoroutine(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name})
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var done, told atomic.Int32
		stop := make(chan struct{})
		for range 4 {
			all.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					v, err := DeferToThread(r, func() (int, error) { return 1, nil }).Wait(context.Background())
					if err != nil {
						told.Add(1)
						return
					}
					done.Add(int32(v))
				}
			})
		}
		for range 3 {
			before := done.Load()
			ran := run(r)
			eventually(t, "some are called", func() bool { return done.Load() > before+20 })
			r.Crash()
			if err := wait(t, ran); err != nil {
				t.Error(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		eventually(t, "all are told of the end", func() bool { return told.Load() == 4 })
		close(stop)
		all.Wait()
	})
}

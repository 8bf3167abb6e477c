package twisted

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/loop"
)

// away runs f on another goroutine, which is gone when the test goes on.
func away(t *testing.T, r *mobius.Reactor, f func()) (gone func()) {
	t.Helper()
	var ended sync.WaitGroup
	if err := r.CallWhenRunning(func() { ended.Go(f) }); err != nil {
		t.Fatal(err)
	}
	return ended.Wait
}

// post makes a call, which must be taken.
func post(t *testing.T, r *mobius.Reactor, f func()) {
	t.Helper()
	if err := r.Call(f); err != nil {
		t.Errorf("Call: %v", err)
	}
}

func TestCase372CallFromAnotherGoroutine(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		gone := away(t, r, func() {
			if r.OnLoop() {
				t.Error("another goroutine is on the loop")
			}
			post(t, r, func() {
				if !r.OnLoop() {
					t.Error("the call is not on the loop")
				}
				stop(t, r)
			})
		})
		run(t, r)
		gone()
	})
}

// With nothing else to do for a day, the call is made all the same.
func TestCase373CallFromATimer(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		r.CallLater(24*time.Hour, func() { t.Error("the loop has waited for a day") })
		r.CallLater(0, func() {
			inside := true
			post(t, r, func() {
				if inside {
					t.Error("called inside Call")
				}
				stop(t, r)
			})
			inside = false
		})
		run(t, r)
	})
}

func TestCase375CallThatPostsItself(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		over := false
		var again func()
		again = func() {
			if !over {
				post(t, r, again)
			}
		}
		post(t, r, again)
		there := 0
		made := func() {
			if there++; there == 2 {
				r.CallLater(time.Millisecond, func() { over = true; stop(t, r) })
			}
		}
		var n notes
		connected(t, r, &mourner{r, &n, "lost", false, made}, &mourner{r, &n, "lost", false, made})
		run(t, r)
	})
}

func TestCase376CallsInOrder(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		const calls = 20000
		var got []int
		gone := away(t, r, func() {
			for i := range calls {
				post(t, r, func() { got = append(got, i) })
			}
			post(t, r, func() { stop(t, r) })
		})
		run(t, r)
		gone()
		for i, n := range got {
			if n != i {
				t.Fatalf("call %d came as the %dth", n, i)
			}
		}
		if len(got) != calls {
			t.Errorf("%d calls of %d were made", len(got), calls)
		}
	})
}

func TestCase377CallsBeforeRun(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		ran := false
		post(t, r, func() { ran = true })
		if ran {
			t.Error("called before Run")
		}
		post(t, r, func() { stop(t, r) })
		run(t, r)
		if !ran {
			t.Error("not called in Run")
		}
	})
}

func TestCase379PoolLivesWithTheReactor(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		begun := false
		before := mobius.DeferToThread(r, func() (int, error) { begun = true; return 1, nil })
		trigger(t, r, mobius.Before, mobius.Startup, func() {
			if begun {
				t.Error("a thread was there before the reactor ran")
			}
		})
		if err := r.SuggestThreadPoolSize(3); err != nil {
			t.Error(err)
		}
		before.Then(func(v int, err error) {
			if v != 1 || err != nil || !r.Running() {
				t.Errorf("%d, %v, running: %v", v, err, r.Running())
			}
			stop(t, r)
		})
		run(t, r)
		if err := r.CallInThread(func() {}); err != mobius.ErrStopped {
			t.Errorf("after Run: %v, want %v", err, mobius.ErrStopped)
		}
	})
}

// However the reactor ends, what waits for a thread is told, and no thread stays.
func TestCase380PoolEndsWithTheReactor(t *testing.T) {
	for _, how := range []string{"late", "never run", "crashed"} {
		t.Run(how, func(t *testing.T) {
			eachReactor(t, mobius.Options{Threads: 1}, func(t *testing.T, r *mobius.Reactor, j *journal) {
				var waits *mobius.Future[int]
				ask := func() {
					waits = mobius.DeferToThread(r, func() (int, error) { t.Error("called"); return 0, nil })
				}
				switch how {
				case "late":
					trigger(t, r, mobius.Before, mobius.Shutdown, func() {
						trigger(t, r, mobius.During, mobius.Shutdown, ask)
					})
					when(t, r, func() { stop(t, r) })
					run(t, r)
				case "never run":
					ask()
				case "crashed":
					trigger(t, r, mobius.Before, mobius.Startup, func() { ask(); r.Crash() })
					if _, err := r.AddSystemEventWait(mobius.Before, mobius.Startup, func() mobius.Awaitable {
						return loop.NewFuture[int](r.Loops()[0])
					}); err != nil {
						t.Fatal(err)
					}
					run(t, r)
				}
				if err := r.Close(); err != nil {
					t.Error(err)
				}
				if _, err := waits.Wait(context.Background()); err != mobius.ErrStopped {
					t.Errorf("what waited for a thread got %v, want %v", err, mobius.ErrStopped)
				}
			})
		})
	}
}

func TestCase381OnLoop(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		if r.OnLoop() {
			t.Error("on the loop before Run")
		}
		when(t, r, func() {
			var other sync.WaitGroup
			here, there := r.OnLoop(), true
			other.Go(func() { there = r.OnLoop() })
			other.Wait()
			if !here || there {
				t.Errorf("the loop's goroutine is on the loop: %v, another one: %v", here, there)
			}
			stop(t, r)
		})
		run(t, r)
	})
}

func TestCase383BlockingCall(t *testing.T) {
	oh := errors.New("oh")
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		ctx := context.Background()
		gone := away(t, r, func() {
			for _, want := range []error{nil, oh} {
				if v, err := mobius.BlockingCallFromThread(ctx, r, func() (bool, error) { return r.OnLoop(), want }); !v || err != want {
					t.Errorf("at once: %v, %v", v, err)
				}
				if v, err := mobius.BlockingWaitFromThread(ctx, r, func() *mobius.Future[int] {
					return mobius.DeferLater(r, time.Millisecond, func() (int, error) { return 7, want })
				}); v != 7 || err != want {
					t.Errorf("later: %v, %v", v, err)
				}
			}
			if _, err := mobius.BlockingCallFromThread(ctx, r, func() (int, error) { panic(oh) }); !errors.Is(err, oh) {
				t.Errorf("a panic: %v", err)
			}
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
		run(t, r)
		gone()
	})
}

func TestCase384WorkBeforeStart(t *testing.T) {
	eachReactor(t, mobius.Options{Threads: 3}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		var now, most, done atomic.Int32
		var begun sync.Once
		enough := make(chan struct{}) // three have begun, where there are threads
		simulated := r.Backend().Name == "sim"
		for range 12 {
			if err := r.CallInThread(func() {
				n := now.Add(1)
				for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
				}
				if n == 3 {
					begun.Do(func() { close(enough) })
				}
				if !simulated {
					<-enough
				}
				now.Add(-1)
				if done.Add(1) == 12 {
					post(t, r, func() { stop(t, r) })
				}
			}); err != nil {
				t.Fatal(err)
			}
		}
		if now.Load() != 0 || done.Load() != 0 {
			t.Error("begun before Run")
		}
		run(t, r)
		if done.Load() != 12 || most.Load() > 3 {
			t.Errorf("%d of 12 were called, %d at one time, want 3 at most", done.Load(), most.Load())
		}
	})
}

func TestCase385PanicInAThread(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		gone := away(t, r, func() {
			if err := r.CallInThread(func() { panic("in a thread") }); err != nil {
				t.Error(err)
			}
			testenv.Eventually(t, 20*time.Second, "the panic is logged", func() bool {
				return j.count("panic in a thread's work: in a thread") == 1
			})
			if err := r.Stop(); err != nil {
				t.Error(err)
			}
		})
		run(t, r)
		gone()
	})
}

package loop

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// start runs l and returns what waits for the end of Run.
func start(t *testing.T, l *Loop) (wait func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- l.Run() }()
	return func() error {
		t.Helper()
		select {
		case err := <-done:
			return err
		case <-time.After(30 * time.Second):
			t.Fatal("Run did not return")
			return nil
		}
	}
}

func TestCallsKeepOrderPerGoroutine(t *testing.T) {
	const posters, each = 8, 5000
	l, f := setup(t, Options{Calls: posters * each})
	f.blocking = true
	var got [posters][]int
	wait := start(t, l)
	var all sync.WaitGroup
	for p := range posters {
		all.Go(func() {
			for i := range each {
				if err := l.Call(func() { got[p] = append(got[p], i) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	for p := range got {
		if len(got[p]) != each || !slices.IsSorted(got[p]) {
			t.Fatalf("poster %d: %d calls ran, sorted %v", p, len(got[p]), slices.IsSorted(got[p]))
		}
	}
}

func TestCallsBeforeRunRunOnceItRuns(t *testing.T) {
	l, f := setup(t, Options{})
	ran := false
	if err := l.Call(func() { ran = l.OnGoroutine(); l.Stop() }); err != nil {
		t.Fatal(err)
	}
	if ran || f.wakeups() != 0 {
		t.Fatalf("before Run: ran %v, %d wakes", ran, f.wakeups())
	}
	if err := start(t, l)(); err != nil || !ran {
		t.Fatalf("Run: %v, ran on the loop's goroutine: %v", err, ran)
	}
	if l.OnGoroutine() {
		t.Fatal("this goroutine passes for the loop's")
	}
}

func TestCallIsFull(t *testing.T) {
	l, _ := setup(t, Options{Calls: 2})
	ran := 0
	var inside error
	call := func() { ran++ }
	for i, want := range []error{nil, nil, ErrFull} {
		if err := l.Call(call); err != want {
			t.Fatalf("call %d: %v, want %v", i, err, want)
		}
	}
	if err := l.Insist(call); err != nil {
		t.Fatalf("Insist on a full queue: %v", err)
	}
	turn(t, l)
	l.Call(func() {
		for range 3 { // the batch under way does not count
			inside = l.Call(call)
		}
	})
	turn(t, l)
	turn(t, l)
	if ran != 5 || inside != ErrFull {
		t.Fatalf("%d calls ran, want 5; inside: %v, want ErrFull", ran, inside)
	}
}

// A call that posts itself for ever leaves every other phase its turn.
func TestCallThatPostsItselfStarvesNobody(t *testing.T) {
	l, f := setup(t, Options{})
	var again func()
	n, timers := 0, 0
	again = func() { n++; l.Call(again) }
	l.Call(again)
	var tm Timer
	tm.Func = func() { timers++; l.Start(&tm, 0) }
	l.Start(&tm, 0)
	for i := 1; i <= 5; i++ {
		turn(t, l)
		if n != i || timers != i || len(f.waits) != i {
			t.Fatalf("turn %d: %d calls, %d timers, %d polls", i, n, timers, len(f.waits))
		}
	}
}

// What Call accepted runs, also when it races with Stop.
func TestAcceptedCallsAreNeverLost(t *testing.T) {
	for range 200 {
		l, f := setup(t, Options{Calls: 64})
		f.blocking = true
		var accepted, ran atomic.Int64
		wait := start(t, l)
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 200 {
					switch err := l.Call(func() { ran.Add(1) }); {
					case err == nil:
						accepted.Add(1)
					case !errors.Is(err, ErrFull) && !errors.Is(err, ErrStopped):
						t.Error(err)
					}
				}
			})
		}
		l.Stop()
		all.Wait()
		if err := wait(); err != nil {
			t.Fatal(err)
		}
		if err := l.Call(func() {}); err != ErrStopped {
			t.Fatalf("after the end: %v", err)
		}
		if ran.Load() != accepted.Load() {
			t.Fatalf("%d calls accepted, %d ran", accepted.Load(), ran.Load())
		}
	}
}

// A sleeping loop is woken once for any number of calls, and a loop that runs
// callbacks is not woken at all.
func TestCallsWakeASleepingLoopOnce(t *testing.T) {
	l, f := setup(t, Options{})
	f.blocking = true
	wait := start(t, l)
	inCall, leave := make(chan struct{}), make(chan struct{})
	<-f.entered // asleep
	l.Call(func() { close(inCall); <-leave })
	<-inCall
	if n := f.wakeups(); n != 1 {
		t.Fatalf("%d wakes for a sleeping loop, want 1", n)
	}
	ran := make(chan struct{})
	for range 10 {
		l.Call(func() {})
	}
	l.Call(func() { close(ran) })
	close(leave)
	<-ran
	if n := f.wakeups(); n != 1 {
		t.Fatalf("%d wakes, want none for a running loop", n-1)
	}
	<-f.entered // asleep again
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if n := f.wakeups(); n != 2 {
		t.Fatalf("%d wakes, want 2", n)
	}
}

// No call is left lying while the loop sleeps, whenever it comes.
func TestNoLostWakeUp(t *testing.T) {
	l, f := setup(t, Options{})
	f.blocking = true
	f.entered = make(chan struct{}, 1<<20)
	wait := start(t, l)
	for i := range 20_000 {
		ran := make(chan struct{})
		l.Call(func() { close(ran) })
		select {
		case <-ran:
		case <-time.After(20 * time.Second):
			t.Fatalf("call %d never ran", i)
		}
	}
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
}

// A call that is posted by a callback, when nobody would wake the loop, does
// not wait for the next event.
func TestCallPostedByACallback(t *testing.T) {
	l, f := setup(t, Options{})
	f.blocking = true
	wait := start(t, l)
	for _, phase := range []func(func()){
		func(post func()) { l.Call(post) },
		func(post func()) { l.Call(func() { l.Start(&Timer{Func: post}, 0) }) },
		func(post func()) { l.Call(func() { l.AtTurnEnd(&newFlush(post).Flush) }) },
		func(post func()) { l.Call(func() { f.ready = append(f.ready, post) }) },
	} {
		ran := make(chan struct{})
		phase(func() { l.Call(func() { l.Call(func() { close(ran) }) }) })
		select {
		case <-ran:
		case <-time.After(20 * time.Second):
			t.Fatal("the call never ran")
		}
	}
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
}

func TestCallAllocatesNothing(t *testing.T) {
	uncheckedOnly(t)
	l, _ := setup(t, Options{})
	call := func() {}
	one := func() {
		for range 100 {
			l.Call(call)
		}
		if err := l.Iterate(0); err != nil {
			t.Fatal(err)
		}
	}
	one()
	one()
	if allocs := testing.AllocsPerRun(100, one); allocs > 0.1 { // the fake's record of waits grows
		t.Errorf("%v allocations per 100 calls, want 0", allocs)
	}
}

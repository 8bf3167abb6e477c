package loop

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"mobius/proactor"
)

// owner is a member with one operation that ends when the loop says so.
type owner struct {
	l       *Loop
	m       Member
	op      proactor.Op
	log     *[]string
	name    string
	onFail  func()
	onEnded func()
	finish  func()

	onAbandoned func()
}

func newOwner(l *Loop, name string, log *[]string) *owner {
	o := &owner{l: l, name: name, log: log}
	o.m.Owner = o
	o.op = proactor.Op{Kind: proactor.OpRecv, Owner: o}
	l.Join(&o.m)
	l.Submit(&o.op)
	return o
}

func (o *owner) note(format string, args ...any) {
	*o.log = append(*o.log, o.name+" "+fmt.Sprintf(format, args...))
}

func (o *owner) Fail(err error) {
	o.note("fail: %v", err)
	o.l.Cancel(&o.op)
	if o.onFail != nil {
		o.onFail()
	}
}

func (o *owner) Complete(op *proactor.Op) {
	o.note("ended")
	o.l.Leave(&o.m)
	if o.onEnded != nil {
		o.onEnded()
	}
}

func (o *owner) Abandon(err error) {
	o.note("abandoned")
	if o.onAbandoned != nil {
		o.onAbandoned()
	}
}

type finisher struct{ *owner }

func (o finisher) Finish() { o.note("finish"); o.finish() }

func TestStopTellsMembersAndReapsOperations(t *testing.T) {
	l, f := setup(t, Options{})
	var log []string
	newOwner(l, "a", &log)
	newOwner(l, "b", &log)
	l.Call(func() { log = append(log, "call"); l.Stop(); l.Stop() })
	if err := start(t, l)(); err != nil {
		t.Fatal(err)
	}
	want := []string{"call", "a fail: the loop has stopped", "b fail: the loop has stopped", "a ended", "b ended"}
	if !reflect.DeepEqual(log, want) {
		t.Fatalf("got  %q\nwant %q", log, want)
	}
	if f.closed != 1 || len(f.ops) != 0 || l.Err() != ErrStopped {
		t.Fatalf("closed %d times, %d ops left, Err %v", f.closed, len(f.ops), l.Err())
	}
	select {
	case <-l.Done():
	default:
		t.Fatal("Done is open after Run")
	}
	if err := l.Run(); err != ErrStopped {
		t.Fatalf("second Run: %v", err)
	}
	if err := l.Iterate(0); err != ErrStopped {
		t.Fatalf("Iterate: %v", err)
	}
	if err := l.Close(); err != nil || f.closed != 1 {
		t.Fatalf("Close after Run: %v, closed %d times", err, f.closed)
	}
}

func TestStopFromEveryPhase(t *testing.T) {
	for phase := Completions; phase <= Flushes; phase++ {
		t.Run(phase.String(), func(t *testing.T) {
			l, f := setup(t, Options{})
			var log []string
			newOwner(l, "a", &log)
			inPhase(l, f, phase, l.Stop)
			if err := start(t, l)(); err != nil || len(log) != 2 {
				t.Fatalf("Run: %v, log %q", err, log)
			}
		})
	}
}

// inPhase makes fn run in a phase of the next turn.
func inPhase(l *Loop, f *fake, p Phase, fn func()) {
	switch p {
	case Completions:
		f.ready = append(f.ready, fn)
	case Timers:
		l.Start(&Timer{Func: fn}, 0)
	case Calls:
		l.Call(fn)
	case Flushes:
		l.AtTurnEnd(&newFlush(fn).Flush)
	}
}

func TestStopBeforeRun(t *testing.T) {
	l, f := setup(t, Options{})
	ran := false
	l.Call(func() { ran = true })
	l.Stop()
	if err := start(t, l)(); err != nil || !ran || f.closed != 1 {
		t.Fatalf("Run: %v, call ran %v, closed %d times", err, ran, f.closed)
	}
}

func TestIterateStops(t *testing.T) {
	l, f := setup(t, Options{})
	var log []string
	newOwner(l, "a", &log)
	l.Call(l.Stop)
	if err := l.Iterate(0); err != ErrStopped || len(log) != 2 {
		t.Fatalf("Iterate: %v, log %q", err, log)
	}
	if err := l.Iterate(0); err != ErrStopped {
		t.Fatalf("second Iterate: %v", err)
	}
	if f.closed != 0 {
		t.Fatal("Iterate closed the backend")
	}
	if err := l.Close(); err != nil || f.closed != 1 {
		t.Fatalf("Close: %v, closed %d times", err, f.closed)
	}
}

func TestCloseStopsALoopThatIterates(t *testing.T) {
	l, f := setup(t, Options{})
	var log []string
	newOwner(l, "a", &log)
	turn(t, l)
	if err := l.Close(); err != nil || len(log) != 2 || f.closed != 1 {
		t.Fatalf("Close: %v, log %q, closed %d times", err, log, f.closed)
	}
}

func TestCloseOfALoopThatNeverTurned(t *testing.T) {
	l, f := setup(t, Options{})
	if err := l.Close(); err != nil || f.closed != 1 || len(f.waits) != 0 {
		t.Fatalf("Close: %v, closed %d times, %d polls", err, f.closed, len(f.waits))
	}
}

func TestCloseOfARunningLoop(t *testing.T) {
	l, f := setup(t, Options{})
	f.blocking = true
	wait := start(t, l)
	<-f.entered
	if err := l.Close(); err != ErrRunning {
		t.Fatalf("Close: %v, want ErrRunning", err)
	}
	if err := l.Run(); err != ErrRunning {
		t.Fatalf("Run: %v, want ErrRunning", err)
	}
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
}

// Whoever joins while the loop stops is told too, and a callback may use
// futures and flushes until the end.
func TestJoinWhileStopping(t *testing.T) {
	l, _ := setup(t, Options{})
	var log []string
	a := newOwner(l, "a", &log)
	fut := NewFuture[int](l)
	fut.Then(func(v int, err error) { log = append(log, fmt.Sprint("future ", v)) })
	a.onFail = func() {
		newOwner(l, "late", &log)
		if err := l.Call(func() {}); err != ErrStopped {
			t.Errorf("Call while stopping: %v", err)
		}
	}
	a.onEnded = func() { fut.Complete(7, nil) }
	l.Stop()
	if err := start(t, l)(); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(log, "; ")
	for _, want := range []string{"late fail", "late ended", "a ended", "future 7"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in %q", want, all)
		}
	}
}

// A member that leaves in a flush is the last thing that a stop waits for: it
// once polled again after it, for as long as StopTimeout.
func TestStopDoesNotWaitAfterTheLastFlush(t *testing.T) {
	l, f := setup(t, Options{})
	m := &Member{}
	flush := newFlush(func() { l.Leave(m) })
	m.Owner = failFunc(func(error) { l.AtTurnEnd(&flush.Flush) })
	l.Join(m)
	l.Stop()
	if err := start(t, l)(); err != nil || f.clock != 0 {
		t.Fatalf("Run: %v, after %v", err, f.clock)
	}
}

type failFunc func(error)

func (f failFunc) Fail(err error) { f(err) }

func TestStopGivesUpOnWhatNeverEnds(t *testing.T) {
	var tr troubles
	l, f := setup(t, Options{Report: tr.report, StopTimeout: 3 * time.Second})
	f.stuck = true
	var log []string
	newOwner(l, "a", &log)
	l.Stop()
	if err := start(t, l)(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a fail: the loop has stopped", "a abandoned"}; !reflect.DeepEqual(log, want) {
		t.Fatalf("got %q, want %q", log, want)
	}
	if f.clock != 3*time.Second || f.closed != 1 {
		t.Fatalf("gave up after %v, want 3s; closed %d times", f.clock, f.closed)
	}
	if all := tr.list(); len(all) != 1 || all[0].Kind != Abandoned || all[0].Value != 1 {
		t.Fatalf("troubles %v", all)
	}
}

func TestBackendThatFails(t *testing.T) {
	var tr troubles
	l, f := setup(t, Options{Report: tr.report})
	f.pollErr = proactor.ErrLost
	var log []string
	fut := NewFuture[int](l)
	fut.Then(func(int, error) { log = append(log, "future") })
	newOwner(l, "a", &log).onAbandoned = func() { fut.Complete(0, nil) }
	if err := start(t, l)(); err != proactor.ErrLost {
		t.Fatalf("Run: %v", err)
	}
	want := []string{"a fail: " + proactor.ErrLost.Error(), "a abandoned", "future"}
	if !reflect.DeepEqual(log, want) || len(f.waits) != 1 {
		t.Fatalf("got %q, want %q; %d polls", log, want, len(f.waits))
	}
}

func TestShutdownFinishesMembers(t *testing.T) {
	l, f := setup(t, Options{})
	var log []string
	a := newOwner(l, "a", &log)
	a.m.Owner = finisher{a}
	a.finish = func() { l.Start(&Timer{Func: func() { l.Cancel(&a.op) }}, time.Second) }
	var late *owner
	l.Start(&Timer{Func: func() {
		late = newOwner(l, "late", &log)
		late.m.Owner = finisher{late}
		late.finish = func() { l.Cancel(&late.op) }
	}}, 100*time.Millisecond)
	l.Shutdown(time.Minute)
	l.Shutdown(time.Nanosecond) // does nothing
	if err := start(t, l)(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a finish", "late finish", "late ended", "a ended"}; !reflect.DeepEqual(log, want) {
		t.Fatalf("got %q, want %q", log, want)
	}
	if f.clock != time.Second {
		t.Fatalf("took %v, want 1s", f.clock)
	}
}

func TestShutdownEndsAtItsLimit(t *testing.T) {
	l, f := setup(t, Options{})
	var log []string
	newOwner(l, "a", &log) // no Finisher
	if l.Ending() {
		t.Fatal("ending before it was asked to")
	}
	l.Shutdown(5 * time.Second)
	if !l.Ending() {
		t.Fatal("not ending after Shutdown")
	}
	if err := start(t, l)(); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a fail: the loop has stopped", "a ended"}; !reflect.DeepEqual(log, want) || f.clock != 5*time.Second {
		t.Fatalf("got %q after %v, want %q after 5s", log, f.clock, want)
	}
}

// A drain whose last member leaves in a flush ends with it: it once polled
// first, for as long as nothing else happened.
func TestShutdownEndsWithTheLastFlush(t *testing.T) {
	l, f := setup(t, Options{})
	m := &Member{}
	flush := newFlush(func() { l.Leave(m) })
	m.Owner = finishFunc(func() { l.AtTurnEnd(&flush.Flush) })
	l.Join(m)
	l.Shutdown(time.Minute)
	if err := start(t, l)(); err != nil || f.clock != 0 {
		t.Fatalf("Run: %v, after %v", err, f.clock)
	}
}

type finishFunc func()

func (f finishFunc) Finish()    { f() }
func (f finishFunc) Fail(error) {}

func TestStopCutsShutdownShort(t *testing.T) {
	l, f := setup(t, Options{})
	var log []string
	newOwner(l, "a", &log)
	l.Start(&Timer{Func: l.Stop}, time.Second)
	l.Shutdown(time.Minute)
	if err := start(t, l)(); err != nil || f.clock != time.Second || len(log) != 2 {
		t.Fatalf("Run: %v after %v, log %q", err, f.clock, log)
	}
}

func TestPanicsAreContained(t *testing.T) {
	boom := errors.New("boom")
	for phase := Completions; phase <= Flushes; phase++ {
		t.Run(phase.String(), func(t *testing.T) {
			var tr troubles
			l, f := setup(t, Options{Report: tr.report, Name: "one"})
			after := 0
			inPhase(l, f, phase, func() { panickingCallback(boom) })
			inPhase(l, f, phase, func() { after++ })
			turn(t, l)
			if phase != Completions && after != 1 { // the rest of a poll is the backend's affair
				t.Error("the panic took its neighbour along")
			}
			turn(t, l)
			all := tr.list()
			if len(all) != 1 || after != 1 {
				t.Fatalf("troubles %v, neighbour ran %d times", all, after)
			}
			got := all[0]
			if got.Kind != Panicked || got.Phase != phase || got.Value != boom || got.Loop != "one" {
				t.Errorf("reported %+v", got)
			}
			if !strings.Contains(string(got.Stack), "panickingCallback") {
				t.Errorf("the stack does not show the callback:\n%s", got.Stack)
			}
		})
	}
}

//go:noinline
func panickingCallback(v any) { panic(v) }

func TestPanicInFail(t *testing.T) {
	var tr troubles
	l, _ := setup(t, Options{Report: tr.report})
	var log []string
	a := newOwner(l, "a", &log)
	newOwner(l, "b", &log)
	a.onFail = func() { panic("in Fail") }
	l.Stop()
	if err := start(t, l)(); err != nil {
		t.Fatal(err)
	}
	if all := tr.list(); len(all) != 1 || all[0].Phase != Stops || len(log) != 4 {
		t.Fatalf("troubles %v, log %q", all, log)
	}
}

func TestPanicNilIsNoGoexit(t *testing.T) {
	var tr troubles
	l, _ := setup(t, Options{Report: tr.report})
	l.Call(func() { panic(nil) })
	turn(t, l)
	turn(t, l)
	if all := tr.list(); len(all) != 1 || all[0].Kind != Panicked {
		t.Fatalf("troubles %v", all)
	}
}

func TestPanicInReport(t *testing.T) {
	l, _ := setup(t, Options{Report: func(Trouble) { panic("in Report") }})
	l.Call(func() { panic("first") })
	turn(t, l)
	turn(t, l)
}

func TestGoexitInEveryPhase(t *testing.T) {
	for phase := Completions; phase <= Flushes; phase++ {
		t.Run(phase.String(), func(t *testing.T) {
			var tr troubles
			l, f := setup(t, Options{Report: tr.report})
			var log []string
			a := newOwner(l, "a", &log)
			newOwner(l, "b", &log)
			a.onFail = runtime.Goexit  // again, while it stops
			a.onEnded = runtime.Goexit // and again
			called := false
			inPhase(l, f, phase, func() {
				l.Call(func() { called = true })
				runtime.Goexit()
			})
			if err := start(t, l)(); err != ErrGoexit {
				t.Fatalf("Run: %v, want ErrGoexit", err)
			}
			if len(log) != 4 || !called || f.closed != 1 || len(f.ops) != 0 || l.Err() != ErrGoexit {
				t.Fatalf("log %q, call ran %v, closed %d times, %d ops left, Err %v", log, called, f.closed, len(f.ops), l.Err())
			}
			if all := tr.list(); len(all) != 3 || all[0].Kind != Goexited || all[0].Phase != phase {
				t.Fatalf("troubles %v", all)
			}
		})
	}
}

// Calls that were accepted run, also if a Goexit cuts their batch short.
func TestGoexitLosesNoCalls(t *testing.T) {
	var tr troubles
	l, _ := setup(t, Options{Report: tr.report})
	var ran []int
	for i := range 4 {
		l.Call(func() {
			ran = append(ran, i)
			if i%2 == 0 {
				runtime.Goexit()
			}
		})
	}
	if err := start(t, l)(); err != ErrGoexit || !reflect.DeepEqual(ran, []int{0, 1, 2, 3}) {
		t.Fatalf("Run: %v, ran %v", err, ran)
	}
}

func TestGoexitUnderIterate(t *testing.T) {
	var tr troubles
	l, f := setup(t, Options{Report: tr.report})
	var log []string
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		newOwner(l, "a", &log)
		l.Call(runtime.Goexit)
		l.Iterate(0)
		t.Error("Iterate returned from a Goexit")
	}()
	<-gone
	if err := l.Iterate(0); err != ErrGoexit || len(log) != 2 {
		t.Fatalf("Iterate: %v, log %q", err, log)
	}
	if err := l.Close(); err != ErrGoexit || f.closed != 1 {
		t.Fatalf("Close: %v, closed %d times", err, f.closed)
	}
}

package loop

import (
	"fmt"
	"reflect"
	"testing"
	"time"
)

type flushFunc struct {
	Flush
	fn func()
}

func newFlush(fn func()) *flushFunc {
	f := &flushFunc{fn: fn}
	f.Flush.Owner = flushOwner{f}
	return f
}

type flushOwner struct{ f *flushFunc }

func (o flushOwner) Flush() { o.f.fn() }

func TestTurnOrder(t *testing.T) {
	l, f := setup(t, Options{})
	var got []string
	note := func(s string) func() { return func() { got = append(got, s) } }
	l.Call(note("call"))
	l.AtTurnEnd(&newFlush(note("flush")).Flush)
	l.Start(&Timer{Func: note("timer")}, 0)
	f.ready = append(f.ready, note("completion"))
	turn(t, l)
	if want := []string{"flush", "completion", "timer", "call"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("order %v, want %v", got, want)
	}
}

// What a phase adds to itself waits for the next turn; what it adds to a later
// phase does not.
func TestPhasesDoNotFeedThemselves(t *testing.T) {
	l, f := setup(t, Options{})
	var got []string
	turnNo := 0
	note := func(s string) { got = append(got, fmt.Sprintf("%d:%s", turnNo, s)) }
	second := &Timer{Func: func() { note("timer in timer") }}
	flush2 := newFlush(func() { note("flush in flush") })
	first := &Timer{Func: func() {
		note("timer")
		l.Start(second, -time.Second)
		l.Call(func() {
			note("call")
			l.Call(func() { note("call in call") })
			l.AtTurnEnd(&newFlush(func() {
				note("flush")
				l.AtTurnEnd(&flush2.Flush)
			}).Flush)
		})
	}}
	f.ready = append(f.ready, func() { note("completion"); l.Start(first, 0) })
	for turnNo = 1; turnNo <= 4; turnNo++ {
		turn(t, l)
	}
	want := []string{"1:completion", "1:timer", "1:call", "2:flush", "2:timer in timer", "2:call in call", "3:flush in flush"}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	if wait := []time.Duration{-1, 0, -1, -1}; !reflect.DeepEqual(f.waits, wait) {
		t.Fatalf("polls waited for %v, want %v", f.waits, wait)
	}
}

// A flush runs once, before the poll that follows the phases that asked for it.
func TestFlushOncePerTurn(t *testing.T) {
	l, f := setup(t, Options{})
	flushed, polls := 0, 0
	fl := newFlush(func() { flushed++; polls = len(f.waits) })
	ask := func() { l.AtTurnEnd(&fl.Flush) }
	f.ready = append(f.ready, ask, ask)
	l.Start(&Timer{Func: ask}, 0)
	l.Call(ask)
	turn(t, l)
	if flushed != 0 {
		t.Fatal("flushed before the turn's end")
	}
	turn(t, l)
	if flushed != 1 || polls != 1 {
		t.Fatalf("flushed %d times, after %d polls; want once, after 1", flushed, polls)
	}
}

// A timer that a completion starts counts from after the wait, not from before.
func TestNowIsReadAfterTheWait(t *testing.T) {
	l, f := setup(t, Options{})
	l.Start(&Timer{Func: func() {}}, time.Hour)
	var at Timer
	at.Func = func() {}
	f.ready = append(f.ready, func() {
		f.clock += 10 * time.Second // the wait
		l.Start(&at, time.Second)
	})
	l.Now() // a reading from before
	turn(t, l)
	if got, want := at.Deadline(), 11*time.Second; got != want {
		t.Fatalf("deadline %v, want %v", got, want)
	}
}

// Time stands still within a phase and is read anew for the next.
func TestNowPerPhase(t *testing.T) {
	l, f := setup(t, Options{})
	var read []time.Duration
	tick := func() {
		read = append(read, l.Now())
		f.clock += time.Second
		read = append(read, l.Now())
	}
	l.Start(&Timer{Func: tick}, 0)
	l.Call(tick)
	f.ready = append(f.ready, tick)
	turn(t, l)
	s := time.Second
	if want := []time.Duration{0, 0, s, s, 2 * s, 2 * s}; !reflect.DeepEqual(read, want) {
		t.Fatalf("read %v, want %v", read, want)
	}
}

func TestIterateLimit(t *testing.T) {
	l, f := setup(t, Options{})
	for _, limit := range []time.Duration{0, time.Second, -1} {
		if err := l.Iterate(limit); err != nil {
			t.Fatal(err)
		}
	}
	l.Start(&Timer{Func: func() {}}, 5*time.Second)
	for _, limit := range []time.Duration{time.Second, -1} {
		if err := l.Iterate(limit); err != nil {
			t.Fatal(err)
		}
	}
	want := []time.Duration{0, time.Second, -1, time.Second, 4 * time.Second}
	if !reflect.DeepEqual(f.waits, want) {
		t.Fatalf("polls waited for %v, want %v", f.waits, want)
	}
}

func TestIterateInsideTurn(t *testing.T) {
	l, _ := setup(t, Options{})
	var err error
	l.Call(func() { err = l.Iterate(0) })
	turn(t, l)
	if err != ErrRunning {
		t.Fatalf("Iterate inside a turn: %v, want ErrRunning", err)
	}
}

func TestTurnAllocatesNothing(t *testing.T) {
	uncheckedOnly(t)
	l, f := setup(t, Options{})
	var timer Timer
	timer.Func = func() {}
	fl := newFlush(func() {})
	call := func() {}
	ready := []func(){func() { l.AtTurnEnd(&fl.Flush) }}
	one := func() {
		f.waits = f.waits[:0]
		f.ready = ready
		l.Start(&timer, 0)
		l.Call(call)
		if err := l.Iterate(0); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		one()
	}
	if allocs := testing.AllocsPerRun(1000, one); allocs != 0 {
		t.Errorf("%v allocations per turn, want 0", allocs)
	}
}

package loop

import (
	"strings"
	"testing"
	"time"
)

//go:noinline
func slowCallback(enter, leave chan struct{}) { enter <- struct{}{}; <-leave }

func TestWatchdogReportsASlowCallbackOnce(t *testing.T) {
	var tr troubles
	l, f := setup(t, Options{Report: tr.report, Watchdog: time.Second})
	f.blocking = true
	wait := start(t, l)
	<-f.entered
	enter, leave := make(chan struct{}), make(chan struct{})
	slow := func() { slowCallback(enter, leave) }
	l.Call(slow)
	l.Call(slow)
	for i := 1; i <= 2; i++ {
		<-enter
		for range 10 { // ten alarms in one callback
			f.ring()
		}
		if all := tr.list(); len(all) != i {
			t.Fatalf("%d reports after %d slow callbacks", len(all), i)
		}
		leave <- struct{}{}
	}
	got := tr.list()[1]
	if got.Kind != Slow || got.Value != time.Second || !strings.Contains(string(got.Stack), "slowCallback") {
		t.Fatalf("reported %v with stack\n%s", got, got.Stack)
	}
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	f.ring() // after the end: nothing
	if n := len(tr.list()); n != 2 {
		t.Fatalf("%d reports", n)
	}
}

// A callback shorter than the limit, and a loop that waits, are left alone.
func TestWatchdogLeavesOthersAlone(t *testing.T) {
	l, f := setup(t, Options{Watchdog: time.Second})
	f.blocking = true
	wait := start(t, l)
	for range 10 { // asleep: woken by each alarm, it moves on
		<-f.entered
		f.ring()
	}
	<-f.entered
	enter, leave := make(chan struct{}), make(chan struct{})
	for range 5 {
		l.Call(func() { slowCallback(enter, leave) })
		<-enter
		f.ring() // at least half a second
		f.ring() // less than a second and a half, maybe just half
		leave <- struct{}{}
	}
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
}

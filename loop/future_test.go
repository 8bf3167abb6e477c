package loop

import (
	"context"
	"errors"
	"reflect"
	"testing"
)

func TestFutureCallsInOrderNeverInside(t *testing.T) {
	l, _ := setup(t, Options{})
	fut := NewFuture[string](l)
	var got []string
	add := func(name string) func(string, error) {
		return func(v string, err error) { got = append(got, name+v) }
	}
	fut.Then(add("a"))
	fut.Then(add("b"))
	if !fut.Complete("1", nil) || fut.Complete("2", nil) {
		t.Fatal("Complete is not first come, first served")
	}
	fut.Then(add("c"))
	if len(got) != 0 {
		t.Fatalf("called inside Complete: %v", got)
	}
	turn(t, l)
	fut.Then(add("d"))
	if want := []string{"a1", "b1", "c1"}; !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	turn(t, l)
	if len(got) != 4 || got[3] != "d1" {
		t.Fatalf("got %v", got)
	}
}

func TestFuturePanicCostsOneFunction(t *testing.T) {
	var tr troubles
	l, _ := setup(t, Options{Report: tr.report})
	got := 0
	fut := NewFuture[int](l)
	fut.Then(func(int, error) { panic("first") })
	fut.Then(func(int, error) { got++ })
	fut.Complete(0, nil)
	turn(t, l)
	turn(t, l)
	if got != 1 || len(tr.list()) != 1 {
		t.Fatalf("second function ran %d times, troubles %v", got, tr.list())
	}
}

func TestFutureCancel(t *testing.T) {
	l, _ := setup(t, Options{})
	plain, hooked := NewFuture[int](l), NewFuture[int](l)
	stopped := errors.New("stopped")
	calls := 0
	hooked.OnCancel(func() { calls++; hooked.Complete(3, stopped) })
	for range 2 {
		plain.Cancel()
		hooked.Cancel()
	}
	if _, err := plain.Wait(context.Background()); err != ErrCanceled {
		t.Errorf("plain: %v", err)
	}
	if v, err := hooked.Wait(context.Background()); v != 3 || err != stopped || calls != 1 {
		t.Errorf("hooked: %v %v, hook called %d times", v, err, calls)
	}
	if _, err := Completed(l, 5, nil).Wait(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestFutureWait(t *testing.T) {
	l, f := setup(t, Options{})
	f.blocking = true
	first, never, inside := NewFuture[int](l), NewFuture[int](l), make(chan error, 1)
	wait := start(t, l)
	l.Call(func() {
		_, err := first.Wait(context.Background())
		inside <- err
		first.Complete(9, nil)
	})
	if v, err := first.Wait(context.Background()); v != 9 || err != nil {
		t.Fatalf("Wait: %v, %v", v, err)
	}
	if err := <-inside; err != ErrOnLoop {
		t.Fatalf("Wait on the loop: %v, want ErrOnLoop", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := never.Wait(ctx); err != context.Canceled {
		t.Fatalf("Wait with an ended context: %v", err)
	}
	ended := make(chan error, 1)
	go func() { _, err := never.Wait(context.Background()); ended <- err }()
	l.Stop()
	if err := wait(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != ErrStopped {
		t.Fatalf("Wait on a stopped loop: %v, want ErrStopped", err)
	}
}

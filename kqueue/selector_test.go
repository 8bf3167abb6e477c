package kqueue

import (
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"mobius/internal/ready"
	"mobius/proactor"
)

// A script is a System whose events come from the test.
type script struct {
	changes []Event
	events  []Event
	err     error            // of the next Wait
	refuse  map[Filter]error // of changes
	hasUser bool             // pipe wakers are tested on the model
	waits   []time.Duration  //
	closed  int              //
}

func (s *script) HasUser() bool { return s.hasUser }

func (s *script) Close() error { s.closed++; return nil }

func (s *script) Kevent(changes, events []Event, timeout time.Duration) (int, error) {
	for _, c := range changes {
		s.changes = append(s.changes, c)
		if err := s.refuse[c.Filter]; err != nil {
			return 0, err
		}
	}
	if len(events) == 0 {
		return 0, nil
	}
	s.waits = append(s.waits, timeout)
	n := copy(events, s.events)
	s.events = s.events[n:]
	return n, s.err
}

func scripted(t *testing.T) (*selector, *script) {
	t.Helper()
	sys := &script{hasUser: true, refuse: map[Filter]error{}}
	s, err := newSelector(sys)
	if err != nil {
		t.Fatal(err)
	}
	return s, sys
}

func TestAddIsOneCallForBothFilters(t *testing.T) {
	s, sys := scripted(t)
	sys.changes = nil
	if err := s.Add(proactor.MakeHandle(7, 3)); err != nil {
		t.Fatal(err)
	}
	want := []Event{{Ident: 7, Filter: Read, Flags: Add | Clear}, {Ident: 7, Filter: Write, Flags: Add | Clear}}
	if !slices.Equal(sys.changes, want) {
		t.Errorf("changes %+v", sys.changes)
	}
}

func TestAddOfWhatHasOneDirection(t *testing.T) {
	s, sys := scripted(t)
	sys.refuse[Write] = syscall.EINVAL
	if err := s.Add(proactor.MakeHandle(7, 1)); err != nil {
		t.Errorf("read only: %v", err)
	}
	sys.refuse[Read] = syscall.EINVAL
	if err := s.Add(proactor.MakeHandle(8, 1)); !errors.Is(err, ready.ErrUnwatchable) {
		t.Errorf("neither: %v", err)
	}
	sys.refuse[Read] = syscall.ENOMEM
	if err := s.Add(proactor.MakeHandle(9, 1)); err != syscall.ENOMEM {
		t.Errorf("no memory: %v", err)
	}
}

func TestEventsBecomeReadiness(t *testing.T) {
	s, sys := scripted(t)
	h := proactor.MakeHandle(7, 5)
	if err := s.Add(h); err != nil {
		t.Fatal(err)
	}
	sys.events = []Event{
		{Filter: User},
		{Ident: 7, Filter: Read, Data: 10},
		{Ident: 7, Filter: Read, Flags: EOF, Data: 10}, // bytes, and the end behind them
		{Ident: 7, Filter: Write},
		{Ident: 7, Filter: Write, Flags: EOF},
		{Ident: 9999, Filter: Read}, // never added
	}
	out := make([]ready.Event, 10)
	n, err := s.Wait(out, time.Second)
	want := []ready.Event{
		{Handle: h, Ready: ready.Readable}, {Handle: h, Ready: ready.Readable | ready.HangUp},
		{Handle: h, Ready: ready.Writable}, {Handle: h, Ready: ready.Writable | ready.HangUp},
	}
	if err != nil || !slices.Equal(out[:n], want) || sys.waits[0] != time.Second {
		t.Errorf("%+v, %v, waited %v", out[:n], err, sys.waits)
	}
	again := proactor.MakeHandle(7, 6) // closed, and given out again
	if err := s.Add(again); err != nil {
		t.Fatal(err)
	}
	sys.events = []Event{{Ident: 7, Filter: Read}}
	if n, _ := s.Wait(out, 0); n != 1 || out[0].Handle != again {
		t.Errorf("%+v", out[:n])
	}
	if err := s.Remove(again); err != nil {
		t.Fatal(err)
	}
	sys.events = []Event{{Ident: 7, Filter: Read}}
	if n, _ := s.Wait(out, 0); n != 0 {
		t.Errorf("%+v after Remove", out[:n])
	}
}

func TestInterruptedWaitIsNoError(t *testing.T) {
	s, sys := scripted(t)
	sys.err = syscall.EINTR
	if n, err := s.Wait(make([]ready.Event, 1), -1); n != 0 || err != nil {
		t.Errorf("EINTR: %d, %v", n, err)
	}
	sys.err = syscall.EBADF
	if _, err := s.Wait(make([]ready.Event, 1), -1); err != syscall.EBADF {
		t.Errorf("EBADF: %v", err)
	}
}

func TestRemoveOfWhatHasOneDirection(t *testing.T) {
	s, sys := scripted(t)
	if err := s.Add(proactor.MakeHandle(3, 1)); err != nil {
		t.Fatal(err)
	}
	sys.refuse[Write] = syscall.ENOENT
	if err := s.Remove(proactor.MakeHandle(3, 1)); err != nil {
		t.Error(err)
	}
	sys.refuse[Read] = syscall.EBADF
	if err := s.Remove(proactor.MakeHandle(3, 1)); err != syscall.EBADF {
		t.Errorf("%v", err)
	}
}

func TestWakeIsAUserEvent(t *testing.T) {
	s, sys := scripted(t)
	sys.changes = nil
	s.Wake()
	if want := []Event{{Filter: User, Notes: Trigger}}; !slices.Equal(sys.changes, want) {
		t.Errorf("changes %+v", sys.changes)
	}
	sys.refuse[User] = syscall.EINVAL
	if _, err := newSelector(sys); err != syscall.EINVAL || sys.closed != 1 {
		t.Errorf("no user event: %v, closed %d times", err, sys.closed)
	}
}

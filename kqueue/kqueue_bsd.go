//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package kqueue

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Open returns a backend over a new kqueue.
func Open(o Options) (proactor.Backend, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Kqueue()
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, err
	}
	return New(&system{fd: fd, user: userFilter[runtime.GOOS]}, o)
}

// userFilter is EVFILT_USER, where there is one, and noteTrigger NOTE_TRIGGER
// (sys/event.h). Package unix has them on some of these systems only.
var userFilter = map[string]int{"darwin": -10, "dragonfly": -9, "freebsd": -11}

const noteTrigger = 0x01000000

// A system is kevent(2).
type system struct {
	fd, user int
	events   []unix.Kevent_t
}

// HasUser implements System.
func (s *system) HasUser() bool { return s.user != 0 }

// Close implements System.
func (s *system) Close() error { return unix.Close(s.fd) }

// Kevent implements System.
func (s *system) Kevent(changes, events []Event, timeout time.Duration) (int, error) {
	var in [2]unix.Kevent_t
	if len(changes) > len(in) {
		return 0, unix.EINVAL
	}
	for i := range changes {
		s.encode(&in[i], &changes[i])
	}
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	if len(events) == 0 {
		_, err := unix.Kevent(s.fd, in[:len(changes)], nil, ts)
		return 0, err
	}
	if cap(s.events) < len(events) {
		s.events = make([]unix.Kevent_t, len(events))
	}
	got := s.events[:len(events)]
	n, err := unix.Kevent(s.fd, in[:len(changes)], got, ts)
	if err != nil {
		return 0, err
	}
	for i := range got[:n] {
		s.decode(&events[i], &got[i])
	}
	return n, nil
}

func (s *system) encode(k *unix.Kevent_t, ev *Event) {
	filter := s.user
	switch ev.Filter {
	case Read:
		filter = unix.EVFILT_READ
	case Write:
		filter = unix.EVFILT_WRITE
	case Proc:
		filter = unix.EVFILT_PROC
	}
	flags := 0
	if ev.Flags&Add != 0 {
		flags |= unix.EV_ADD
	}
	if ev.Flags&Delete != 0 {
		flags |= unix.EV_DELETE
	}
	if ev.Flags&Clear != 0 {
		flags |= unix.EV_CLEAR
	}
	unix.SetKevent(k, int(ev.Ident), filter, flags)
	if ev.Notes&Trigger != 0 {
		k.Fflags = noteTrigger
	}
	if ev.Notes&Exit != 0 {
		k.Fflags |= unix.NOTE_EXIT
	}
}

func (s *system) decode(ev *Event, k *unix.Kevent_t) {
	*ev = Event{Ident: uint64(k.Ident), Data: int64(k.Data), Filter: User}
	switch int(k.Filter) {
	case unix.EVFILT_READ:
		ev.Filter = Read
	case unix.EVFILT_WRITE:
		ev.Filter = Write
	case unix.EVFILT_PROC:
		ev.Filter = Proc
	}
	if k.Flags&unix.EV_EOF != 0 {
		ev.Flags |= EOF
	}
	if k.Flags&unix.EV_ERROR != 0 {
		ev.Flags |= Failed
	}
}

package kqueue

import (
	"syscall"
	"time"

	"mobius/internal/ready"
	"mobius/proactor"
)

// A selector is a ready.Selector over a System.
//
// Generations are not in the kernel's events, since not every system has a
// place for them, but in a table by descriptor. An event gets its generation
// when it is taken from the kernel, which forgets a descriptor's events when
// it is closed; so it cannot get that of a successor.
type selector struct {
	system      System
	waker       waker
	generations []uint32
	children    map[uint64]proactor.Handle // by number of process
	events      []Event
}

// A waker is how Wake gets through to Kevent.
type waker interface {
	wake()

	// is reports whether ev is a wake-up, and makes room for the next.
	is(ev *Event) bool

	close() error
}

func newSelector(system System) (*selector, error) {
	s := &selector{system: system}
	var err error
	if system.HasUser() {
		s.waker, err = newUserWaker(system)
	} else {
		s.waker, err = newPipeWaker(system)
	}
	if err != nil {
		system.Close()
		return nil, err
	}
	return s, nil
}

// Name implements ready.Selector.
func (s *selector) Name() string { return "kqueue" }

// Affinity implements ready.Selector: kevent(2) waits on its thread.
func (s *selector) Affinity() proactor.Affinity { return proactor.OneThread }

// Add implements ready.Selector. A descriptor that has one direction only, as
// an end of a pipe, is watched in that one.
func (s *selector) Add(h proactor.Handle) error {
	fd := h.Index()
	for uint64(fd) >= uint64(len(s.generations)) {
		s.generations = append(s.generations, 0)
	}
	s.generations[fd] = h.Generation()
	both := [2]Event{
		{Ident: uint64(fd), Filter: Read, Flags: Add | Clear},
		{Ident: uint64(fd), Filter: Write, Flags: Add | Clear},
	}
	if _, err := s.system.Kevent(both[:], nil, 0); err == nil {
		return nil
	}
	_, rerr := s.system.Kevent(both[:1], nil, 0)
	_, werr := s.system.Kevent(both[1:], nil, 0)
	switch {
	case rerr == nil || werr == nil:
		return nil
	case rerr == syscall.ENODEV || rerr == syscall.EINVAL || rerr == syscall.EPERM:
		return ready.ErrUnwatchable
	}
	return rerr
}

// AddChild implements ready.Selector. The event comes once, and the kernel
// forgets it then, as it forgets the process.
func (s *selector) AddChild(h proactor.Handle, process int) error {
	if s.children == nil {
		s.children = make(map[uint64]proactor.Handle)
	}
	change := [1]Event{{Ident: uint64(process), Filter: Proc, Flags: Add | Clear, Notes: Exit}}
	if _, err := s.system.Kevent(change[:], nil, 0); err != nil {
		return err
	}
	s.children[uint64(process)] = h
	return nil
}

// removeChild ends watching h, if it is a child.
func (s *selector) removeChild(h proactor.Handle) bool {
	for process, child := range s.children {
		if child == h {
			delete(s.children, process)
			change := [1]Event{{Ident: process, Filter: Proc, Flags: Delete, Notes: Exit}}
			_, _ = s.system.Kevent(change[:], nil, 0) // ESRCH, ENOENT: it has ended
			return true
		}
	}
	return false
}

// Remove implements ready.Selector.
func (s *selector) Remove(h proactor.Handle) error {
	if s.removeChild(h) || uint64(h.Index()) >= uint64(len(s.generations)) {
		return nil
	}
	s.generations[h.Index()] = 0
	var err error
	for _, filter := range [...]Filter{Read, Write} {
		change := [1]Event{{Ident: uint64(h.Index()), Filter: filter, Flags: Delete}}
		_, e := s.system.Kevent(change[:], nil, 0)
		if e != nil && e != syscall.ENOENT { // ENOENT: it has one direction only
			err = e
		}
	}
	return err
}

// Wait implements ready.Selector.
func (s *selector) Wait(out []ready.Event, timeout time.Duration) (int, error) {
	if cap(s.events) < len(out) {
		s.events = make([]Event, len(out))
	}
	events := s.events[:len(out)]
	n, err := s.system.Kevent(nil, events, timeout)
	if err == syscall.EINTR {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	k := 0
	for i := range events[:n] {
		ev := &events[i]
		if ev.Filter == Proc {
			if h, ok := s.children[ev.Ident]; ok {
				delete(s.children, ev.Ident)
				out[k] = ready.Event{Handle: h, Ready: ready.Readable}
				k++
			}
			continue
		}
		if s.waker.is(ev) || ev.Ident >= uint64(len(s.generations)) || s.generations[ev.Ident] == 0 {
			continue
		}
		h := proactor.MakeHandle(uint32(ev.Ident), s.generations[ev.Ident])
		out[k] = ready.Event{Handle: h, Ready: readiness(ev)}
		k++
	}
	return k, nil
}

// readiness translates an event. EOF comes once, though bytes may wait before
// the end: HangUp says so.
func readiness(ev *Event) (r ready.Readiness) {
	switch ev.Filter {
	case Read:
		r = ready.Readable
	case Write:
		r = ready.Writable
	}
	if ev.Flags&(EOF|Failed) != 0 {
		r |= ready.HangUp
	}
	return r
}

// Wake implements ready.Selector.
func (s *selector) Wake() { s.waker.wake() }

// Close implements ready.Selector.
func (s *selector) Close() error {
	err := s.waker.close()
	if cerr := s.system.Close(); err == nil {
		err = cerr
	}
	return err
}

// A userWaker wakes by a User event.
type userWaker struct{ system System }

func newUserWaker(system System) (*userWaker, error) {
	change := [1]Event{{Filter: User, Flags: Add | Clear}}
	_, err := system.Kevent(change[:], nil, 0)
	return &userWaker{system}, err
}

func (w *userWaker) wake() {
	change := [1]Event{{Filter: User, Notes: Trigger}}
	// It can fail only if the queue is not there any more.
	_, _ = w.system.Kevent(change[:], nil, 0)
}

func (w *userWaker) is(ev *Event) bool { return ev.Filter == User }

func (w *userWaker) close() error { return nil }

//go:build linux

package epoll

import (
	"errors"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/ready"
	"mobius/proactor"
)

// OpenParked returns a backend over a new epoll instance that Go's network poller
// watches, as it does every socket of package net (an epoll instance is readable
// when one of its descriptors is ready, epoll(7)). It is called "netpoll".
//
// Its Poll parks the goroutine and keeps no thread; the goroutines that a turn
// has woken run next, on the same thread, when the loop parks. So it is the
// backend for loops that serve goroutines: a wake-up from a loop in
// epoll_pwait(2) or io_uring_enter(2) has to start another thread and give it
// the processor. For a turn that wakes nobody it costs one epoll_pwait(2) more.
//
// A goroutine that is locked to its thread may poll it, but gains nothing by it.
//
// The backend is a proactor.Ringer: a turn that wakes one goroutine only can do so
// without starting another thread.
func OpenParked(o Options) (proactor.Backend, error) {
	s, err := newParked()
	if err != nil {
		return nil, err
	}
	bell, err := newBell(s.conn, o.Spin)
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	b, err := ready.New(s, o)
	if err != nil {
		bell.close()
		return nil, err
	}
	return &backend{Backend: b, bell: bell}, nil
}

// A parked is a selector that waits in the runtime's network poller.
type parked struct {
	selector // without its eventfd
	file     *os.File
	conn     syscall.RawConn
	until    time.Time   // the file's read deadline, unless a Wake has made another; zero: none
	woken    atomic.Bool // there was a Wake
	ran      bool        // the goroutine has not parked in the last Wait

	// Of the Wait under way:
	into []unix.EpollEvent
	n    int
	err  unix.Errno
	try  func(uintptr) bool // s.tryWait, bound once
}

// errUnwatched is for a runtime whose poller does not take an epoll instance.
var errUnwatched = errors.New("epoll: the runtime's network poller does not watch an epoll instance")

func newParked() (*parked, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil { // what os.NewFile knows pollable files by
		_ = unix.Close(fd)
		return nil, err
	}
	s := &parked{selector: selector{fd: fd, wakeFD: -1}, file: os.NewFile(uintptr(fd), "epoll")}
	s.try = s.tryWait
	if s.conn, err = s.file.SyscallConn(); err == nil && s.file.SetReadDeadline(time.Time{}) != nil {
		err = errUnwatched
	}
	if err != nil {
		_ = s.file.Close()
		return nil, err
	}
	return s, nil
}

// Name implements ready.Selector.
func (s *parked) Name() string { return "netpoll" }

// Affinity implements ready.Selector.
func (s *parked) Affinity() proactor.Affinity { return proactor.OneGoroutine }

// Wait implements ready.Selector.
//
// Where there is always something to do it never parks, and the goroutines that
// it has work for would run when the runtime preempts it, after 10 ms. So it
// yields once after each turn that has not parked. That is also cheaper: their
// sockets are still in the processor's cache (docs/decisions/0006-parked-loops.md).
func (s *parked) Wait(out []ready.Event, timeout time.Duration) (int, error) {
	if s.ran {
		runtime.Gosched()
	}
	s.ran = true
	s.into = s.room(len(out))
	if timeout == 0 {
		s.n, s.err = s.wait(s.into, 0)
		return s.translate(out, s.n, s.err)
	}
	if timeout > 0 {
		s.wakeAt(time.Now().Add(timeout))
	}
	s.n, s.err = 0, 0
	err := s.conn.Read(s.try)
	s.woken.Store(false)
	if err != nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
		s.until = time.Time{}
		_ = s.file.SetReadDeadline(s.until) // it fails on closed files only, of which the next read tells
		return 0, nil
	}
	return s.translate(out, s.n, s.err)
}

// wakeAt makes a wait end then at the latest. An earlier deadline stays, which
// is cheaper than to move it each time: that Wait returns early, with nothing.
func (s *parked) wakeAt(t time.Time) {
	if s.until.IsZero() || t.Before(s.until) {
		s.until = t
		_ = s.file.SetReadDeadline(t)
	}
}

// tryWait reports whether Wait is over. The poller calls it before it parks the
// goroutine and whenever it has woken it. An event between the two is an edge that the
// poller has kept, so that it does not park.
func (s *parked) tryWait(uintptr) bool {
	if s.woken.Load() {
		return true
	}
	s.n, s.err = s.wait(s.into, 0)
	if s.n == 0 && s.err == 0 {
		s.ran = false
		return false
	}
	return true
}

// Wake implements ready.Selector. A deadline that is over readies the goroutine
// without a system call. One that is set after the Wait has returned ends the next
// one early.
func (s *parked) Wake() {
	s.woken.Store(true) // before the deadline: the loop sets its own one before it looks here
	_ = s.file.SetReadDeadline(longAgo)
}

// longAgo is a deadline that is over; never written.
var longAgo = time.Unix(1, 0)

// Close implements ready.Selector.
func (s *parked) Close() error { return s.file.Close() }

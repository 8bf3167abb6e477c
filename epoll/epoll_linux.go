//go:build linux

package epoll

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/ready"
	"mobius/proactor"
)

// Options are the limits of a backend; the zero value is as shipped.
type Options = ready.Options

// Open returns a backend over a new epoll instance.
func Open(o Options) (proactor.Backend, error) {
	s, err := newSelector()
	if err != nil {
		return nil, err
	}
	return ready.New(s, o)
}

// A selector is a ready.Selector over one epoll instance.
type selector struct {
	fd, wakeFD int
	events     []unix.EpollEvent // Fd and Pad are the halves of the handle
	coarse     bool              // no epoll_pwait2: timeouts in milliseconds
}

// watched is what a descriptor is added for. EPOLLRDHUP and EPOLLPRI tell when
// a short read proves nothing.
const watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLPRI | unix.EPOLLET

func newSelector() (*selector, error) {
	s := &selector{fd: -1, wakeFD: -1}
	var err error
	if s.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	if s.wakeFD, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err == nil {
		// Edge-triggered, so that it need not be read: each write is an edge.
		ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET}
		err = unix.EpollCtl(s.fd, unix.EPOLL_CTL_ADD, s.wakeFD, &ev)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Name implements ready.Selector.
func (s *selector) Name() string { return "epoll" }

// Affinity implements ready.Selector: epoll_pwait(2) waits on its thread.
func (s *selector) Affinity() proactor.Affinity { return proactor.OneThread }

// Add implements ready.Selector.
func (s *selector) Add(h proactor.Handle) error {
	ev := unix.EpollEvent{Events: watched, Fd: int32(h.Index()), Pad: int32(h.Generation())}
	err := unix.EpollCtl(s.fd, unix.EPOLL_CTL_ADD, int(h.Index()), &ev)
	if err == unix.EPERM {
		return ready.ErrUnwatchable // a regular file or a directory
	}
	return err
}

// AddChild implements ready.Selector: the descriptor is a pidfd, which is
// readable once the process has ended (pidfd_open(2)).
func (s *selector) AddChild(h proactor.Handle, _ int) error { return s.Add(h) }

// Remove implements ready.Selector.
func (s *selector) Remove(h proactor.Handle) error {
	return unix.EpollCtl(s.fd, unix.EPOLL_CTL_DEL, int(h.Index()), nil)
}

// Wait implements ready.Selector.
func (s *selector) Wait(out []ready.Event, timeout time.Duration) (int, error) {
	n, e := s.wait(s.room(len(out)), timeout)
	return s.translate(out, n, e)
}

// room returns where the kernel may put n events.
func (s *selector) room(n int) []unix.EpollEvent {
	if cap(s.events) < n {
		s.events = make([]unix.EpollEvent, n)
	}
	return s.events[:n]
}

// translate makes the result of a Wait of what epoll_wait has put into room.
func (s *selector) translate(out []ready.Event, n int, e unix.Errno) (int, error) {
	if e == unix.EINTR {
		return 0, nil
	}
	if e != 0 {
		return 0, e
	}
	k := 0
	for i := range s.events[:n] {
		ev := &s.events[i]
		if ev.Pad == 0 {
			continue // the eventfd: no handle has generation 0
		}
		out[k] = ready.Event{Handle: proactor.MakeHandle(uint32(ev.Fd), uint32(ev.Pad)), Ready: readiness(ev.Events)}
		k++
	}
	return k, nil
}

// readiness translates the kernel's event bits.
func readiness(events uint32) (r ready.Readiness) {
	if events&unix.EPOLLIN != 0 {
		r |= ready.Readable
	}
	if events&unix.EPOLLOUT != 0 {
		r |= ready.Writable
	}
	if events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		r |= ready.HangUp
	}
	if events&unix.EPOLLPRI != 0 {
		r |= ready.Urgent
	}
	return r
}

// wait makes the system call. One that cannot wait does not tell the
// scheduler.
func (s *selector) wait(events []unix.EpollEvent, timeout time.Duration) (int, unix.Errno) {
	first := uintptr(unsafe.Pointer(&events[0]))
	size := uintptr(len(events))
	if timeout == 0 {
		n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd), first, size, 0, 0, 0)
		return int(n), e
	}
	if timeout > 0 && !s.coarse {
		ts := unix.NsecToTimespec(int64(timeout))
		n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT2, uintptr(s.fd), first, size, uintptr(unsafe.Pointer(&ts)), 0, 0)
		if e != unix.ENOSYS && e != unix.EPERM { // EPERM: a seccomp filter that does not know it
			return int(n), e
		}
		s.coarse = true
	}
	n, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(s.fd), first, size, milliseconds(timeout), 0, 0)
	return int(n), e
}

// milliseconds returns timeout for epoll_wait, rounded up; -1 waits for ever.
func milliseconds(timeout time.Duration) uintptr {
	const most = 1<<31 - 1
	if timeout < 0 {
		return ^uintptr(0)
	}
	ms := timeout / time.Millisecond
	if timeout%time.Millisecond != 0 {
		ms++
	}
	return uintptr(min(ms, most))
}

// Wake implements ready.Selector.
func (s *selector) Wake() {
	one := [8]byte{1: 1} // 256 or 2^48: any number but 0 and 2^64-1 will do
	for {
		// EAGAIN would mean 2^64-2 wake-ups that were never read: the edge is there.
		if _, err := unix.Write(s.wakeFD, one[:]); err != unix.EINTR {
			return
		}
	}
}

// Close implements ready.Selector.
func (s *selector) Close() error {
	var err error
	for _, fd := range []int{s.fd, s.wakeFD} {
		if fd >= 0 {
			if cerr := unix.Close(fd); err == nil {
				err = cerr
			}
		}
	}
	return err
}

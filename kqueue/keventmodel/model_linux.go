//go:build linux

package keventmodel

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"mobius/kqueue"
)

// A Model is a kqueue.System. An epoll instance for each filter plays its
// half of the queue, edge-triggered, which is what EV_CLEAR means; epoll
// forgets a descriptor that is closed as kqueue does.
type Model struct {
	filters [2]int         // epoll instances: read, write
	procs   map[uint64]int // pidfds by process
	exits   int            // an epoll instance of them
	user    int            // an eventfd that is readable while the user event is triggered
	hasUser bool
	scratch []unix.EpollEvent
	turn    int // which filter is asked first: a full list must not hide the other

	mu    sync.Mutex
	added bool // the user event is in the queue
}

var _ kqueue.System = (*Model)(nil)

// New returns a model, with or without the user filter.
func New(hasUser bool) (*Model, error) {
	m := &Model{filters: [2]int{-1, -1}, exits: -1, user: -1, hasUser: hasUser, procs: map[uint64]int{}}
	var err error
	if m.exits, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for i := range m.filters {
		if m.filters[i], err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			m.Close()
			return nil, err
		}
	}
	if m.user, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// HasUser implements kqueue.System.
func (m *Model) HasUser() bool { return m.hasUser }

// Close implements kqueue.System.
func (m *Model) Close() error {
	for _, fd := range m.procs {
		unix.Close(fd)
	}
	for _, fd := range []int{m.filters[0], m.filters[1], m.exits, m.user} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
	return nil
}

// Kevent implements kqueue.System.
func (m *Model) Kevent(changes, events []kqueue.Event, timeout time.Duration) (int, error) {
	n := 0
	for i := range changes {
		err := m.change(&changes[i])
		switch {
		case err == nil:
		case n < len(events):
			events[n] = changes[i]
			events[n].Flags, events[n].Data = kqueue.Failed, int64(err.(unix.Errno))
			n++
		default:
			return 0, err
		}
	}
	if len(events) == 0 || n > 0 {
		return n, nil // errors are reported without waiting
	}
	for deadline := time.Now().Add(timeout); ; {
		if n = m.collect(events); n > 0 || timeout == 0 {
			return n, nil
		}
		if timeout > 0 {
			timeout = max(0, time.Until(deadline))
		}
		if err := m.wait(timeout); err != nil {
			return 0, err
		}
	}
}

// change makes one change.
func (m *Model) change(ev *kqueue.Event) error {
	switch ev.Filter {
	case kqueue.User:
		return m.changeUser(ev)
	case kqueue.Proc:
		return m.changeProc(ev)
	}
	epoll, interest := m.filters[0], uint32(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLET)
	if ev.Filter == kqueue.Write {
		epoll, interest = m.filters[1], unix.EPOLLOUT|unix.EPOLLET
	}
	if ev.Flags&kqueue.Delete != 0 {
		return unix.EpollCtl(epoll, unix.EPOLL_CTL_DEL, int(ev.Ident), nil)
	}
	if err := wrongWay(ev); err != nil {
		return err
	}
	e := unix.EpollEvent{Events: interest, Fd: int32(ev.Ident)}
	err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, int(ev.Ident), &e)
	if err == unix.EEXIST { // adding again changes what is there
		err = unix.EpollCtl(epoll, unix.EPOLL_CTL_MOD, int(ev.Ident), &e)
	}
	return err
}

// wrongWay refuses the filter for which a descriptor is not open, as kqueue
// does for pipes.
func wrongWay(ev *kqueue.Event) error {
	mode, err := unix.FcntlInt(uintptr(ev.Ident), unix.F_GETFL, 0)
	if err != nil {
		return err
	}
	mode &= unix.O_ACCMODE
	if ev.Filter == kqueue.Read && mode == unix.O_WRONLY || ev.Filter == kqueue.Write && mode == unix.O_RDONLY {
		return unix.EINVAL
	}
	return nil
}

func (m *Model) changeUser(ev *kqueue.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case !m.hasUser:
		return unix.EINVAL
	case ev.Flags&kqueue.Add != 0:
		m.added = true
	case !m.added:
		return unix.ENOENT
	}
	if ev.Notes&kqueue.Trigger != 0 {
		_, err := unix.Write(m.user, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		return err
	}
	return nil
}

// collect takes what has happened.
func (m *Model) collect(events []kqueue.Event) int {
	n := 0
	var count [8]byte
	if _, err := unix.Read(m.user, count[:]); err == nil { // EV_CLEAR: not again until it is triggered again
		events[0] = kqueue.Event{Filter: kqueue.User}
		n++
	}
	if len(m.scratch) < len(events) {
		m.scratch = make([]unix.EpollEvent, len(events))
	}
	n += m.collectExits(events[n:])
	m.turn++
	for i := range m.filters {
		which := (i + m.turn) % len(m.filters)
		if n == len(events) {
			break
		}
		k, err := unix.EpollWait(m.filters[which], m.scratch[:len(events)-n], 0)
		if err != nil {
			break
		}
		for j := range m.scratch[:k] {
			events[n] = result(kqueue.Read+kqueue.Filter(which), &m.scratch[j])
			n++
		}
	}
	return n
}

// result is what kevent says of a descriptor.
func result(filter kqueue.Filter, e *unix.EpollEvent) kqueue.Event {
	ev := kqueue.Event{Ident: uint64(e.Fd), Filter: filter}
	end := uint32(unix.EPOLLHUP | unix.EPOLLERR)
	if filter == kqueue.Read {
		end |= unix.EPOLLRDHUP
		if n, err := unix.IoctlGetInt(int(e.Fd), unix.TIOCINQ); err == nil {
			ev.Data = int64(n)
		}
	}
	if e.Events&end != 0 {
		ev.Flags |= kqueue.EOF
	}
	return ev
}

// wait waits until something may have happened.
func (m *Model) wait(timeout time.Duration) error {
	fds := [4]unix.PollFd{
		{Fd: int32(m.filters[0]), Events: unix.POLLIN},
		{Fd: int32(m.filters[1]), Events: unix.POLLIN},
		{Fd: int32(m.user), Events: unix.POLLIN},
		{Fd: int32(m.exits), Events: unix.POLLIN},
	}
	var ts *unix.Timespec
	if timeout >= 0 {
		t := unix.NsecToTimespec(int64(timeout))
		ts = &t
	}
	_, err := unix.Ppoll(fds[:], ts, nil)
	return err
}

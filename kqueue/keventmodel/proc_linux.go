//go:build linux

package keventmodel

import (
	"golang.org/x/sys/unix"

	"mobius/kqueue"
)

// changeProc makes a change of the process filter, which a pidfd plays.
func (m *Model) changeProc(ev *kqueue.Event) error {
	fd, ok := m.procs[ev.Ident]
	switch {
	case ev.Flags&kqueue.Delete != 0 && !ok:
		return unix.ENOENT
	case ev.Flags&kqueue.Delete != 0:
		delete(m.procs, ev.Ident)
		return unix.Close(fd)
	case ev.Notes&kqueue.Exit == 0 || ok:
		return nil
	}
	fd, err := unix.PidfdOpen(int(ev.Ident), 0)
	if err != nil {
		return err // ESRCH
	}
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(ev.Ident)}
	if err = unix.EpollCtl(m.exits, unix.EPOLL_CTL_ADD, fd, &e); err != nil {
		unix.Close(fd)
		return err
	}
	m.procs[ev.Ident] = fd
	return nil
}

// collectExits takes processes that have ended, once each.
func (m *Model) collectExits(events []kqueue.Event) int {
	if len(events) == 0 || len(m.procs) == 0 {
		return 0
	}
	n, err := unix.EpollWait(m.exits, m.scratch[:len(events)], 0)
	if err != nil {
		return 0
	}
	for i := range m.scratch[:n] {
		process := uint64(m.scratch[i].Fd)
		events[i] = kqueue.Event{Ident: process, Filter: kqueue.Proc, Notes: kqueue.Exit, Flags: kqueue.EOF}
		unix.Close(m.procs[process])
		delete(m.procs, process)
	}
	return n
}

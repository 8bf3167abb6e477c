//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// fits returns why a datagram of e cannot go to to, nil if it may.
func fits(e *Entry, to *proactor.Address) error {
	switch {
	case !to.IsValid():
		return unix.EDESTADDRREQ
	case to.Kind() != e.Network:
		return unix.EAFNOSUPPORT
	}
	return nil
}

// Write makes one non-blocking write of up to limit bytes of op, a Send that
// begins at c, with what op.Msg says, and with files in the place of its Files.
// They travel with the first byte, so there must be one.
func (m *Message) Write(e *Entry, op *proactor.Op, c *Cursor, limit int, files []int) (int, error) {
	if c.left == 0 {
		return 0, unix.EINVAL
	}
	p := c.next(op)
	if err := m.Out(e, p[:min(len(p), limit)], nil, op.Msg, files); err != nil {
		return 0, err
	}
	n, errno := m.Send(int(e.Handle().Index()))
	m.Clear()
	if errno != 0 {
		return 0, errno
	}
	return n, nil
}

// Ready asks which of the events hold for fd now (poll(2)), and with Failed
// whether an error or a hang-up is pending: then all of them hold. Files that
// cannot be polled are always ready. p is scratch memory.
func Ready(p *[1]unix.PollFd, fd int, want proactor.Events) (proactor.Events, error) {
	p[0] = unix.PollFd{Fd: int32(fd)}
	if want&proactor.Readable != 0 {
		p[0].Events |= unix.POLLIN
	}
	if want&proactor.Writable != 0 {
		p[0].Events |= unix.POLLOUT
	}
	for {
		if _, err := unix.Poll(p[:], 0); err == nil {
			break
		} else if err != unix.EINTR {
			return 0, err
		}
	}
	var got proactor.Events
	r := p[0].Revents
	if r&unix.POLLNVAL != 0 {
		return 0, unix.EBADF // its owner has closed it
	}
	if r&unix.POLLIN != 0 {
		got |= proactor.Readable
	}
	if r&unix.POLLOUT != 0 {
		got |= proactor.Writable
	}
	if r&(unix.POLLERR|unix.POLLHUP) != 0 {
		got |= want | proactor.Failed
	}
	return got, nil
}

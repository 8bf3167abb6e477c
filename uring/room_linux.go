//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Why sends are told not to wait.
//
// A send that finds no room is put on a poll inside the kernel, and that poll
// cannot mask POLLRDHUP: once the peer has ended its side (a request followed by a
// half-close, say) it is ready for ever. The kernel then tries the send 128
// times in a row and hands it to a worker thread, where it blocks: measured on
// 6.18, one thread for each such peer that does not read. A cancel does not find it
// while it is handed over.
//
// So sends carry MSG_DONTWAIT, and what finds no room polls for it as a
// submission of its own. That poll cannot mask POLLRDHUP either. A one-shot poll
// that reports nothing else shows that this is such a peer; from then on its
// polls are multishot: they complete once for the hang-up, and then only when something
// changes.

// prepareRoom polls until a descriptor takes bytes again.
func (b *Backend) prepareRoom(s *slot, e *SQE, h proactor.Handle) {
	s.poll = true
	fd := int(h.Index())
	if d, _ := b.Lookup(h).User.(*descriptor); d != nil && d.handle == h && d.hungUp {
		e.PrepPollMultishot(fd, unix.POLLOUT, s.user)
		return
	}
	e.PrepPoll(fd, unix.POLLOUT, s.user)
}

// room handles a result of that poll. It reports whether the slot's next step
// is to be taken: a send if there is room, another poll if the one that has
// ended told nothing.
func (b *Backend) room(s *slot, h proactor.Handle, events int32, more bool) bool {
	if events&(unix.POLLOUT|unix.POLLERR|unix.POLLHUP|unix.POLLNVAL) != 0 {
		s.wait = false
	} else if !more {
		descriptorOf(b.Lookup(h)).hungUp = true
	}
	if more && !s.wait {
		b.cancelSlot(s) // the last completion of the poll is awaited, and then there is room
	}
	return !more
}

// roomOrError is room for a Send.
func (b *Backend) roomOrError(s *slot, res int32, more bool) {
	op := s.op
	if res < 0 {
		b.failed(op, syscall.Errno(-res))
	} else if b.room(s, op.Handle, res, more) {
		b.goOn(op)
	}
}

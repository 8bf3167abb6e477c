//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// An OpPoll is a one-shot IORING_OP_POLL_ADD, which looks at the descriptor
// when it is submitted, and so tells a level. It ends by itself: there is
// nothing to take out of the kernel when the owner of an adopted descriptor
// wants that back.
//
// The kernel adds POLLRDHUP to every poll. That is no news for who waits for room,
// and would be told again and again; as with sends, such a peer is polled by a
// multishot, which tells each change once (see room_linux.go).

// prepareReady polls for the events of op.
func (b *Backend) prepareReady(op *proactor.Op, s *slot, e *SQE) {
	var events uint32
	if op.Events&proactor.Readable != 0 {
		events |= unix.POLLIN
	}
	if op.Events&proactor.Writable != 0 {
		events |= unix.POLLOUT
	}
	if fd := int(op.Handle.Index()); s.wait {
		e.PrepPollMultishot(fd, events, s.user)
	} else {
		e.PrepPoll(fd, events, s.user)
	}
}

// becameReady handles a result of that poll.
func (b *Backend) becameReady(s *slot, res int32, more bool) {
	op := s.op
	switch {
	case res >= 0:
		s.ready |= readyFor(op.Events, uint32(res))
	case res == -int32(unix.EPERM) || res == -int32(unix.EOPNOTSUPP): // a file that cannot be polled
		s.ready |= op.Events
	}
	switch {
	case more && s.ready != 0:
		b.cancelSlot(s) // its last completion brings what was seen
	case more:
	case s.ready != 0:
		op.Events = s.ready
		b.complete(op, 0, nil)
	case res < 0:
		b.failed(op, syscall.Errno(-res))
	default:
		s.wait = true
		b.goOn(op)
	}
}

// readyFor says what a poll's result means to who wants some events. A pending error
// or hang-up makes a read or a write return at once.
func readyFor(want proactor.Events, got uint32) (events proactor.Events) {
	const failed = unix.POLLERR | unix.POLLHUP | unix.POLLNVAL
	if want&proactor.Readable != 0 && got&(unix.POLLIN|unix.POLLRDHUP|failed) != 0 {
		events |= proactor.Readable
	}
	if want&proactor.Writable != 0 && got&(unix.POLLOUT|failed) != 0 {
		events |= proactor.Writable
	}
	if got&failed != 0 {
		events |= proactor.Failed
	}
	return events
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// A train that the kernel does not take as one goes apart: as the entry of its
// outbox it sends one datagram after the other, and those that were submitted after it wait
// behind.

// partTrain reports whether errno is answered by sending op, a train, apart.
func (b *Backend) partTrain(op *proactor.Op, s *slot, errno syscall.Errno) bool {
	if !sys.IsTrain(op) || s.letter.apart || !sys.RefusesTrain(errno) {
		return false
	}
	s.letter.apart, s.letter.failed, s.skip = true, 0, 0
	return true
}

// preparePart sends the next datagram of op. Its message can be made, since the
// whole one's could.
func (b *Backend) preparePart(op *proactor.Op, s *slot, e *SQE) {
	b.prompt = true
	_, _ = s.letter.message.OutPart(b.Lookup(op.Handle), op, s.skip)
	b.prepareLetter(s, e, int(op.Handle.Index()))
}

// partSent handles a result of that. One that fails stops no other.
func (b *Backend) partSent(op *proactor.Op, s *slot, res int32) {
	if res == -int32(unix.EINTR) || res == -int32(unix.ECANCELED) {
		b.goOn(op)
		return
	}
	if res < 0 && s.letter.failed == 0 {
		s.letter.failed = syscall.Errno(-res)
	}
	s.skip += min(op.Msg.SegmentSize, len(op.Buf)-s.skip)
	switch {
	case s.skip < len(op.Buf):
		b.goOn(op)
	case s.letter.failed == unix.ENOBUFS:
		b.complete(op, 0, unix.ENOMEM)
	case s.letter.failed != 0:
		b.complete(op, 0, s.letter.failed)
	default:
		b.complete(op, len(op.Buf), nil)
	}
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"
	"time"
	"unsafe"

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
//
// A kernel that is short of memory for sockets (tcp(7), tcp_mem) takes nothing
// although its poll says that there is room, again and again. After the second time in
// a row a rest takes the poll's place, twice as long each time.

// Limits of a rest: the first is 1 ms, the longest 128 ms.
const (
	freeMisses = 1
	mostMisses = freeMisses + 8
)

// prepareRoom waits until a descriptor takes bytes again.
func (b *Backend) prepareRoom(s *slot, e *SQE, h proactor.Handle) {
	s.poll = true
	if s.misses > freeMisses {
		rest := (*timespec)(unsafe.Pointer(&b.cell().vectors))
		*rest = timespec{nsec: int64(time.Millisecond) << (s.misses - freeMisses - 1)}
		e.prepTimeout(rest, s.user)
		return
	}
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
		s.promise()
	} else if !more {
		descriptorOf(b.Lookup(h)).hungUp = true
	}
	if more && !s.wait {
		b.cancelSlot(s) // the last completion of the poll is awaited, and then there is room
	}
	return !more
}

// promise notes that the next send should find room.
func (s *slot) promise() { s.wait, s.told = false, true }

// took notes what a send has found.
func (s *slot) took(n int) {
	switch {
	case n > 0:
		s.misses = 0
	case s.told:
		s.misses = min(s.misses+1, mostMisses)
	}
	s.told = false
}

// refuse has an entry take nothing, for tests.
func (b *Backend) refuse(e *SQE) {
	if b.o.inject != nil && e.Opcode == IORING_OP_SEND && b.o.inject("send", e.Len) != 0 {
		e.Len = 0
	}
}

// refuseVectors is refuse for an entry that sends vectors.
func (b *Backend) refuseVectors(vectors []Vector) {
	if b.o.inject != nil && b.o.inject("send", uint32(len(vectors))) != 0 {
		for i := range vectors {
			vectors[i].Set(nil)
		}
	}
}

// roomOrError is room for a Send.
func (b *Backend) roomOrError(s *slot, res int32, more bool) {
	op := s.op
	if res == -int32(unix.ETIME) {
		s.promise()
		b.goOn(op)
	} else if res < 0 {
		b.failed(op, syscall.Errno(-res))
	} else if b.room(s, op.Handle, res, more) {
		b.goOn(op)
	}
}

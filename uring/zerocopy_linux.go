//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Sends without a copy (Options.ZeroCopy).
//
// IORING_OP_SEND_ZC completes twice: with its result, which may be short or an
// error as any send's, and, if that had IORING_CQE_F_MORE, once more when the kernel has let go of
// the memory, which may be much later. Both have the same user data, and in between the op
// has gone on, or has ended and been submitted again. So the slot stays with the notification
// and the op moves to another one:
//
//	            result, F_MORE                    F_NOTIF
//	sending ──────────────────────▶ noting ──────────────────▶ free
//	              └─ the op's new slot: sending ──▶ its next entry, or its end
//
// A kernel that copies does so after it has done all the work of not copying.
// It says so in the notification, and from then on the stream's sends are plain ones.

// A notice is what the kernel owes of one Send: that it has let go of the
// memory of all of its entries.
type notice struct {
	pin    *proactor.Pin
	handle proactor.Handle // kept open
	pieces [][]byte        // what the kernel may read
	owed   int             // notifications to come
	ended  bool            // the op has completed
	used   bool            // some bytes were not copied
	copied bool            // some were
	next   uint32          // in the list of free ones: the number of the next + 1
}

// notices is the table of them. A stream has no more than its send buffer has
// room for.
type notices struct {
	all  []notice
	free uint32 // number of the first free one + 1
	used int
}

// at returns the notice of a link, a number + 1. It moves when another is taken.
func (t *notices) at(link uint32) *notice { return &t.all[link-1] }

func (t *notices) take() (link uint32) {
	t.used++
	if link = t.free; link != 0 {
		t.free = t.at(link).next
		return link
	}
	t.all = append(t.all, notice{})
	return uint32(len(t.all))
}

func (t *notices) give(link uint32) {
	n := t.at(link)
	clear(n.pieces)
	*n = notice{pieces: n.pieces[:0], next: t.free}
	t.free = link
	t.used--
}

// inPlace reports whether the next entry of op, for which s sends, is one that
// does without a copy.
func (b *Backend) inPlace(op *proactor.Op, s *slot) bool {
	return !s.wait && s.letter == nil && b.large(op, part(op, s.vector)[s.skip:]) && !descriptorOf(b.Lookup(op.Handle)).copies
}

// large reports whether a piece of a Send is worth an entry of its own that
// does without a copy.
func (b *Backend) large(op *proactor.Op, p []byte) bool {
	return b.o.ZeroCopy > 0 && op.Pin != nil && len(p) >= b.o.ZeroCopy
}

// prepareInPlace sends what remains of a piece.
func (b *Backend) prepareInPlace(op *proactor.Op, s *slot, e *SQE, fd int) {
	p := part(op, s.vector)[s.skip:]
	p = p[:min(len(p), maxSend)]
	e.PrepSendZeroCopy(fd, p, sendFlags, s.user)
	if i, ok := b.registered(p); ok {
		e.FromRegistered(i)
	}
}

// sentInPlace handles the result of such an entry; more says that a
// notification follows.
func (b *Backend) sentInPlace(s *slot, res int32, more bool) {
	if more {
		s = b.owe(s, int(res))
	}
	switch syscall.Errno(-res) {
	case unix.EOPNOTSUPP, unix.ENOMEM: // sockets of this kind do not have it; RLIMIT_MEMLOCK
		b.stopZeroCopy(s.op.Handle)
		b.goOn(s.op)
	default:
		b.sent(s, int(res))
	}
}

// owe leaves s to the notification, and returns another slot for its op.
func (b *Backend) owe(s *slot, res int) *slot {
	op := s.op
	if s.link == 0 {
		s.link = b.notices.take()
		n := b.notices.at(s.link)
		n.pin, n.handle = op.Pin, op.Handle
		b.Lookup(op.Handle).Busy++
	}
	n := b.notices.at(s.link)
	n.owed++
	n.pieces = append(n.pieces, part(op, s.vector))
	to := b.slots.take(op, sending)
	user := to.user
	*to = *s
	to.user, to.armed = user, false
	op.B.Slot = to.number()
	s.op, s.role, s.skip = nil, noting, max(res, 0)
	return to
}

// notified: of an entry that took nothing the kernel says that it has copied,
// since it used none of the memory.
func (b *Backend) notified(s *slot, res int32) {
	link, took := s.link, s.skip > 0
	b.slots.give(s)
	n := b.notices.at(link)
	n.owed--
	switch {
	case !took:
	case uint32(res)&IORING_NOTIF_USAGE_ZC_COPIED != 0:
		n.copied = true
		b.stopZeroCopy(n.handle)
	default:
		n.used = true
	}
	if n.ended && n.owed == 0 {
		b.giveBack(link)
		b.moved = true
		b.settle()
	}
}

// stopZeroCopy has a stream's sends copied from now on.
func (b *Backend) stopZeroCopy(h proactor.Handle) {
	if d := descriptorOf(b.Lookup(h)); !d.copies {
		d.copies = true
		b.stats.ZeroCopyOff++
	}
}

// endPin: op, a Send with a Pin, completes. If the kernel may still read its
// memory, the last notification gives that back.
func (b *Backend) endPin(op *proactor.Op) {
	link := uint32(0)
	if op.B.Slot != noSlot {
		link = b.slots.at(op.B.Slot).link
	}
	switch {
	case link == 0:
		b.after.pin, b.after.copied = op.Pin, true
	case b.notices.at(link).owed == 0:
		b.giveBack(link)
	default:
		b.notices.at(link).ended = true
	}
}

// giveBack has settle give the memory of a Send back.
func (b *Backend) giveBack(link uint32) {
	n := b.notices.at(link)
	b.after.pin, b.after.copied = n.pin, n.copied || !n.used
	b.Lookup(n.handle).Busy--
	b.notices.give(link)
}

// releaseAll gives all memory back: nothing is in flight any more.
func (b *Backend) releaseAll() {
	for i := range b.notices.all {
		if b.notices.all[i].ended {
			b.giveBack(uint32(i) + 1)
			b.settle()
		}
	}
}

// Reset implements proactor.Sockets.
func (b *Backend) Reset(h proactor.Handle) error {
	err := b.Sockets.Reset(h)
	if err == nil && b.notices.used > 0 {
		b.disconnectOwing(func(n *notice) bool { return n.handle == h })
	}
	return err
}

// disconnectOwing ends streams of which the kernel keeps memory: nothing but
// their peers, or this, makes it let go (connect(2), AF_UNSPEC).
func (b *Backend) disconnectOwing(which func(*notice) bool) {
	for i := range b.notices.all {
		n := &b.notices.all[i]
		if n.owed == 0 || !which(n) {
			continue
		}
		if fd, err := b.Borrow(n.handle); err == nil {
			nobody := unix.RawSockaddr{Family: unix.AF_UNSPEC}
			_, _, _ = unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&nobody)), unsafe.Sizeof(nobody))
			b.Return(n.handle, fd)
		}
	}
}

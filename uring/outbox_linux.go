//go:build linux && (amd64 || arm64)

package uring

import (
	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// An outbox keeps the datagrams of one UDP socket in order.
//
// A socket's send buffer may be full for one datagram and have room for the next
// one an instant later, and entries know nothing of each other: of two that one
// io_uring_enter(2) submits, the second may be sent although the first was not. So
// the kernel never has two entries of one socket. A turn's only datagram of a socket is an
// entry, and leaves with those of all other sockets. Several leave by sendmmsg(2), which
// stops at the first for which there is no room; that one waits, as an entry, and the others
// wait behind it.
//
// Linked entries (IOSQE_IO_LINK) would keep the order, too. The kernel starts each by
// a task of its own, which costs more than the order is worth; see docs/decisions/0005-datagrams-keep-their-order.md.
type outbox struct {
	handle proactor.Handle
	queue  proactor.Queue // SendTo ops, in order
	state  outboxState
}

// An outboxState is what happens to an outbox.
//
//	       Submit           turn: one op, or no room
//	quiet ────────▶ listed ──────────────────────────▶ away
//	  ▲               │  ▲                             │  │
//	  └───────────────┘  └─────────────────────────────┘  │
//	  ▲    all sent            it ended, others wait       │
//	  └────────────────────────────────────────────────────┘ it ended, nobody waits
type outboxState uint8

const (
	quiet  outboxState = iota
	listed             // in Backend.due
	away               // the kernel has an entry of it, or will: an op with slot.first
)

// What one sendmmsg(2) sends at most, and how many there are in a turn.
const (
	bundleSize     = 64
	bundlesPerTurn = maxReap / bundleSize
)

// enqueue puts a SendTo behind those of its socket.
func (b *Backend) enqueue(op *proactor.Op, e *sys.Entry) {
	d := descriptorOf(e)
	if d.outbox == nil {
		d.outbox = &outbox{handle: op.Handle}
	}
	d.outbox.queue.Push(op)
	if d.outbox.state == quiet {
		b.list(d.outbox)
	}
}

func (b *Backend) list(o *outbox) {
	o.state = listed
	b.due = append(b.due, o)
}

// post sends what the listed outboxes hold.
func (b *Backend) post() {
	left := b.due[:0]
	for _, o := range b.due {
		o.state = quiet
		if b.flush(o) {
			o.state = listed
			left = append(left, o)
		}
	}
	b.due = left
}

// flush sends what o holds, and reports whether there is more than a turn sends.
func (b *Backend) flush(o *outbox) (more bool) {
	if o.queue.Len() == 1 {
		b.arm(b.sendFirst(o))
		return false
	}
	for n := bundlesPerTurn; n > 0 && o.queue.Len() > 0; n-- {
		if !b.sendBundle(o) {
			return false
		}
	}
	return o.queue.Len() > 0
}

// sendFirst takes the first op out of o, to be an entry. No other is sent before
// it has ended.
func (b *Backend) sendFirst(o *outbox) *proactor.Op {
	op := o.queue.Pop()
	b.slots.at(op.B.Slot).first = true
	o.state = away
	return op
}

// sendBundle makes one system call for as many datagrams as fit into it, and
// reports whether it is worth while to go on.
func (b *Backend) sendBundle(o *outbox) bool {
	b.bundle.Clear()
	e := b.Lookup(o.handle)
	for op := o.queue.Front(); op != nil && b.bundle.Len() < bundleSize; op = op.B.Next {
		s := b.slots.at(op.B.Slot)
		if s.letter == nil {
			_ = b.writeLetter(op, e, s, op.Buf) // bytes alone always fit
		}
		b.bundle.Add(&s.letter.message)
	}
	n, errno := b.sendTogether(int(o.handle.Index()), b.bundle.Len())
	for i := range n {
		b.finish(o.queue.Pop(), b.bundle.Bytes(i), nil)
	}
	switch errno {
	case 0, unix.EINTR:
	case unix.EAGAIN:
		op := b.sendFirst(o)
		b.awaitMailbox(op, b.slots.at(op.B.Slot))
		return false
	case unix.ENOBUFS:
		b.finish(o.queue.Pop(), 0, unix.ENOMEM)
	default:
		if op := o.queue.Front(); b.partTrain(op, b.slots.at(op.B.Slot), errno) {
			b.arm(b.sendFirst(o))
			return false
		}
		b.finish(o.queue.Pop(), 0, errno)
	}
	return true
}

// sendTogether sends the first n datagrams of the bundle, or as many as a fake
// kernel takes.
func (b *Backend) sendTogether(fd, n int) (int, unix.Errno) {
	b.stats.Enters++
	if b.ring.fake != nil {
		var errno unix.Errno
		if n, errno = b.ring.fake.together(n); errno != 0 {
			return 0, errno
		}
	}
	return b.bundle.Send(fd, n)
}

// leaveOutbox lets those go that wait behind the entry of s, which has ended.
func (b *Backend) leaveOutbox(e *sys.Entry, s *slot) {
	if !s.first {
		return
	}
	o := descriptorOf(e).outbox
	o.state = quiet
	if o.queue.Len() > 0 {
		b.list(o)
	}
}

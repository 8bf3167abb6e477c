package ready

import (
	"slices"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// In the B.Flags of a SendTo: what became of it, while it waits for its turn to
// be completed. B.Done is the number of bytes, or that of the error. A train that
// goesApart was refused as one; of those B.Done bytes were tried, and B.Slot is the
// number of the first error.
const (
	wasSent uint8 = 2 << iota
	wasRefused
	goesApart
)

// enqueue puts op behind those of its handle. They are tried at the end of the
// flush, together.
func (b *Backend) enqueue(d *desc, op *proactor.Op) {
	if d.kind != sys.Datagram {
		b.finish(op, 0, unix.ENOTSOCK)
		return
	}
	d.more().sends.Push(op)
	b.list(d)
}

// list has the SendTo ops of d tried at the end of this flush, or of the next.
func (b *Backend) list(d *desc) {
	if !d.extra.listed {
		d.extra.listed = true
		b.senders = append(b.senders, d.handle)
	}
}

// listLater has them tried after laterDelay: the kernel has no event for them.
func (b *Backend) listLater(d *desc) {
	if !d.extra.listed {
		d.extra.listed = true
		b.delay()
		b.lateSenders = append(b.lateSenders, d.handle)
	}
}

// sendAll tries the SendTo ops of all handles that are listed. What is added
// meanwhile waits for the next flush.
func (b *Backend) sendAll() {
	for n := len(b.senders); n > 0 && !b.closed; n-- {
		h := b.senders[0]
		b.senders = append(b.senders[:0], b.senders[1:]...)
		if d := b.desc(h); d != nil {
			d.extra.listed = false
			b.sendQueued(d)
		}
	}
}

// sendQueued sends what is queued on d, until the kernel takes no more.
func (b *Backend) sendQueued(d *desc) {
	b.sender = d.handle // a panic of a Complete must not lose the rest
	h, waits := d.handle, false
	for range batchesPerTurn {
		if b.settle(d); b.closed || d.handle != h || d.extra.sends.Len() == 0 {
			b.sender = 0
			return
		}
		if d.domain == unix.AF_UNIX {
			waits = b.sendEach(d)
		} else if !b.sendBatch(d) {
			waits = true
		}
		if waits {
			break
		}
	}
	b.settle(d)
	b.sender = 0
	if !b.closed && !waits && d.handle == h && d.extra.sends.Len() > 0 {
		b.list(d)
	}
}

// settle completes what was sent, or refused: at the front, and with unix
// sockets, where some wait for their own destination, further back.
func (b *Backend) settle(d *desc) {
	h := d.handle
	for !b.closed && d.handle == h {
		op := d.extra.sends.Front()
		for op != nil && op.B.Flags&(wasSent|wasRefused) == 0 && d.domain == unix.AF_UNIX {
			op = op.B.Next
		}
		if op == nil || op.B.Flags&(wasSent|wasRefused) == 0 {
			return
		}
		d.extra.sends.Remove(op)
		if op.B.Flags&wasRefused != 0 {
			b.finish(op, 0, unix.Errno(op.B.Done))
		} else {
			b.finish(op, op.B.Done, nil)
		}
	}
}

// refuse notes that op has failed.
func refuse(op *proactor.Op, e unix.Errno) {
	op.B.Flags |= wasRefused
	op.B.Done = int(e)
}

// compose fills message m with op's datagram, or refuses op.
func (b *Backend) compose(m *sys.Message, d *desc, op *proactor.Op) bool {
	files, err := b.parcel(op)
	if err == nil {
		err = m.Out(b.Lookup(d.handle), op.Buf, op.Addr, op.Msg, files)
	}
	if err != nil {
		refuseOrPart(op, err)
	}
	return err == nil
}

// refuseOrPart notes that op has failed, or, if it is a train and that may be why,
// that it is to go apart.
func refuseOrPart(op *proactor.Op, err error) {
	if sys.IsTrain(op) && sys.RefusesTrain(err) {
		op.B.Flags |= goesApart
		op.B.Done, op.B.Slot = 0, 0
		return
	}
	refuse(op, number(err))
}

// sendApart sends what is left of a train, datagram by datagram, and returns false
// if the rest waits for an event, or for some time. One that fails stops no other.
func (b *Backend) sendApart(d *desc, op *proactor.Op) bool {
	for op.B.Done < len(op.Buf) {
		n, err := b.message.OutPart(b.Lookup(d.handle), op, op.B.Done)
		e := unix.Errno(0)
		if err == nil {
			_, e = b.message.Send(int(d.handle.Index()))
			b.message.Clear()
		} else {
			e = number(err)
		}
		switch e {
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			d.bits &^= mayWrite
			return b.maySend(d, op)
		case unix.ENOBUFS:
			b.listLater(d)
			return false
		}
		if e != 0 && op.B.Slot == 0 {
			op.B.Slot = uint32(e)
		}
		op.B.Done += n
	}
	if op.B.Slot != 0 {
		refuse(op, unix.Errno(op.B.Slot))
	} else {
		op.B.Flags |= wasSent
	}
	return true
}

// sendBatch makes one system call for as many as fit into it. It returns
// false if the rest waits for an event, or for some time.
func (b *Backend) sendBatch(d *desc) bool {
	first := d.extra.sends.Front()
	if !b.maySend(d, first) {
		return false
	}
	if first.B.Flags&goesApart != 0 {
		return b.sendApart(d, first)
	}
	if b.out.Len() == 0 {
		b.out.Init(batchSize)
	}
	n := 0
	for op := first; op != nil && n < b.out.Len() && op.B.Flags&(wasRefused|goesApart) == 0; op = op.B.Next {
		if !b.compose(b.out.At(n), d, op) {
			break
		}
		n++
	}
	if n == 0 {
		return true // the first one was refused, or goes apart
	}
	sent, e := b.out.Send(int(d.handle.Index()), n)
	op := first
	for i := range n {
		b.out.At(i).Clear()
		if i < sent {
			op.B.Flags |= wasSent
			op.B.Done = b.out.Bytes(i)
			op = op.B.Next
		}
	}
	switch e {
	case 0, unix.EINTR:
	case unix.EAGAIN:
		d.bits &^= mayWrite
		return b.maySend(d, first)
	case unix.ENOBUFS: // on BSDs the interface's queue is full, of which no event tells
		b.listLater(d)
		return false
	default:
		refuseOrPart(first, e)
	}
	return true
}

// maySend reports whether it is worth while to go on. If not, d is watched.
func (b *Backend) maySend(d *desc, first *proactor.Op) bool {
	if d.bits&mayWrite != 0 {
		return true
	}
	if err := b.watch(d); err != nil {
		refuse(first, number(err))
		return true
	}
	return d.bits&mayWrite != 0
}

// sendEach sends the datagrams of a unix socket one by one: one whose receiver
// takes no more must not stop those to others. It reports whether any has to
// wait, of which no event tells, since the socket itself has room.
func (b *Backend) sendEach(d *desc) (waits bool) {
	b.full = b.full[:0]
	tries := batchSize * batchesPerTurn
	for op := d.extra.sends.Front(); op != nil && tries > 0; op = op.B.Next {
		var to proactor.Address
		if op.Addr != nil {
			to = *op.Addr
		}
		if op.B.Flags&(wasSent|wasRefused) != 0 || slices.Contains(b.full, to) || !b.compose(&b.message, d, op) {
			continue
		}
		tries--
		n, e := b.message.Send(int(d.handle.Index()))
		b.message.Clear()
		switch e {
		case 0:
			op.B.Flags |= wasSent
			op.B.Done = n
		case unix.EAGAIN, unix.ENOBUFS, unix.EINTR:
			b.full = append(b.full, to)
			waits = true
		default:
			refuse(op, e)
		}
	}
	if waits {
		b.listLater(d)
	}
	return waits
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// dispatch handles one completion of the kernel's.
func (b *Backend) dispatch(c CQE) {
	kind := c.UserData >> kindShift
	switch kind {
	case kindCancel:
		if c.Res == -int32(unix.ENOENT) {
			b.cancelMissed(c.UserData)
		}
		return
	case kindWake:
		if !c.More() {
			b.inflight--
			b.wakeup = false
		}
		return
	case kindErrand:
		if c.Res >= 0 {
			_ = unix.Close(int(c.Res))
		}
		return
	}
	s := b.slots.find(c.UserData)
	if s == nil {
		b.stale(c, kind)
		return
	}
	more := c.More()
	if !more {
		s.armed = false
		b.inflight--
	}
	switch s.role {
	case receiving:
		b.received(s, c, more)
	case sending:
		switch {
		case s.poll:
			b.roomOrError(s, c.Res, more)
		case kind == kindZeroCopy:
			b.sentInPlace(s, c.Res, more)
		default:
			b.sent(s, int(c.Res))
		}
	case accepting:
		b.accepted(s, c.Res, more)
	case connecting:
		b.connected(s, c.Res)
	case reading:
		b.readable(s.op, c.Res)
	case writing:
		b.writable(s, c.Res)
	case drawing:
		s.relay.drawn(c, more)
	case pouring:
		s.relay.poured(c, more)
	case polling:
		b.becameReady(s, c.Res, more)
	case collecting:
		b.collected(s, c, more)
	case posting:
		b.posted(s, c.Res, more)
	case unpacking:
		b.unpack(s.op, c.Res)
	case minding:
		b.childEnded(s.op, c.Res)
	case noting:
		b.notified(s, c.Res)
	}
}

// stale drops a completion that belongs to nobody; the buffer that it brings
// goes back.
func (b *Backend) stale(c CQE, kind uint64) {
	b.stats.Stale++
	if kind == kindMail || kind == kindMailControl {
		b.dropMail(c)
		return
	}
	if kind < kindRecv || c.Flags&IORING_CQE_F_BUFFER == 0 || c.Res <= 0 {
		return
	}
	class := uint8(kind - kindRecv)
	if b.pools[class].take(c.Buffer(), int(c.Res), c.Flags) != nil {
		b.release(bufferID(class, c.Buffer()))
	}
}

// complete delivers the last completion of an op that is in no queue.
func (b *Backend) complete(op *proactor.Op, n int, err error) {
	b.stats.Completed++
	b.bytes += uint64(n)
	b.ops--
	if op.Kind == proactor.OpRelay {
		b.completeRelay(op)
	}
	if op.Kind == proactor.OpSend && op.Pin != nil {
		b.endPin(op)
	}
	if i := op.B.Slot; i != noSlot {
		e, s := b.Lookup(op.Handle), b.slots.at(i)
		e.Busy--
		if invariant.Enabled {
			vacate(e, s.role)
		}
		b.dropLetter(s)
		b.leaveLane(s)
		b.leaveOutbox(e, s)
		b.leavePlace(s)
		b.slots.give(s)
	}
	op.Deliver(n, err, false)
	b.settle()
}

// settle does what remains after a Complete.
func (b *Backend) settle() {
	if b.after.lent != nil {
		b.takeBack()
	}
	if op := b.after.op; op != nil {
		b.after.op = nil
		b.goOn(op)
	}
	if p := b.after.pin; p != nil {
		b.after.pin = nil
		if b.after.copied {
			b.stats.Copied++
		} else {
			b.stats.ZeroCopied++
		}
		p.Owner.Released(p, b.after.copied)
	}
}

// goOn arms an op again whose submission has ended though its stream has not,
// or ends it if it was cancelled.
func (b *Backend) goOn(op *proactor.Op) {
	if op.B.State == proactor.Stopping {
		b.complete(op, taken(op), proactor.ErrCanceled)
		return
	}
	if op.Kind.Streams() {
		b.stats.Rearmed++
	}
	b.arm(op)
}

// failed handles a result that is an error and the end of a submission. Some
// are no news: the op goes on.
func (b *Backend) failed(op *proactor.Op, errno syscall.Errno) {
	switch errno {
	case unix.ECANCELED, unix.EINTR, unix.EAGAIN:
		b.goOn(op)
		return
	case unix.ENOBUFS: // receives do not come here: it is the memory that is short
		errno = unix.ENOMEM
	}
	b.complete(op, taken(op), errno)
}

// taken is N beside an error: what the kernel took of a Send. What a Recv has
// lent before was delivered before.
func taken(op *proactor.Op) int {
	if op.Kind.Streams() {
		return 0
	}
	return op.B.Done
}

func (b *Backend) connected(s *slot, res int32) {
	if res < 0 {
		b.failed(s.op, syscall.Errno(-res))
		return
	}
	b.complete(s.op, 0, nil)
}

// sent: a short result means that there is no more room, or an error that the
// next attempt will meet.
func (b *Backend) sent(s *slot, n int) {
	op := s.op
	switch {
	case n == -int(unix.EAGAIN):
		n = 0
	case n < 0:
		b.failed(op, syscall.Errno(-n))
		return
	}
	s.took(n)
	if n > 0 {
		b.dropLetter(s) // it went with the first byte
	}
	b.advance(op, s, n)
	if int(s.vector) == len(op.Bufs) {
		b.complete(op, op.B.Done, nil)
		return
	}
	s.wait = true
	b.goOn(op)
}

// accepted delivers a connection. That the accept has ended is no news unless
// the error says that no other can follow, or not now.
func (b *Backend) accepted(s *slot, res int32, more bool) {
	op := s.op
	if res < 0 {
		if !more {
			b.acceptFailed(op, syscall.Errno(-res))
		}
		return
	}
	if _, ok := s.kept(); ok {
		b.acceptedAt(s)
		return
	}
	if !more && b.choice.multishotAccept && !b.Acceptable(b.Lookup(op.Handle), int(res)) {
		// Kernels 6.2 to 6.7 lose the connection when the completion queue is
		// full, and tell the result of a poll in its place: 195, most often.
		b.stats.Stale++
		b.goOn(op)
		return
	}
	h, peer, ok := b.Accepted(b.Lookup(op.Handle), int(res), nil, op.Addr != nil)
	if !more {
		b.after.op = op
	}
	b.deliverAccepted(op, h, peer, ok)
}

// deliverAccepted delivers a connection, if it is still one.
func (b *Backend) deliverAccepted(op *proactor.Op, h proactor.Handle, peer proactor.Address, ok bool) {
	if ok {
		if op.Addr != nil {
			*op.Addr = peer
		}
		op.New = h
		b.stats.Completed++
		op.Deliver(0, nil, true)
	}
	b.settle()
}

// acceptFailed: errors of the connection that was to be accepted, and of the
// network beneath it, are not the listener's (accept(2), ERRORS).
func (b *Backend) acceptFailed(op *proactor.Op, errno syscall.Errno) {
	if _, ok := b.slots.at(op.B.Slot).kept(); ok && errno == unix.ECONNABORTED {
		b.PeerGone++ // before the kernel could say who it was
	}
	switch errno {
	case unix.ECONNABORTED, unix.EPROTO, unix.ENETDOWN, unix.ENOPROTOOPT, unix.EHOSTDOWN, unix.ENONET, unix.EHOSTUNREACH,
		unix.EOPNOTSUPP, unix.ENETUNREACH, unix.EPERM, unix.ETIMEDOUT:
		b.goOn(op)
	default:
		b.failed(op, errno)
	}
}

// received lends what came.
func (b *Backend) received(s *slot, c CQE, more bool) {
	op := s.op
	if s.poll {
		b.readBulk(s, c.Res)
		return
	}
	if c.Res <= 0 {
		if !more {
			b.receiveEnded(s, op, syscall.Errno(-c.Res))
		}
		return
	}
	class, n := s.class, int(c.Res)
	p := b.pools[class]
	data := p.take(c.Buffer(), n, c.Flags)
	if data == nil || c.Flags&IORING_CQE_F_BUFFER == 0 {
		b.fail(proactor.ErrLost) // a completion that cannot be: one before it is missing
		return
	}
	s.hungry = false
	b.mindTheEnd(s, c)
	if len(b.pools) > 1 {
		b.chooseClass(s, n, more)
	} else if b.weigh(s, n); more && b.bulky(s) {
		b.cancelSlot(s) // an arming looks for a spare buffer
	}
	if invariant.Enabled { // the race detector does not see the pool's memory
		data = append([]byte(nil), data...)
	}
	b.lend(op, data, bufferID(class, c.Buffer()), more)
}

// lend delivers bytes that lie in a buffer. more says whether the kernel will
// bring others by itself.
func (b *Backend) lend(op *proactor.Op, data []byte, buffer uint32, more bool) {
	n := len(data)
	op.B.Done += n
	b.after.lent, b.after.buffer, b.after.held, b.after.recv = data, buffer, false, op
	op.Buf = data
	if op.Limit > 0 && op.B.Done >= op.Limit {
		b.complete(op, n, nil)
		return
	}
	if !more {
		b.after.op = op
	}
	b.stats.Completed++
	b.bytes += uint64(n)
	op.Deliver(n, nil, true)
	b.settle()
}

// receiveEnded handles a receive's last result without bytes.
func (b *Backend) receiveEnded(s *slot, op *proactor.Op, errno syscall.Errno) {
	switch {
	case errno == 0:
		b.complete(op, 0, io.EOF)
	case errno == unix.ENOBUFS && op.B.State == proactor.Stopping:
		b.complete(op, 0, proactor.ErrCanceled)
	case errno == unix.ENOBUFS:
		b.stats.Starved++
		b.pools[s.class].short()
		b.pools[s.class].starve(op, s)
	default:
		b.failed(op, errno)
	}
}

// takeBack ends the loan of the Complete that has returned.
func (b *Backend) takeBack() {
	lent, op := b.after.lent, b.after.recv
	b.after.lent, b.after.recv = nil, nil
	receives := op.Kind == proactor.OpRecv || op.Kind == proactor.OpRecvFrom
	if receives && len(op.Buf) == len(lent) && unsafe.SliceData(op.Buf) == unsafe.SliceData(lent) {
		op.Buf = nil
	}
	if invariant.Enabled && !b.after.held {
		invariant.Scribble(lent)
	}
	invariant.Scribble(b.after.control)
	b.after.control = nil
	b.release(b.after.buffer)
}

// Hold implements proactor.Backend.
func (b *Backend) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	if b.after.lent == nil || b.after.recv != op || b.after.held {
		panic("uring: Hold without bytes lent by the Complete that is running, or twice")
	}
	b.after.held = true
	id := b.after.buffer
	switch {
	case op.Kind == proactor.OpRecvFrom:
		return b.holdMail(id, owner)
	case id == noBuffer:
		b.page = nil // the hold's now
	default:
		b.pools[id>>16].buffers[uint16(id)].users++
	}
	return b.holds.New(b.after.lent, id, owner)
}

// unheld takes back the bytes of a hold that was released.
func (b *Backend) unheld(h *proactor.Hold) {
	if invariant.Enabled {
		invariant.Scribble(h.Bytes)
	}
	b.release(h.Buffer)
}

// release ends one use of a buffer: the last one gives it to the kernel, unless
// that has it still.
func (b *Backend) release(id uint32) {
	if id == noBuffer {
		return
	}
	if id>>16 == mailClass {
		b.mail.release(uint16(id))
		return
	}
	p := b.pools[id>>16]
	f := &p.buffers[uint16(id)]
	f.users--
	switch {
	case !f.spent:
	case f.users == 0:
		if f.pinned {
			b.pinned--
		}
		if f.asked {
			b.asked--
		}
		p.post(uint16(id))
	default:
		b.pin(f)
	}
}

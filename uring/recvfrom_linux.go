//go:build linux && (amd64 || arm64)

package uring

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// collectKind is the kind of a RecvFrom's submissions, which says how its
// buffers are laid out. Without a Msg there is no room for control data: the
// kernel then drops descriptors that come (unix(7)).
func (b *Backend) collectKind(op *proactor.Op) uint64 {
	switch {
	case b.mail.pool == nil || b.slots.at(op.B.Slot).wait:
		return kindOp
	case op.Msg != nil:
		return kindMailControl
	}
	return kindMail
}

// prepareCollect receives datagrams until further notice, or, where the kernel cannot
// do that or there are many at once, waits for one.
func (b *Backend) prepareCollect(op *proactor.Op, s *slot, e *SQE) {
	fd := int(op.Handle.Index())
	if b.mail.pool == nil || s.wait {
		e.PrepPoll(fd, unix.POLLIN, s.user)
		return
	}
	m := &b.cell().message
	*m = Message{NameLen: nameSize, ControlLen: uint64(controlRoom(s.user >> kindShift))}
	e.PrepRecvMessageMultishot(fd, m, mailGroup, unix.MSG_CMSG_CLOEXEC, s.user)
}

// collected handles a result of that. An empty datagram ends the submission,
// and like others that end early it is armed again.
func (b *Backend) collected(s *slot, c CQE, more bool) {
	op, stopping := s.op, s.op.B.State == proactor.Stopping
	switch {
	case c.Res < 0 && more:
	case c.Res == -int32(unix.ENOBUFS) && stopping:
		b.complete(op, 0, proactor.ErrCanceled)
	case c.Res == -int32(unix.ENOBUFS) && b.mail.pool != nil:
		b.stats.Starved++
		b.mail.pool.short()
		b.mail.pool.starve(op, s)
	case c.Res < 0:
		b.failed(op, syscall.Errno(-c.Res))
	case b.mail.pool == nil:
		b.collect(op)
	case c.UserData>>kindShift == kindOp:
		b.gather(op, s)
	default:
		b.datagram(s, c, more)
	}
}

// datagram lends what a multishot has put into a buffer.
func (b *Backend) datagram(s *slot, c CQE, more bool) {
	op := s.op
	var r Received
	data := b.mail.pool.take(c.Buffer(), int(c.Res), c.Flags)
	ok := data != nil && c.Flags&IORING_CQE_F_BUFFER != 0
	if ok {
		r, ok = ParseReceived(data, nameSize, controlRoom(c.UserData>>kindShift))
	}
	if !ok {
		b.fail(proactor.ErrLost) // a completion that cannot be: one before it is missing
		return
	}
	s.hungry = false
	b.mail.count(b, s)
	if op.Addr != nil {
		*op.Addr = b.CameFrom(b.Lookup(op.Handle), r.Name)
	}
	if invariant.Enabled { // the race detector does not see the pool's memory
		r.Payload = append(make([]byte, 0, len(r.Payload)), r.Payload...)
		r.Control = append(make([]byte, 0, len(r.Control)), r.Control...)
	}
	if op.Msg != nil {
		sys.ReadControl(r.Control, int(r.Flags), op.Msg)
	}
	b.lendDatagram(op, r.Payload, r.Control, bufferID(mailClass, c.Buffer()), more)
}

// lendDatagram delivers a datagram that lies in a buffer. more says whether the
// kernel will bring others by itself.
func (b *Backend) lendDatagram(op *proactor.Op, payload, control []byte, buffer uint32, more bool) {
	b.after.lent, b.after.control, b.after.buffer, b.after.held, b.after.recv = payload, control, buffer, false, op
	op.Buf = payload
	if !more {
		b.after.op = op
	}
	b.stats.Completed++
	b.bytes += uint64(len(payload))
	op.Deliver(len(payload), nil, true)
	b.settle()
}

// collect receives one datagram by a system call, where there are no multishots
// for it.
func (b *Backend) collect(op *proactor.Op) {
	size := b.o.DatagramSize
	if size <= 0 {
		size = defaultDatagramSize
	}
	if b.letter == nil || invariant.Enabled {
		b.letter = make([]byte, size)
	}
	b.inbox.In(b.letter, op.Msg != nil)
	n, errno := b.inbox.Receive(int(op.Handle.Index()))
	if errno != 0 {
		b.failed(op, errno)
		return
	}
	control := b.came(op)
	b.lendDatagram(op, b.letter[:n:n], control, noBuffer, false)
}

// came reads what b.inbox tells beside the bytes, and returns its control data.
func (b *Backend) came(op *proactor.Op) (control []byte) {
	b.Came(b.Lookup(op.Handle), &b.inbox, op)
	if op.Msg == nil {
		return nil
	}
	return op.Msg.Control
}

// unpack receives bytes of a unix stream, with what travels beside them.
func (b *Backend) unpack(op *proactor.Op, res int32) {
	if res < 0 {
		b.failed(op, syscall.Errno(-res))
		return
	}
	p := b.pageFor(op)
	b.inbox.In(p, true)
	fd, err := b.Borrow(op.Handle)
	if err != nil {
		b.complete(op, 0, err)
		return
	}
	n, errno := b.inbox.Receive(fd)
	b.Return(op.Handle, fd)
	switch {
	case errno != 0:
		b.failed(op, errno)
	case n == 0:
		b.complete(op, 0, io.EOF)
	default:
		b.after.control = b.came(op)
		b.lend(op, p[:n:n], noBuffer, false)
	}
}

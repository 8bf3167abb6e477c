package ready

import (
	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// accept takes connections until none is waiting, or others have waited long
// enough.
func (b *Backend) accept(d *desc, op *proactor.Op) {
	if !b.await(d, op, mayRead) {
		return
	}
	e := b.Lookup(d.handle)
	for range acceptsPerTurn {
		fd, err := sys.Accept(int(d.handle.Index()), &b.raw)
		switch err {
		case nil:
		case unix.EAGAIN:
			d.drained()
			return
		case unix.EINTR:
			continue
		case unix.ECONNABORTED: // it ended while it was waiting
			b.stats.PeerGone++
			continue
		default:
			b.finish(op, 0, err)
			return
		}
		raw := &b.raw
		if op.Addr == nil {
			raw = nil
		}
		h, peer, ok := b.Accepted(e, fd, raw, false)
		if !ok {
			continue
		}
		op.New = h
		if op.Addr != nil {
			*op.Addr = peer
		}
		if !b.deliver(op, 0) {
			return
		}
	}
	b.again(op)
}

// connect begins a connect, or finds out how it ended.
func (b *Backend) connect(d *desc, op *proactor.Op) {
	if d.bits&connecting != 0 {
		if b.await(d, op, mayWrite) {
			d.bits &^= connecting
			b.finish(op, 0, sys.Error(int(d.handle.Index())))
		}
		return
	}
	if op.Addr == nil {
		b.finish(op, 0, unix.EDESTADDRREQ)
		return
	}
	if err := b.raw.Set(*op.Addr, int(d.domain)); err != nil {
		b.finish(op, 0, err)
		return
	}
	switch err := sys.Connect(int(d.handle.Index()), &b.raw); err {
	case unix.EINPROGRESS, unix.EINTR:
		d.bits |= connecting
		d.bits &^= mayWrite
		b.await(d, op, mayWrite) // watched only now: before, it would count as hung up
	case unix.EAGAIN: // unix: the listener's queue is full, and no event tells of room in it
		b.retryLater(op)
	case nil, unix.EISCONN:
		b.finish(op, 0, nil)
	default:
		b.finish(op, 0, err)
	}
}

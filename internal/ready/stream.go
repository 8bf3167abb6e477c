package ready

import (
	"io"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// recv reads and lends until there is nothing left, or others have waited long
// enough.
func (b *Backend) recv(d *desc, op *proactor.Op) {
	if !b.await(d, op, mayRead) {
		return
	}
	reads := readsPerTurn
	if b.feeding {
		reads = 1
	} else if b.starved.Len() > 0 {
		b.starve(op)
		return
	}
	for range reads {
		var room []byte
		if d.brief {
			room = b.lender.brief()
		}
		brief := room != nil
		if !brief {
			if room = b.lender.room(); room == nil {
				b.starve(op)
				return
			}
		}
		if op.Limit > 0 {
			room = room[:min(len(room), op.Limit-op.B.Done)]
		}
		var n int
		var e unix.Errno
		if op.Msg == nil && d.kind == sys.Stream {
			var got uintptr // looked at where there is no error
			got, e = sys.Recv(int(d.handle.Index()), room)
			n = int(got)
		} else {
			n, e = b.read(d, op, room)
		}
		switch {
		case e == unix.EAGAIN:
			d.drained()
			return
		case e == unix.EINTR:
			continue
		case e != 0:
			b.finish(op, 0, e)
			return
		case n == 0:
			b.finish(op, 0, io.EOF)
			return
		}
		if n < len(room) && d.bits&(hungUp|exhaust) == 0 {
			d.drained()
		}
		d.brief = n <= b.lender.smallest/2
		b.lender.lend(op, room, n, brief)
		if !b.lend(op, n) || d.bits&mayRead == 0 {
			return
		}
	}
	b.again(op)
}

// lend delivers the n bytes that op lends, and reports whether op shall go on now.
func (b *Backend) lend(op *proactor.Op, n int) bool {
	op.B.Done += n
	if op.Limit > 0 && op.B.Done >= op.Limit {
		b.finish(op, n, nil)
		return false
	}
	return b.deliver(op, n)
}

// starve has op wait for a buffer, behind those that came before.
func (b *Backend) starve(op *proactor.Op) {
	b.stats.Starved++
	b.starved.Push(op)
	b.lender.holds.Want(true)
}

// await reports whether d may be ready for op now. If not, d is being watched
// when it returns, or op has failed.
func (b *Backend) await(d *desc, op *proactor.Op, bit bits) bool {
	if d.bits&bit != 0 {
		return true
	}
	err := b.watch(d)
	if e := b.Lookup(d.handle); bit == mayRead && e.NoRead || bit == mayWrite && e.NoWrite {
		err = unix.EBADF // as read(2) and write(2) say; it would be watched for ever
	}
	if err != nil {
		b.finish(op, op.B.Done, err)
		return false
	}
	return d.bits&bit != 0
}

// blocked notes that writing said EAGAIN, and has op wait for the edge.
func (b *Backend) blocked(d *desc, op *proactor.Op) {
	if d.bits&always != 0 {
		b.again(op)
		return
	}
	d.bits &^= mayWrite
	b.await(d, op, mayWrite)
}

// send writes until everything is taken, or no more is for now.
func (b *Backend) send(d *desc, op *proactor.Op) {
	if !b.await(d, op, mayWrite) {
		return
	}
	for range writesPerTurn {
		var n int
		var e unix.Errno
		switch {
		case op.B.Done == 0 && (op.B.Flags&hasParcel != 0 || op.Msg != nil && d.cursor.Left() > 0):
			n, e = b.sendMsg(d, op)
		case d.cursor.Left() == 0:
			b.finish(op, op.B.Done, nil)
			return
		default:
			n, e = b.vectors.Write(int(d.handle.Index()), d.kind, op, &d.cursor, b.o.WriteBudget)
		}
		switch e {
		case 0:
			op.B.Done += n
			d.cursor.Advance(op, n)
		case unix.EINTR:
		case unix.EAGAIN:
			b.blocked(d, op)
			return
		case unix.ENOBUFS: // on BSDs the interface's queue is full, of which no event tells
			b.retryLater(op)
			return
		default:
			b.finish(op, op.B.Done, e)
			return
		}
	}
	b.again(op)
}

// retryLater has op tried again after laterDelay.
func (b *Backend) retryLater(op *proactor.Op) {
	b.delay()
	b.later.Push(op)
}

// delay sets the time for what is tried later.
func (b *Backend) delay() {
	if !b.late() {
		b.laterAt = b.turnTime() + laterDelay
	}
}

// late reports whether anything is to be tried later.
func (b *Backend) late() bool { return b.later.Len() > 0 || len(b.lateSenders) > 0 }

// pin keeps op's handle open until its memory has been given back.
func (b *Backend) pin(op *proactor.Op) {
	op.Pin.B = uint64(op.Handle)
	if d := b.desc(op.Handle); d != nil {
		d.others++
	}
	b.released = append(b.released, op.Pin)
}

// release gives back the memory of zero-copy Sends, which have been copied.
func (b *Backend) release() {
	for len(b.released) > 0 {
		p := b.released[0]
		b.released = append(b.released[:0], b.released[1:]...)
		if d := b.desc(proactor.Handle(p.B)); d != nil {
			d.others--
		}
		b.stats.Copied++
		p.Owner.Released(p, true)
	}
}

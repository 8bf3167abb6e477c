package ready

import (
	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// recvFrom receives and lends datagrams until there is none, or others have
// waited long enough.
func (b *Backend) recvFrom(d *desc, op *proactor.Op) {
	if d.kind != sys.Datagram {
		b.finish(op, 0, unix.ENOTSOCK)
		return
	}
	if err := b.Lookup(op.Handle).CollectWith(op.Msg); err != nil {
		b.finish(op, 0, err)
		return
	}
	if !b.await(d, op, mayRead) {
		return
	}
	if b.thirsty.Len() > 0 && !b.feeding {
		b.thirst(op)
		return
	}
	p := &b.lender.packets
	batches := batchesPerTurn
	if b.feeding {
		batches = 1
	}
	for range batches {
		n := p.ready(batchSize, op.Msg != nil)
		if n == 0 {
			b.thirst(op)
			return
		}
		got, e := p.batch.Receive(int(d.handle.Index()), n)
		if got > 0 {
			p.op, p.at, p.n = op, 0, got
			if !b.handOut() {
				return // its end is on the way, or another Poll goes on with it
			}
		}
		switch {
		case e == unix.EAGAIN:
			d.bits &^= hungUp // an error has been told by now
			d.drained()
			return
		case e == unix.EINTR:
			continue
		case e != 0:
			b.finish(op, 0, e)
			return
		case got < n && d.bits&hungUp == 0:
			// That was EAGAIN, or an error that comes as an event of its own.
			d.drained()
			return
		}
	}
	b.again(op)
}

// handOut delivers the datagrams of the batch, also after a Cancel, and
// reports whether their op shall go on right now.
func (b *Backend) handOut() (goOn bool) {
	p := &b.lender.packets
	op := p.op
	for goOn = true; p.at < p.n && !b.closed; {
		i := p.at
		p.at++
		b.Came(b.Lookup(op.Handle), p.batch.At(i), op)
		b.lender.lendPacket(op, i)
		goOn = b.deliver(op, len(b.lender.lent))
	}
	if b.closed {
		p.drop()
	}
	p.op = nil
	return goOn
}

// thirst has op wait for a buffer, behind those that came before.
func (b *Backend) thirst(op *proactor.Op) {
	b.stats.Starved++
	b.thirsty.Push(op)
	b.lender.holds.Want(true)
}

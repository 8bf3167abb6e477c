//go:build linux && (amd64 || arm64)

package uring

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// Submit implements proactor.Backend.
func (b *Backend) Submit(op *proactor.Op) {
	op.Begin()
	b.stats.Submitted++
	b.ops++
	op.B.Slot = noSlot
	switch op.Kind {
	case proactor.OpWork:
		b.submitWork(op)
		return
	case proactor.OpRelay:
		b.submitRelay(op)
		return
	}
	e := b.Lookup(op.Handle)
	r := roleOf(op, e)
	switch {
	case b.phase == shut || e == nil:
		b.finish(op, 0, proactor.ErrClosed)
		return
	case r == noRole:
		b.finish(op, 0, unfit(op, e))
		return
	case r == collecting:
		if err := e.CollectWith(op.Msg); err != nil {
			b.finish(op, 0, err)
			return
		}
	}
	e.Busy++
	s := b.slots.take(op, r)
	op.B.Slot = s.number()
	if invariant.Enabled {
		occupy(e, op, r)
	}
	switch {
	case r == connecting:
		if err := b.raw.Set(*op.Addr, int(e.Domain)); err != nil {
			b.finish(op, 0, err)
			return
		}
	case op.Kind == proactor.OpSend && !b.submitSend(op, e, s):
		return
	case r == posting && !b.submitSendTo(op, e, s):
		return
	case r == posting && e.Network == proactor.Unixgram:
		if !b.enterLane(op, s) {
			return
		}
	case r == posting:
		b.enqueue(op, e)
		return
	case r == receiving:
		s.class = b.classOf(e)
		s.wanted = s.class
		b.recallBulk(s, e)
	}
	b.arm(op)
}

// finish ends an op that the kernel does not have: it completes in a Poll.
func (b *Backend) finish(op *proactor.Op, n int, err error) {
	op.N, op.Err = n, err
	b.finished.Push(op)
}

// entry returns a submission entry, nil if the kernel takes none now.
func (b *Backend) entry() *SQE {
	if b.ring.Space() == 0 {
		b.publish()
		b.stats.Enters++
	}
	return b.ring.NextSQE()
}

// publish shows the kernel the buffers that have come back.
func (b *Backend) publish() {
	for _, p := range b.pools {
		p.publish()
	}
	if p := b.mail.pool; p != nil {
		p.publish()
	}
}

// arm prepares the submission of what op needs next. If there is no buffer or
// no entry for it, op waits in a queue, from which a Poll takes it.
func (b *Backend) arm(op *proactor.Op) {
	s := b.slots.at(op.B.Slot)
	switch {
	case s.role == drawing:
		s.relay.pump()
		return
	case s.role == receiving && !b.bulky(s) && !b.anyBuffer(op, s):
		b.starve(b.pools[s.class], op, s)
		return
	case s.role == collecting && b.mail.pool != nil && b.mail.pool.avail == 0:
		b.starve(b.mail.pool, op, s)
		return
	}
	if s.role == accepting && b.table.size > 0 && !b.admit(op, s) {
		return
	}
	e := b.entry()
	if e == nil {
		b.waiting.Push(op)
		return
	}
	kind := kindOp
	switch s.role {
	case receiving:
		if !b.bulky(s) {
			kind = kindRecv + uint64(s.class)
		}
	case collecting:
		kind = b.collectKind(op)
	case sending:
		if b.o.ZeroCopy > 0 && b.inPlace(op, s) {
			kind = kindZeroCopy
		}
	}
	b.launch(s, kind)
	b.prepare(op, s, e)
	aim(e)
}

// launch begins a new arming of a slot, whose user data the entry gets.
func (b *Backend) launch(s *slot, kind uint64) {
	s.armed, s.canceling, s.poll, s.tries, s.retries = true, false, false, 0, 0
	s.user = userData(kind, uint32(s.user>>32)+1, s.number())
	b.inflight++
}

// anyBuffer reports whether the kernel has a buffer of the class that s wants,
// which it makes its class.
func (b *Backend) anyBuffer(op *proactor.Op, s *slot) bool {
	if s.class != s.wanted {
		s.class = s.wanted
		descriptorOf(b.Lookup(op.Handle)).class = s.class
	}
	return b.pools[s.class].avail > 0
}

const acceptFlags = unix.SOCK_CLOEXEC | unix.SOCK_NONBLOCK

func (b *Backend) prepare(op *proactor.Op, s *slot, e *SQE) {
	fd := int(op.Handle.Index())
	switch s.role {
	case accepting:
		if s.vector != 0 {
			b.prepareAccept(op, s, e, fd)
		} else if b.choice.multishotAccept {
			e.PrepAcceptMultishot(fd, acceptFlags, s.user)
		} else {
			e.PrepAccept(fd, acceptFlags, s.user)
		}
	case connecting:
		b.prepareConnect(op, s, e, fd)
	case receiving:
		if b.bulky(s) {
			s.poll = true
			e.PrepPoll(fd, unix.POLLIN, s.user)
			return
		}
		group := b.pools[s.class].ring.Group()
		if op.Limit > 0 || !b.choice.multishotRecv {
			e.PrepRecvSelect(fd, group, uint32(min(max(op.Limit-op.B.Done, 0), 1<<30)), s.user)
		} else {
			e.PrepRecvMultishot(fd, group, s.user)
		}
	case sending:
		if s.wait {
			b.prepareRoom(s, e, op.Handle)
			return
		}
		b.prompt = true
		if s.user>>kindShift == kindZeroCopy {
			b.prepareInPlace(op, s, e, fd)
			return
		}
		b.prepareSend(op, s, e, fd)
		b.refuse(e)
	case reading, unpacking, minding:
		e.PrepPoll(fd, unix.POLLIN, s.user)
	case collecting:
		b.prepareCollect(op, s, e)
	case posting:
		b.preparePost(op, s, e)
	case writing:
		e.PrepPoll(fd, unix.POLLOUT, s.user)
	case polling:
		b.prepareReady(op, s, e)
	}
}

// prepareConnect: the address was found good in Submit.
func (b *Backend) prepareConnect(op *proactor.Op, s *slot, e *SQE, fd int) {
	to := (*unix.RawSockaddrAny)(unsafe.Pointer(&b.cell().vectors))
	if entry := b.Lookup(op.Handle); entry != nil {
		_ = b.raw.Set(*op.Addr, int(entry.Domain))
	}
	*to = b.raw.Any
	e.PrepConnect(fd, unsafe.Pointer(to), b.raw.Len, s.user)
}

// cell returns the memory that belongs to the entry last returned.
func (b *Backend) cell() *cell { return &b.scratch[b.ring.lastIndex()] }

// sendFlags: a send that must wait is not left to the kernel, which would wait
// in a poll of its own; see room_linux.go.
const sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

// maxSend is how many bytes one entry sends at most: its length has 32 bits.
const maxSend = 1 << 30

// prepareSend sends what remains of op, or as much of it as one message takes.
func (b *Backend) prepareSend(op *proactor.Op, s *slot, e *SQE, fd int) {
	if s.letter != nil {
		b.prepareLetter(s, e, fd)
		return
	}
	if int(s.vector) == len(op.Bufs)-1 { // one piece is left
		p := part(op, s.vector)[s.skip:]
		e.PrepSend(fd, p[:min(len(p), maxSend)], sendFlags, s.user)
		return
	}
	c := b.cell()
	n, skip := 0, s.skip
	for i := s.vector; int(i) < len(op.Bufs) && n < cellVectors; i++ {
		p := part(op, i)[skip:]
		if n > 0 && b.large(op, p) {
			break
		}
		if len(p) > 0 {
			c.vectors[n].Set(p)
			n++
		}
		skip = 0
	}
	b.prepareVectors(e, c, n, fd, s.user)
}

// prepareVectors sends the first n vectors of the entry's cell.
func (b *Backend) prepareVectors(e *SQE, c *cell, n, fd int, user uint64) {
	b.refuseVectors(c.vectors[:n])
	if b.choice.sendVectorized {
		e.PrepSendVectors(fd, c.vectors[:n], sendFlags, user)
		return
	}
	c.message = Message{}
	c.message.SetVectors(c.vectors[:n])
	e.PrepSendMessage(fd, &c.message, sendFlags, user)
}

// part returns Buf for -1, else one of Bufs.
func part(op *proactor.Op, i int32) []byte {
	if i < 0 {
		return op.Buf
	}
	return op.Bufs[i]
}

// advance accounts for n bytes sent, and steps over what is empty.
func (b *Backend) advance(op *proactor.Op, s *slot, n int) {
	op.B.Done += n
	s.skip += n
	for int(s.vector) < len(op.Bufs) && s.skip >= len(part(op, s.vector)) {
		s.skip -= len(part(op, s.vector))
		s.vector++
	}
}

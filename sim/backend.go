package sim

import (
	"sync/atomic"
	"syscall"
	"time"

	"mobius/proactor"
)

// A Backend performs operations on a [Net]. It implements [proactor.Backend];
// what is said there is not repeated here.
type Backend struct {
	net   *Net
	index int
	owner owner
	woken atomic.Bool

	// Guarded by net.mu.
	closed     bool
	places     []*place // by the index of a handle
	freePlaces []uint32
	slots      []slot // the ops that are not idle
	freeSlots  []uint32
	ready      proactor.Queue // ops to look at, in the order in which they became ready
	starved    proactor.Queue // ops that found no buffer
	lender
	pins  []pin
	drop  []uint32 // pins to give back in this Poll
	stats proactor.Stats

	seen    uint64 // what had happened by the latest Poll that found nothing
	empty   int    // Polls in a row that found nothing and did not wait
	waiting bool   // the last Poll found nothing, and waits until then
	until   int64
	yielded []uint64 // by another backend's index: its Enters when this one last returned early for it
	inside  bool     // a Poll is under way
	early   bool     // the last Poll was an EarlyReturn
}

var _ proactor.Backend = (*Backend)(nil)

// Flags of an op, in op.B.Flags.
const (
	finished   uint8 = 1 << iota // its slot holds the result, and the op is ready
	canceled                     // finished by a Cancel, which a Resume may take back
	unarmed                      // the kernel has dropped it; an evArm is on the agenda
	promised                     // a buffer is kept for it
	taken                        // a Send whose last byte was taken: nothing changes its result
	delivering                   // its Complete is running, with More; it is looked at afterwards
)

// A slot is the place of one op that is not idle.
type slot struct {
	op     *proactor.Op
	sock   *socket // what it works on; nil for a Work
	dst    *socket // a Relay's
	files  []int   // a Send's, duplicated
	sum    uint64  // of a pinned Send's memory
	n      int     // the result to come; not in op, which the owner may be reading
	err    error
	serial uint32 // counts the ops that had the slot
}

func newBackend(n *Net, index int) *Backend {
	b := &Backend{net: n, index: index}
	b.lender.init(b)
	return b
}

// Net returns the network that b is on.
func (b *Backend) Net() *Net { return b.net }

// Name returns "sim".
func (b *Backend) Name() string { return "sim" }

// Affinity implements proactor.Backend: loops run as on uring, epoll and kqueue.
// Poll itself is content with the goroutine, locked or not.
func (b *Backend) Affinity() proactor.Affinity { return proactor.OneThread }

// Now returns the virtual time since the network began.
func (b *Backend) Now() time.Duration { return b.net.Now() }

// Alarm does nothing: real time means nothing here.
func (b *Backend) Alarm(time.Duration, func()) (stop func()) { return func() {} }

// Stats returns counters since the start.
func (b *Backend) Stats() proactor.Stats {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s := b.stats
	s.Ops = len(b.slots) - len(b.freeSlots)
	s.Holds = b.holds.Len()
	s.Lent = b.lentOut()
	s.Pins = b.pinsOut()
	return s
}

// Submit starts op.
func (b *Backend) Submit(op *proactor.Op) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	b.submit(op)
}

func (b *Backend) submit(op *proactor.Op) {
	if b.closed {
		return
	}
	op.Begin()
	op.B.Flags = 0
	b.stats.Submitted++
	var s *socket
	if op.Kind != proactor.OpWork {
		s = b.sock(op.Handle)
	}
	b.takeSlot(op, s)
	b.net.trace(uint64(op.Kind)|1<<40, uint64(op.Handle)^uint64(b.index)<<56)
	if op.Pin != nil {
		b.slots[op.B.Slot].sum = sumBytes(op.Buf, op.Bufs)
	}
	if s == nil && op.Kind != proactor.OpWork {
		if op.Kind == proactor.OpRelay {
			op.Relay.Side, op.Relay.Rest, op.Relay.B = proactor.Source, nil, nil
		}
		b.finish(op, 0, proactor.ErrClosed)
		return
	}
	b.start(op, s)
}

func (b *Backend) takeSlot(op *proactor.Op, s *socket) {
	if last := len(b.freeSlots) - 1; last >= 0 {
		op.B.Slot = b.freeSlots[last]
		b.freeSlots = b.freeSlots[:last]
	} else {
		op.B.Slot = uint32(len(b.slots))
		b.slots = append(b.slots, slot{})
	}
	at := &b.slots[op.B.Slot]
	at.serial++
	at.op, at.sock = op, s
	if s != nil {
		s.active++
	}
}

// retire takes op out of everything, before its last completion.
func (b *Backend) retire(op *proactor.Op) {
	at := &b.slots[op.B.Slot]
	if op.B.Where != nil {
		op.B.Where.Remove(op)
	}
	for _, s := range [...]*socket{at.sock, at.dst} {
		if s == nil {
			continue
		}
		s.active--
		if s.reader == op {
			s.reader = nil
		}
		if s.writer == op {
			s.writer = nil
		}
	}
	b.net.closeFiles(at.files)
	if op.Kind == proactor.OpSendTo && at.sock != nil && at.sock.mail != nil {
		b.nextSendTo(op, at.sock)
	}
	*at = slot{serial: at.serial + 1}
	b.freeSlots = append(b.freeSlots, op.B.Slot)
	if op.B.Flags&promised != 0 {
		b.promises--
		b.serve()
	}
	op.B.Flags = 0
}

// event returns an event for op.
func (b *Backend) event(kind eventKind, op *proactor.Op) event {
	return event{kind: kind, b: b, slot: op.B.Slot, serial: b.slots[op.B.Slot].serial}
}

// runOp runs an event of an op, if that still exists.
func (b *Backend) runOp(e *event) {
	at := &b.slots[e.slot]
	if at.serial != e.serial || b.closed {
		return
	}
	op := at.op
	switch e.kind {
	case evFinish:
		b.finish(op, at.n, at.err)
	case evCancel:
		if op.B.State == proactor.Stopping {
			b.finishCanceled(op)
		}
	case evArm:
		op.B.Flags &^= unarmed
		b.look(op)
	case evReady: // it has been delayed once: at a rate of 1 that would be for ever
		if op.B.Flags&unarmed == 0 {
			b.push(op)
		}
	case evConnect:
		b.requestLink(op, at.sock)
	}
}

// finish ends op with a result, which the next Poll delivers.
func (b *Backend) finish(op *proactor.Op, n int, err error) {
	if op.B.Flags&finished != 0 {
		return
	}
	at := &b.slots[op.B.Slot]
	if op.Kind == proactor.OpConnect {
		err = at.sock.settle(err)
	}
	at.n, at.err = n, err
	op.B.Flags |= finished
	if op.B.Where != nil && op.B.Where != &b.ready {
		op.B.Where.Remove(op)
	}
	b.push(op)
}

// finishLater does it at time t, if nothing else ends op before.
func (b *Backend) finishLater(op *proactor.Op, n int, err error, t int64) {
	at := &b.slots[op.B.Slot]
	at.n, at.err = n, err
	b.net.at(t, b.event(evFinish, op))
}

func (b *Backend) finishCanceled(op *proactor.Op) {
	if op.B.Flags&finished != 0 {
		return
	}
	n := 0
	if op.Kind == proactor.OpSend {
		n = op.B.Done
	}
	if op.B.Flags&taken != 0 {
		b.finish(op, n, nil)
		return
	}
	op.B.Flags &^= unarmed
	b.finish(op, n, proactor.ErrCanceled)
	op.B.Flags |= canceled
}

// push puts op among those that the next Poll looks at.
func (b *Backend) push(op *proactor.Op) {
	if op.B.Where == nil && op.B.Flags&delivering == 0 {
		b.ready.Push(op)
		b.waiting = false
		b.net.changed()
	}
}

// look has op looked at: something may have come for it.
func (b *Backend) look(op *proactor.Op) {
	if op.B.Flags&(unarmed|delivering) != 0 || op.B.Where != nil {
		return
	}
	if b.net.chance(Delay) {
		b.lookAt(op, b.net.now+b.net.rng.Int64N(longDelay))
		return
	}
	b.push(op)
}

// lookAt does it at time t.
func (b *Backend) lookAt(op *proactor.Op, t int64) { b.net.at(t, b.event(evReady, op)) }

// Cancel asks op to end.
func (b *Backend) Cancel(op *proactor.Op) {
	n := b.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if op.B.State != proactor.Active || b.closed {
		return
	}
	op.B.State = proactor.Stopping
	if n.chance(Straggle) {
		n.at(n.now+n.rng.Int64N(longDelay), b.event(evCancel, op))
		return
	}
	b.finishCanceled(op)
}

// Resume takes back a Cancel of a multishot, or submits op.
func (b *Backend) Resume(op *proactor.Op) {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	switch {
	case op.B.State == proactor.Idle:
		b.submit(op)
	case op.B.State == proactor.Stopping && op.Kind.Streams() && !b.closed:
		op.B.State = proactor.Active
		if op.B.Flags&canceled == 0 {
			return
		}
		// The cancel was faster: start again what it has ended.
		if op.B.Where != nil {
			op.B.Where.Remove(op)
		}
		op.B.Flags &^= finished | canceled
		b.stats.Rearmed++
		b.lookAt(op, b.net.soon())
	}
}

// start begins the work of op on s.
func (b *Backend) start(op *proactor.Op, s *socket) {
	n := b.net
	switch op.Kind {
	case proactor.OpAccept:
		s.takeReader(op)
		b.lookAt(op, n.soon())
	case proactor.OpRecv, proactor.OpRecvFrom:
		s.takeReader(op)
		b.lookAt(op, n.soon())
	case proactor.OpSend:
		s.takeWriter(op)
		b.startSend(op, s)
	case proactor.OpConnect:
		s.takeWriter(op)
		b.startConnect(op, s)
	case proactor.OpSendTo:
		b.startSendTo(op, s)
	case proactor.OpRelay:
		b.startRelay(op, s)
	case proactor.OpPoll:
		b.startPoll(op, s)
	case proactor.OpChild:
		b.startChild(op, s)
	case proactor.OpWork:
		b.startWork(op)
	default:
		b.finish(op, 0, proactor.ErrUnsupported)
	}
}

func (s *socket) takeReader(op *proactor.Op) {
	if s.reader != nil {
		panic("sim: a second " + op.Kind.String() + " reads from " + s.String())
	}
	s.reader = op
}

func (s *socket) takeWriter(op *proactor.Op) {
	if s.writer != nil {
		panic("sim: a second " + op.Kind.String() + " writes to " + s.String())
	}
	s.writer = op
}

// startSend begins a Send.
func (b *Backend) startSend(op *proactor.Op, s *socket) {
	at := &b.slots[op.B.Slot]
	if op.Msg != nil && len(op.Msg.Files) > 0 {
		switch {
		case !s.local.IsUnix():
			b.finish(op, 0, syscall.EOPNOTSUPP)
			return
		case op.Remaining() == 0:
			b.finish(op, 0, syscall.EINVAL) // they travel with the first byte
			return
		}
		files, err := b.net.duplicate(op.Msg.Files)
		if err != nil {
			b.finish(op, 0, err)
			return
		}
		at.files = files
	}
	s.sendDue = true
	b.net.at(b.net.soon(), event{kind: evSend, sock: s})
}

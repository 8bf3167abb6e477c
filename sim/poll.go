package sim

import (
	"time"

	"mobius/proactor"
)

// Poll makes progress: it delivers what is ready, or moves the clock on.
// Its error is [proactor.ErrClosed], [proactor.ErrWrongThread] or a [*Deadlock].
func (b *Backend) Poll(timeout time.Duration) error {
	n := b.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if b.closed {
		return proactor.ErrClosed
	}
	if !b.owner.take() {
		return proactor.ErrWrongThread
	}
	if n.o.Limit > 0 && n.now > int64(n.o.Limit) {
		return n.deadlock(true)
	}
	if b.inside {
		panic("sim: Poll inside Poll")
	}
	b.inside, b.waiting = true, false
	early := b.early // not twice in a row: at a rate of 1 the clock would stand still
	b.early = false
	least := b.least()
	hasty := timeout >= 0 && int64(timeout) <= least
	defer func() {
		b.inside = false
		if hasty {
			b.empty++
		} else {
			b.empty = 0
		}
		n.changed()
	}()
	b.stats.Enters++
	deadline := int64(never)
	if timeout >= 0 && int64(timeout) < never-n.now {
		deadline = n.now + max(int64(timeout), least)
	}
	for {
		n.runDue()
		if b.deliverAll() || b.closed {
			return nil
		}
		if b.woken.Swap(false) {
			b.stats.Woken++
			hasty = true
			deadline = min(deadline, n.now+least)
		}
		if b.ready.Len() > 0 {
			continue // what was done has made more ready, though it has completed nothing
		}
		b.waiting, b.until = true, deadline
		n.changed()
		if n.now >= deadline {
			return nil
		}
		if b.early = !early && n.nextEvent() < never && n.chance(EarlyReturn); b.early {
			return nil
		}
		if more, err := n.wait(b); !more {
			return err
		}
	}
}

// least returns the time that this Poll takes at least, if it has nothing to
// deliver: none, unless the ones before it found nothing and did not wait
// either. A program that polls without waiting, or is woken all the time, must
// not stop the clock; so it moves in growing steps as long as nothing happens.
func (b *Backend) least() int64 {
	if now := b.net.events + b.stats.Completed; now != b.seen {
		b.seen, b.empty = now, 0
	}
	if b.empty == 0 {
		return 0
	}
	return stepTime << min(b.empty-1, 10)
}

// Wake makes Poll return early. Any goroutine.
func (b *Backend) Wake() {
	b.woken.Store(true)
	if b.net.o.Foreign {
		b.net.mu.Lock()
		b.net.cond.Broadcast()
		b.net.mu.Unlock()
	}
}

// deliverAll delivers what is ready now, and reports whether that was
// anything. What becomes ready meanwhile waits for the next Poll.
func (b *Backend) deliverAll() bool {
	b.collect()
	before := b.stats.Completed + b.steps
	if b.starved.Len() > 0 && b.count <= b.promises && !b.dry {
		b.evictOne() // those asked before may be slow
	}
	b.collect()
	b.evict()
	count := b.ready.Len()
	if count > 1 && b.net.chance(SmallBatch) {
		count = b.net.upTo(count)
	}
	for ; count > 0 && b.ready.Len() > 0 && !b.closed; count-- {
		b.perform(b.ready.Pop())
		b.collect()
		b.evict()
	}
	b.dropPins()
	return b.stats.Completed+b.steps != before
}

// perform does for a ready op what there is to do: a result, a step, or, if
// somebody else was faster, nothing.
func (b *Backend) perform(op *proactor.Op) {
	s := b.slots[op.B.Slot].sock
	switch {
	case op.B.Flags&finished != 0:
		b.end(op, b.slots[op.B.Slot].n, b.slots[op.B.Slot].err)
	case op.B.Flags&unarmed != 0:
	case op.Kind == proactor.OpRecv:
		b.performRecv(op, s)
	case op.Kind == proactor.OpAccept:
		b.performAccept(op, s)
	case op.Kind == proactor.OpRecvFrom:
		b.performRecvFrom(op, s)
	case op.Kind == proactor.OpRelay:
		b.performRelay(op, s)
	case op.Kind == proactor.OpSendTo:
		b.performSendTo(op, s)
	case op.Kind == proactor.OpPoll:
		b.performPoll(op, s)
	case op.Kind == proactor.OpWork:
		b.performWork(op)
	}
}

// again has a multishot looked at once more after a result, if there is more
// for it, or ends it where the owner does not see it.
func (b *Backend) again(op *proactor.Op, s *socket) {
	if b.closed {
		return
	}
	op.B.Flags &^= delivering
	if op.B.Flags&finished != 0 {
		b.push(op)
		return
	}
	if b.net.chance(EndEarly) {
		op.B.Flags |= unarmed
		if op.B.Where != nil {
			op.B.Where.Remove(op)
		}
		b.stats.Rearmed++
		b.net.at(b.net.now+b.net.rng.Int64N(longDelay), b.event(evArm, op))
		return
	}
	if s.readyToRead() {
		b.push(op)
	}
}

// end delivers the last result of op.
func (b *Backend) end(op *proactor.Op, got int, err error) {
	at := &b.slots[op.B.Slot]
	op.New = 0
	if op.Kind == proactor.OpSend && op.Pin != nil {
		defer b.schedulePin(b.keepPin(op, at.sock, at.sum))
	}
	if op.Kind == proactor.OpRelay {
		op.Relay.Rest = takeRest(op.Relay)
	}
	b.retire(op)
	b.complete(op, got, err, false)
}

// complete delivers one result, without the lock: the owner may call anything.
func (b *Backend) complete(op *proactor.Op, got int, err error, more bool) {
	n := b.net
	n.traceResult(b, op, got, err, more)
	b.stats.Completed++
	if more {
		op.B.Flags |= delivering
	}
	n.mu.Unlock()
	defer n.mu.Lock() // also if Complete panics
	op.Deliver(got, err, more)
}

// wait finds out for how long nothing happens, and moves the clock there. It
// reports whether b shall look again, or else return from its Poll.
func (n *Net) wait(b *Backend) (more bool, err error) {
	next := min(n.nextEvent(), b.until)
	for _, o := range n.backends {
		elsewhere := n.o.Foreign && o.owner.goroutine != b.owner.goroutine
		switch {
		case o == b || b.yieldedTo(o):
		case o.waiting && (o.inside || !elsewhere):
			next = min(next, o.until)
		case elsewhere:
			n.waitFor(b, o)
			return true, nil
		default:
			b.yieldTo(o)
			return false, nil
		}
	}
	switch {
	case next < never:
		n.moveTo(max(next, n.now))
	case n.o.Foreign:
		n.cond.Wait()
	default:
		return false, n.deadlock(false)
	}
	return true, nil
}

// yieldTo notes that b has waited for o: not twice, unless o is polled.
func (b *Backend) yieldTo(o *Backend) {
	for len(b.yielded) <= o.index {
		b.yielded = append(b.yielded, 0)
	}
	b.yielded[o.index] = o.stats.Enters + 1
}

func (b *Backend) yieldedTo(o *Backend) bool {
	return o.index < len(b.yielded) && b.yielded[o.index] == o.stats.Enters+1
}

// moveTo moves the clock. Backends whose timeout has passed then no longer wait.
func (n *Net) moveTo(t int64) {
	n.now = t
	for _, o := range n.backends {
		if o.waiting && o.until <= t {
			o.waiting = false
			n.changed()
		}
	}
}

// changed tells Polls that wait for other goroutines that something is new.
func (n *Net) changed() {
	if n.o.Foreign {
		n.cond.Broadcast()
	}
}

// grace is the real time for which time stands still while a backend of
// another goroutine is not polled. Its goroutine may have ended without Close;
// then nobody waits for it again.
const grace = 200 * time.Millisecond

// waitFor has b wait until something changes: at best that o, which belongs to
// another goroutine, is polled again.
func (n *Net) waitFor(b, o *Backend) {
	timer := time.AfterFunc(grace, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		b.yieldTo(o)
		n.cond.Broadcast()
	})
	defer timer.Stop()
	n.cond.Wait()
}

package ready

import (
	"math"
	"time"

	"mobius/internal/sys"
	"mobius/proactor"
)

// laterDelay is how long an op waits for which the kernel has no event.
const laterDelay = 5 * time.Millisecond

// Poll implements proactor.Backend.
//
// A turn that completes something in its flush ends without a Wait, which
// would most often find nothing; but two such turns never follow each other,
// or ops that always have something to do would keep all others from theirs.
func (b *Backend) Poll(timeout time.Duration) error {
	if b.closed {
		return proactor.ErrClosed
	}
	if b.affinity == proactor.OneThread && !b.owner.mine() {
		return proactor.ErrWrongThread
	}
	before := b.progress
	b.turn++
	b.repair()
	var deadline time.Duration
	if timeout > 0 {
		now := b.Now()
		timeout = min(timeout, math.MaxInt64-now)
		deadline = now + timeout
	}
	for relieved := false; ; {
		b.flush()
		if !relieved && (b.starved.Len() > 0 || b.thirsty.Len() > 0 || b.lender.over()) {
			relieved = true
			b.relieve()
		}
		if b.progress != before {
			if !b.flushed {
				b.flushed = true
				return nil
			}
			timeout = 0
		}
		b.flushed = false
		wokenUp, err := b.wait(b.shorten(timeout))
		if err != nil {
			return err
		}
		b.dispatch()
		if b.progress != before || wokenUp || timeout == 0 || b.closed {
			return nil
		}
		if timeout > 0 {
			if timeout = deadline - b.Now(); timeout <= 0 {
				return nil
			}
		}
	}
}

// repair puts right what a panic of the last Poll's last Complete has left:
// an op that would have gone on, and events that are not dispatched, of which
// the kernel will not tell again.
func (b *Backend) repair() {
	if op := b.inside; op != nil {
		b.inside = nil
		b.lender.end()
		if op.Active() {
			b.again(op)
		}
	}
	b.lender.end()
	b.release()
	if b.lender.packets.op != nil {
		b.handOut()
	}
	if b.sender != 0 {
		if d := b.desc(b.sender); d != nil {
			b.list(d)
		}
		b.sender = 0
	}
	if b.at < b.n {
		b.dispatch()
	}
}

// flush tries everything that has come to be tried since the last time. What
// it adds itself waits for the next.
func (b *Backend) flush() {
	b.now = 0
	b.feeding = false
	for op := b.workers.Finished(); op != nil; op = b.workers.Finished() {
		b.finish(op, 0, op.Err)
	}
	if b.late() && b.turnTime() >= b.laterAt {
		b.senders = append(b.senders, b.lateSenders...)
		b.lateSenders = b.lateSenders[:0]
		for op := b.later.Pop(); op != nil; op = b.later.Pop() {
			b.todo.Push(op)
		}
	}
	for n := b.todo.Len(); n > 0 && b.todo.Len() > 0 && !b.closed; n-- {
		b.try(b.todo.Pop())
	}
	b.sendAll()
	b.lender.collect()
	if b.starved.Len()+b.thirsty.Len() > 0 {
		b.feed()
	}
}

// relieve asks for holds back: once in a Poll, since their owners may need a
// turn to let go. It is a callback like any other.
func (b *Backend) relieve() {
	if b.lender.relieve() {
		b.progress++
	}
	b.feed()
}

// feed serves starved streams in their order, as long as there are buffers.
func (b *Backend) feed() {
	b.feeding = true
	for n := b.starved.Len(); n > 0 && b.starved.Len() > 0 && !b.closed; n-- {
		if b.lender.room() == nil {
			break
		}
		b.try(b.starved.Pop())
	}
	for n := b.thirsty.Len(); n > 0 && b.thirsty.Len() > 0 && b.lender.packets.any() && !b.closed; n-- {
		b.try(b.thirsty.Pop())
	}
	b.feeding = false
	b.lender.holds.Want(b.starved.Len()+b.thirsty.Len() > 0)
}

// shorten returns how long a Wait may last.
func (b *Backend) shorten(timeout time.Duration) time.Duration {
	if b.todo.Len() > 0 || len(b.senders) > 0 || b.closed {
		return 0
	}
	if b.starved.Len()+b.thirsty.Len() > 0 {
		b.lender.collect() // what came before Want woke nobody
		if b.starved.Len() > 0 && b.lender.room() != nil || b.thirsty.Len() > 0 && b.lender.packets.any() {
			return 0
		}
	}
	if b.late() && (timeout < 0 || timeout > laterDelay) {
		return laterDelay
	}
	return timeout
}

// wait takes events from the kernel. It reports whether a Wake is the reason
// why Poll shall end.
func (b *Backend) wait(timeout time.Duration) (bool, error) {
	var err error
	b.at = 0
	if b.spin(timeout) {
		err = b.failed
	} else {
		if timeout != 0 && !b.waker.sleep() {
			timeout = 0
		}
		b.n, err = b.selector.Wait(b.events, timeout)
	}
	b.stats.Enters++
	wokenUp := b.waker.rise()
	if wokenUp {
		b.stats.Woken++
	}
	b.now = 0
	return wokenUp, err
}

// spin looks for events before a wait that keeps the thread, if that is worth it.
func (b *Backend) spin(timeout time.Duration) bool {
	if timeout == 0 || b.affinity != proactor.OneThread {
		return false
	}
	b.yielder.Yield()
	return b.spinner.Spin(timeout, b.Work(), 1, b.look)
}

// Work returns how much has been done so far, as [sys.Work] counts. Loop goroutine.
func (b *Backend) Work() uint64 {
	return sys.Work(b.stats.Completed, b.bytes+b.stats.Spliced+b.stats.RelayCopied)
}

// lookOnce takes the events that there are, and reports whether there is anything to do.
func (b *Backend) lookOnce() bool {
	b.n, b.failed = b.selector.Wait(b.events, 0)
	return b.n > 0 || b.failed != nil || b.waker.state.Load() == woken
}

// dispatch tries the ops that the events are for.
func (b *Backend) dispatch() {
	for b.at < b.n && !b.closed {
		ev := &b.events[b.at]
		b.at++
		d := b.descs.At(ev.Handle.Index())
		if d == nil || d.handle != ev.Handle {
			b.stats.Stale++
			continue
		}
		d.note(ev.Ready)
		if op := d.out; op != nil && d.bits&mayWrite != 0 && op.B.Where == nil {
			b.try(op)
		}
		if op := d.in; op != nil && d.bits&mayRead != 0 && op.B.Where == nil && d.handle == ev.Handle {
			if op.Kind == proactor.OpRecv && op.B.State == proactor.Active && d.kind == sys.Stream {
				b.recv(d, op) // one frame less than by try; see sys.Send
			} else {
				b.try(op)
			}
		}
		if d.extra != nil && d.handle == ev.Handle {
			b.wakeOthers(d)
		}
	}
}

// wakeOthers goes on with the SendTo and Poll ops of d, of which there was an event.
func (b *Backend) wakeOthers(d *desc) {
	if d.extra.sends.Len() > 0 && d.bits&mayWrite != 0 {
		b.list(d)
	}
	b.pollAgain(d)
}

// note remembers what an event says.
func (d *desc) note(r Readiness) {
	if r&(Readable|HangUp|Urgent) != 0 {
		d.bits |= mayRead
	}
	if r&(Writable|HangUp) != 0 {
		d.bits |= mayWrite
	}
	if r&HangUp != 0 {
		d.bits |= hungUp
	}
	if r&Urgent != 0 {
		d.bits |= exhaust
	}
}

// turnTime returns Now as of this turn.
func (b *Backend) turnTime() time.Duration {
	if b.now == 0 {
		b.now = b.Now()
	}
	return b.now
}

// try does what can be done of op now.
func (b *Backend) try(op *proactor.Op) {
	d := b.desc(op.Handle)
	switch {
	case op.Kind == proactor.OpRelay:
		b.relay(d, op)
	case op.B.State == proactor.Stopping:
		b.finish(op, sent(op), proactor.ErrCanceled)
	case op.Kind == proactor.OpWork:
		if err := b.workers.Start(op); err != nil {
			b.finish(op, 0, err)
		}
	case d == nil:
		b.finish(op, 0, proactor.ErrClosed)
	case op.Kind == proactor.OpRecv && d.flows():
		b.recv(d, op)
	case op.Kind == proactor.OpSend && d.flows():
		b.send(d, op)
	case op.Kind == proactor.OpAccept:
		b.accept(d, op)
	case op.Kind == proactor.OpConnect:
		b.connect(d, op)
	case op.Kind == proactor.OpRecvFrom:
		b.recvFrom(d, op)
	case op.Kind == proactor.OpSendTo:
		b.enqueue(d, op)
	case op.Kind == proactor.OpPoll:
		b.pollOnce(d, op)
	case op.Kind == proactor.OpChild:
		b.child(d, op)
	default:
		b.finish(op, 0, proactor.ErrUnsupported)
	}
}

// sent returns what the result of an op that ends early says: for a Send how
// much was sent.
func sent(op *proactor.Op) int {
	if op.Kind == proactor.OpSend {
		return op.B.Done
	}
	return 0
}

// deliver hands op a result after which it goes on, and reports whether it
// shall go on right now.
func (b *Backend) deliver(op *proactor.Op, n int) bool {
	b.progress++
	b.stats.Completed++
	b.bytes += uint64(n)
	b.inside = op
	op.Deliver(n, nil, true)
	b.inside = nil
	b.lender.end()
	return op.B.Where == nil && !b.closed
}

// finish hands op its last result.
func (b *Backend) finish(op *proactor.Op, n int, err error) {
	b.progress++
	b.stats.Completed++
	b.bytes += uint64(n)
	b.ops--
	b.vacate(op)
	b.unpack(op)
	if op.Kind == proactor.OpSend && op.Pin != nil {
		b.pin(op)
	}
	op.Deliver(n, err, false)
	b.lender.end()
	b.release()
}

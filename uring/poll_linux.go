//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// maxReap bounds the completions of one Poll, so that timers and calls have
// their turn however much comes in.
const maxReap = 512

// Poll implements proactor.Backend. Each round is one io_uring_enter at most, which
// submits and waits; there is a second round only if the first one completed
// nothing.
func (b *Backend) Poll(timeout time.Duration) error {
	if b.phase != polled {
		if err := b.begin(); err != nil {
			return err
		}
	}
	if invariant.Enabled && unix.Gettid() != b.tid {
		return proactor.ErrWrongThread
	}
	completed, evicted := b.stats.Completed, b.stats.Evicted
	released := b.after.pin != nil
	b.settle() // what a panic left
	b.handOut()
	if released || b.stats.Completed != completed {
		timeout = 0
	}
	var deadline time.Duration
	if timeout > 0 {
		deadline = b.Now() + timeout
	}
	for wait, again := timeout, false; ; wait, again = deadline-b.Now(), true {
		if timeout < 0 {
			wait = -1
		} else if wait < 0 {
			return nil
		}
		if !b.prepareRound() || b.stats.Evicted != evicted { // an Evict is news, as a Complete is
			wait = 0
		}
		woken, err := b.enter(wait, again)
		if err != nil {
			return err
		}
		b.reap()
		b.collectWork()
		b.deliverFinished()
		switch {
		case b.phase == broken:
			return b.cause
		case b.stats.Completed != completed || b.stats.Evicted != evicted || b.moved || woken || timeout == 0:
			return nil
		}
	}
}

// begin makes the calling thread the owner.
func (b *Backend) begin() error {
	switch b.phase {
	case shut:
		return proactor.ErrClosed
	case broken:
		return b.cause
	}
	if b.choice.registeredRing {
		_ = b.ring.RegisterFD(b.choice.index) // refused: enters cost a little more
	}
	if err := b.ring.Enable(); err != nil {
		return b.fail(unavailable(err))
	}
	b.tid = unix.Gettid()
	b.phase = polled
	if b.table.size > 0 {
		b.Places = &b.table // from now on the ring takes entries
	}
	return nil
}

// fail makes err the answer of every Poll from now on.
func (b *Backend) fail(err error) error {
	if b.phase != broken {
		b.phase, b.cause = broken, err
	}
	return b.cause
}

// prepareRound does what can be done before the kernel is entered, and reports
// whether the loop may sleep.
func (b *Backend) prepareRound() bool {
	b.moved, b.ticking = false, false
	b.holds.Collect(b.back)
	b.pinStalled()
	if b.pinned-b.asked > b.cap {
		b.evictToCap()
	}
	b.armWaker()
	b.retryCancels()
	for n := b.waiting.Len(); n > 0; n-- {
		b.arm(b.waiting.Pop())
	}
	b.pumpStalled()
	b.admitWaiting()
	b.post()
	b.collectWork()
	mailIdle := b.feedMail()
	return b.feedStarved() && mailIdle && b.wakeup && b.finished.Len() == 0 && b.waiting.Len() == 0 &&
		len(b.cancels)+len(b.stalled)+len(b.due) == 0
}

func (b *Backend) armWaker() {
	if b.wakeup {
		return
	}
	if e := b.entry(); e != nil {
		e.PrepPollMultishot(b.waker.fd, unix.POLLIN, userData(kindWake, 0, 0))
		b.wakeup = true
		b.inflight++
	}
}

func (b *Backend) retryCancels() {
	again := b.cancels
	b.cancels = nil
	for _, user := range again {
		b.cancelUser(user)
	}
	if b.cancels == nil {
		b.cancels = again[:0]
	}
}

// work is what the loop has done, for its spinner.
func (b *Backend) work() uint64 {
	return sys.Work(b.stats.Completed, b.bytes+b.stats.Spliced+b.stats.RelayCopied)
}

// enter submits and, unless wait is 0, waits. It reports whether a Wake ended
// the wait, or took its place.
//
// It does not wait when something is sure to be there at once, such as the
// result of a send, since a call that cannot wait goes around Go's scheduler.
// That is worth more than its 100 ns: a goroutine that is in announced system
// calls most of the time loses its P to sysmon at every look, 10,000 times a
// second, and a quarter of the CPU goes into getting it back.
//
// A Poll's second round, after one that brought nothing, does not believe
// IORING_SQ_TASKRUN: another processor may set it just after this one has run
// the work that it announces (io_req_local_work_add), and then it stays although
// there is none. A wait runs what there is anyway.
func (b *Backend) enter(wait time.Duration, again bool) (woken bool, err error) {
	b.publish()
	if wait != 0 { // the scheduler need hear only of calls that may wait
		if b.prompt || b.ring.Ready() > 0 || !again && b.ring.TaskRun() {
			wait = 0
		} else if b.yielder.Yield(); !again && b.ring.Pending() == 0 && b.spinner.Spin(wait, b.work(), 32, b.news) && b.ring.TaskRun() {
			wait = 0
		} else if !b.waker.sleep() {
			wait, woken = 0, true
		}
	}
	if wait == 0 {
		if b.ring.Pending() == 0 && b.ring.Ready() > 0 {
			return woken, b.checkThread()
		}
		_, err = b.ring.Wait(0, 0)
	} else {
		_, err = b.ring.Wait(1, wait)
		woken = b.waker.slept()
	}
	b.prompt = false
	b.stats.Enters++
	if woken {
		b.stats.Woken++
	}
	if b.ring.Overflowed() {
		b.stats.Overflowed++
	}
	if b.ring.Dropped() != 0 {
		return woken, b.fail(proactor.ErrLost)
	}
	if err != nil {
		return woken, b.enterFailed(err)
	}
	return woken, nil
}

// enterFailed: what the kernel could not take now it will be given again once
// completions have been taken out.
func (b *Backend) enterFailed(err error) error {
	errno, _ := err.(syscall.Errno)
	switch errno {
	case unix.EBUSY, unix.EAGAIN, unix.ENOMEM:
		b.ring.pause(time.Millisecond)
		return nil
	case unix.EEXIST:
		return proactor.ErrWrongThread
	case unix.EBADR:
		return b.fail(proactor.ErrLost)
	}
	if e := b.checkThread(); e != nil {
		return e
	}
	return b.fail(fmt.Errorf("io_uring_enter: %w", errno))
}

func (b *Backend) checkThread() error {
	if unix.Gettid() != b.tid {
		return proactor.ErrWrongThread
	}
	return nil
}

// reap handles the completions that are there now.
func (b *Backend) reap() {
	b.mail.latest = nil
	for n := min(b.ring.Ready(), maxReap); n > 0; n-- {
		c, ok := b.ring.NextCQE()
		if !ok {
			return
		}
		b.dispatch(c)
	}
}

// deliverFinished completes the ops that ended without the kernel, but not
// those that end meanwhile.
func (b *Backend) deliverFinished() {
	for n := b.finished.Len(); n > 0 && b.finished.Len() > 0; n-- {
		op := b.finished.Pop()
		b.complete(op, op.N, op.Err)
	}
}

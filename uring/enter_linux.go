//go:build linux && (amd64 || arm64)

package uring

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// NextSQE returns the next free entry of the submission queue, for one of its
// Prep methods. If the queue is full it submits what is there, once; nil means
// that the kernel takes no more now (the CQ is full, memory is short, or the
// ring is not enabled): take completions out and try again.
func (r *Ring) NextSQE() *SQE {
	if r.Space() == 0 {
		if _, err := r.Submit(); err != nil || r.Space() == 0 {
			return nil
		}
	}
	e := &r.sq.entries[r.sq.next&r.sq.mask]
	r.sq.next++
	return e
}

// Space returns how many entries NextSQE can return before it has to submit.
// Entries that are linked must fit together.
func (r *Ring) Space() int { return len(r.sq.entries) - r.Pending() }

// Pending returns the number of entries not yet taken by the kernel.
func (r *Ring) Pending() int { return int(r.sq.next - atomic.LoadUint32(r.sq.head)) }

// Ready returns the number of completions in the queue.
func (r *Ring) Ready() int {
	n := int(atomic.LoadUint32(r.cq.tail)-atomic.LoadUint32(r.cq.head)) + len(r.aside) - r.first
	if r.fake != nil {
		n += r.fake.kept()
	}
	return n
}

// NextCQE takes the oldest completion out of the queue. It is a copy, so that
// the caller may submit, wait and fill the queue again while it looks at it.
func (r *Ring) NextCQE() (CQE, bool) {
	if r.fake != nil {
		return r.fakeNext()
	}
	return r.nextCQE()
}

func (r *Ring) nextCQE() (CQE, bool) {
	if r.first == len(r.aside) {
		return r.fromQueue()
	}
	c := r.aside[r.first]
	if r.first++; r.first == len(r.aside) {
		r.aside, r.first = r.aside[:0], 0
	}
	return c, true
}

// putAside looks for the completion with the given user data among those in the
// queue. Those before it stay for NextCQE, in their order.
func (r *Ring) putAside(user uint64) (CQE, bool) {
	for c, ok := r.fromQueue(); ok; c, ok = r.fromQueue() {
		if c.UserData == user {
			return c, true
		}
		r.aside = append(r.aside, c)
	}
	return CQE{}, false
}

func (r *Ring) fromQueue() (CQE, bool) {
	head := *r.cq.head
	if head == atomic.LoadUint32(r.cq.tail) {
		return CQE{}, false
	}
	c := r.cq.entries[head&r.cq.mask]
	atomic.StoreUint32(r.cq.head, head+1)
	return c, true
}

// Overflowed reports whether completions wait inside the kernel because the
// queue was full. The next Wait brings as many as fit.
func (r *Ring) Overflowed() bool { return atomic.LoadUint32(r.sq.flags)&IORING_SQ_CQ_OVERFLOW != 0 }

// TaskRun reports whether a Wait would complete something without waiting
// (rings with IORING_SETUP_TASKRUN_FLAG only).
func (r *Ring) TaskRun() bool { return atomic.LoadUint32(r.sq.flags)&IORING_SQ_TASKRUN != 0 }

// Dropped returns how many completions the kernel had to drop for want of
// memory. If it is not 0 the ring is of no further use.
func (r *Ring) Dropped() uint32 { return atomic.LoadUint32(r.cq.overflow) }

// Submit hands the pending entries to the kernel without waiting, and without
// running completions on a ring with IORING_SETUP_DEFER_TASKRUN. It returns how
// many were taken. EBUSY and EAGAIN mean that completions must be taken out
// first; nothing is lost.
func (r *Ring) Submit() (int, error) {
	n, errno := r.enter(0, 0, -1)
	if errno != 0 && errno != syscall.EINTR {
		return 0, errno
	}
	return max(n, 0), nil
}

// Wait hands the pending entries to the kernel and waits until at least min
// completions are in the queue, until timeout has passed (negative: for ever),
// or for a signal, all in one system call. It returns how many entries were
// taken. That a timeout or a signal ended it is no error. With min 0 it does not wait, but
// completes what is ready.
func (r *Ring) Wait(min int, timeout time.Duration) (int, error) {
	n, errno := r.enter(uint32(min), IORING_ENTER_GETEVENTS, timeout)
	if errno != 0 && errno != syscall.EINTR && errno != syscall.ETIME {
		return 0, errno
	}
	return max(n, 0), nil
}

// enter is the one place that calls io_uring_enter(2). A call that never waits
// goes around Go's scheduler (100 ns less); one that may wait does not, or it
// would keep a P and be interrupted by preemption signals.
func (r *Ring) enter(min, flags uint32, timeout time.Duration) (int, syscall.Errno) {
	if r.fail != nil {
		if errno := r.fail("enter", min); errno != 0 {
			return 0, errno
		}
	}
	if r.fake != nil {
		r.fakeSubmit()
	}
	pending := uintptr(r.Pending())
	if pending != 0 {
		atomic.StoreUint32(r.sq.tail, r.sq.next)
	}
	flags |= r.enterFlags
	if min == 0 {
		n, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, r.handle, pending, 0, uintptr(flags), 0, 0)
		return int(n), errno
	}
	flags |= r.options
	if timeout < 0 {
		n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, r.handle, pending, uintptr(min), uintptr(flags), 0, 0)
		return int(n), errno
	}
	r.ts = timespec{sec: int64(timeout / time.Second), nsec: int64(timeout % time.Second)}
	r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.ts))) // r is on the heap, which does not move, and alive
	n, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, r.handle, pending, uintptr(min),
		uintptr(flags|IORING_ENTER_EXT_ARG), uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
	return int(n), errno
}

// lastIndex returns where in the queue the entry is that NextSQE returned last.
func (r *Ring) lastIndex() uint32 { return (r.sq.next - 1) & r.sq.mask }

// pause waits for d or a completion without submitting anything, when the
// kernel lacks what it needs to take entries.
func (r *Ring) pause(d time.Duration) {
	r.ts = timespec{nsec: int64(d)}
	r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.ts)))
	_, _, _ = syscall.Syscall6(unix.SYS_IO_URING_ENTER, r.handle, 0, 1,
		uintptr(IORING_ENTER_GETEVENTS|IORING_ENTER_EXT_ARG|r.enterFlags|r.options), uintptr(unsafe.Pointer(&r.arg)), unsafe.Sizeof(r.arg))
}

package proactor

import "time"

// A Backend performs operations for one loop. io_uring works this way by
// itself; epoll and kqueue are made to by internal/ready; package sim pretends
// to. The contract, to which test/backendtest holds every backend, sentence by
// sentence:
//
//  1. An Op is caller-owned and embedded in its owner; starting it allocates
//     nothing; while active it must not move.
//  2. Complete runs on the loop's goroutine, one call at a time, never inside
//     Submit, Cancel or Resume.
//     2a. Exactly one completion of an op, its last, has More unset.
//     2b. Accept and Recv go on until end, error, cancel or Limit; a Recv with
//     a Limit completes (last, Err nil) once that many bytes are lent, and
//     never lends more.
//     2c. N is valid beside Err: a Send that ends early says what the kernel took.
//     2d. A Resume during a running Cancel is remembered: the op goes on and
//     its end by that Cancel is not reported.
//     2e. A panic that leaves Complete leaves the backend able to go on.
//  3. Received bytes are lent until Complete returns, unless held.
//     3a. Bytes of a hold stay unchanged until its Release.
//     3b. At the cap on holds, or when streams starve while bytes are held, the
//     oldest holds are evicted: each Evictor is asked once.
//     3c. Streams that found no buffer are served again in the order in which
//     they came, without a timer, once buffers are back.
//  4. A backend never shows EAGAIN, EINTR, ENOBUFS, a readiness flag, or a
//     multishot that ended although its stream did not; Poll (10) is the one
//     op whose result is readiness.
//  5. At most one Send (or Relay to it) is active per stream. It completes when
//     all bytes are taken or it failed: short writes are the backend's affair. A
//     zero-copy Send (Pin) completes (last) with its result; its memory is given
//     back by Released when the kernel lets go; the next Send does not wait for
//     that, CloseFD and Close do.
//  6. CloseFD closes only a handle on which no op is active, else it answers
//     ErrBusy. A stale handle touches nobody: it answers ErrClosed, as an op's
//     error if it is an op's. A number that the kernel gives out again is another
//     handle.
//  7. Poll completes what is ready, or else waits until something is, until
//     timeout has passed, or until Wake. It never waits after having completed
//     something, since that may have changed how long the caller wants to wait.
//     7a. Callable from any goroutine: Wake (nothing happens after Close), Release
//     of a Hold, a Token's Enter and Leave, and TryWrite between them. Nothing else.
//     7b. A Wake before, during or between Polls makes the one under way, or else
//     the next, return early; none is lost.
//     7c. The first Poll's thread or goroutine, as Affinity says, owns the backend:
//     Poll from another thread than the owning one answers ErrWrongThread. A goroutine
//     that owns one may be on any thread at any time. Submit before the first
//     Poll is allowed.
//  8. After a Cancel, results already under way are still delivered, in order,
//     before the last completion. Cancel of an op that is not active does nothing.
//  9. Sockets made, accepted or adopted are CLOEXEC and O_NONBLOCK, TCP ones have
//     TCP_NODELAY on, the same on every backend. A connection whose peer is gone
//     before its address could be had is closed and counted, not delivered.
//     9a. Options reads back what was set. A listener's options are those of the
//     connections that it accepts.
//  10. A Poll op is one-shot and level-triggered: it completes at once if an event
//     holds when it is submitted, and at once for files that cannot be polled.
//     10a. Several Poll ops may wait on one handle. Its descriptor stays its
//     owner's, who may read, write and, after Detach, close it.
//     10b. An error or a hang-up (POLLERR, POLLHUP of poll(2)) is Failed, and with
//     it every event that was asked for: the next read meets the bytes that are
//     left, the end or the error, the next write the error.
//  11. A Relay moves every byte once, in order, at most Budget a turn, and obeys its
//     Window, its Head and Rest; see [Relay].
//  12. RecvFrom keeps datagram bounds, an empty datagram is delivered and does not
//     end it; several SendTo may be active on one handle.
//     12a. SendTo ops of one handle to one destination are sent in the order in
//     which they were submitted. One that fails stops no other.
//     12b. What does not fit the buffer is cut off, and Msg.Truncated says so; the
//     next datagram is whole.
//     12c. Msg carries what SocketOptions asked for: SegmentSize and Info, in both
//     directions. SegmentedReceive without a Msg is ErrSegments.
//     12f. A SendTo whose SegmentSize the kernel, the route or the device refuses goes
//     datagram by datagram, in its place in the order; N is 0 beside an error, which
//     is the first datagram's that failed.
//     12d. A member of a multicast group gets what is sent to it, until Leave.
//     12e. Files and Control travel with the bytes of unix sockets, files once,
//     CLOEXEC; files that no owner gets are closed.
//  13. A Child completes once with the wait status.
//     13a. A child has the descriptors that its Command names, and no others. A
//     Spawn that fails says why and leaves nothing behind.
//     13b. Signal reaches the child, and nobody else once it has ended.
//  14. A Work's Func runs away from the loop, in a bounded pool (sim: inline, at a
//     drawn virtual time), and completes after Func has returned. Cancel of a
//     Work that has started does nothing: it completes without ErrCanceled.
//  15. Adopt takes a descriptor in; Detach gives one out, when no op is active on it.
//  16. Everything has a limit, and reaching it is an error or back-pressure, never
//     a crash or a spin.
//
// At most one of Accept, Recv, RecvFrom and Relay-from, and at most one of
// Connect, Send and Relay-to, may be active on a handle; the backend panics on
// a second one if invariants are compiled in.
//
// Except where 7a says so, all methods are for the loop's goroutine.
type Backend interface {
	Sockets

	// Name returns the backend's name ("uring", "epoll", "netpoll", "kqueue",
	// "sim"), for people. Nothing decides by it.
	Name() string

	// Affinity says whether a thread or a goroutine owns the backend; always the
	// same. Any goroutine.
	Affinity() Affinity

	// Submit starts op, which must be idle. It makes no system call that a
	// later Poll could make for many ops at once. Errors are results, never
	// Submit's.
	Submit(op *Op)

	// Cancel asks an active op to end: it completes with ErrCanceled, unless
	// it ended otherwise before.
	Cancel(op *Op)

	// Resume takes back a Cancel that is still running on an Accept or a Recv.
	// It submits op if op is idle, and does nothing if it is active.
	Resume(op *Op)

	// Hold keeps the bytes that op, a Recv or RecvFrom, has lent in the
	// Complete that is running: the whole of op.Buf, once per completion. The
	// hold's owner may be asked to give it back, see [Evictor].
	Hold(op *Op, owner Evictor) *Hold

	// Poll makes progress; see sentence 7. A negative timeout waits for ever.
	// An error means that the backend is of no further use; that it was
	// interrupted is not an error.
	Poll(timeout time.Duration) error

	// Wake makes Poll return early. Any goroutine.
	Wake()

	// Token returns the write token of a stream, nil for a stale handle. The
	// pointer stays valid as long as the backend. Any goroutine that has got h
	// while it was open.
	Token(h Handle) *Token

	// WriteFrom is from how many bytes on the loop's own TryWrite costs less than a
	// Send: 1 where a Send makes that system call as well, more where a Poll makes
	// many Sends' together, and more than there can be where streams have no
	// descriptors. It does not change.
	WriteFrom() int

	// TryWrite makes one non-blocking write of bufs, by whoever has entered
	// h's token (or by the loop, which keeps it), and returns how many bytes
	// the kernel took: fewer than all, and 0, with a nil error when it takes
	// no more now, and always where streams have no descriptors. Any goroutine.
	TryWrite(h Handle, bufs [][]byte) (int, error)

	// Now is a monotonic time since an arbitrary moment. Sim makes it up. On a
	// real backend any goroutine may call it.
	Now() time.Duration

	// Alarm calls f on another goroutine once d of real time has passed,
	// unless stop is called before, for watching over the loop itself: it is
	// not a timer and means nothing to virtual time. Sim never calls f.
	Alarm(d time.Duration, f func()) (stop func())

	// Stats returns counters since the start. Loop goroutine.
	Stats() Stats

	// Close cancels what is active without completing it to its owner, waits
	// until the kernel has let go of all memory, closes every handle that is
	// still open, and frees the backend. It may be called from the owning
	// thread or goroutine, or from any if Poll was never called. Idempotent.
	//
	// It does not wait for the Func of a Work that is running, which nothing
	// can stop and which may take long (LookupHost): that ends on its own
	// goroutine and is not heard of. Its op is the owner's again at once.
	Close() error
}

// Stats counts what a backend has done. All but the last block only grow.
type Stats struct {
	Submitted   uint64 // ops started
	Completed   uint64 // results delivered
	Enters      uint64 // system calls that submitted or waited
	Woken       uint64 // Polls that a Wake ended
	Starved     uint64 // times that a stream found no buffer
	Rearmed     uint64 // multishots that ended early and were started again
	Overflowed  uint64 // times that the completion queue was full
	Stale       uint64 // results that met another generation, and were dropped
	Evicted     uint64 // holds asked back
	PeerGone    uint64 // connections closed at accept because the peer was gone
	Refused     uint64 // connections closed by Refuse
	ZeroCopied  uint64 // zero-copy sends that did without a copy
	Copied      uint64 // zero-copy sends that the kernel copied
	ZeroCopyOff uint64 // streams that are sent to by copying from now on, since the kernel copies or refuses the other way
	Spliced     uint64 // bytes relayed by splice(2)
	RelayCopied uint64 // bytes relayed through a buffer

	Ops     int // active ops
	Holds   int // live holds
	Handles int // open handles
	Pipes   int // pipes open, pooled ones included
	Lent    int // buffers that are not the kernel's
	Pins    int // zero-copy sends whose memory the kernel may still read
	Direct  int // places of a ring's file table that are taken, or kept for an accept that is active
}

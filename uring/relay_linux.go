//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/splice"
	"mobius/internal/sys"
	"mobius/proactor"
)

// A relay is an OpRelay under way. It stays in Relay.B for the next Submit.
//
// Bytes go one of two ways. Small ones are lent by a receive, held, and sent
// from where they lie. Bulk, which the policy tells from the sizes, is spliced:
// a poll says that the source has something, splice(2) moves it into a pipe
// and out to the sink, and if the sink takes no more a poll says when it does.
// (Never IORING_OP_SPLICE: it starts a thread of the kernel's.)
//
// The way changes only when nothing is between source and sink. At most one
// submission of each side is in flight, and pump, called after each result, is the
// one place that decides what comes next.
//
// With thousands of relays each cache line that a result touches is a miss. So this
// is three of them, with what never changes copied from where it lies
// elsewhere, and the slots are one each.
type relay struct {
	b            *Backend
	op           *proactor.Op
	x            *proactor.Relay // op's
	source, sink *slot
	pieces       []piece // read, not sent, in order

	first    int32  // of pieces: those before it are sent
	round    uint32 // Stats.Enters, when burst was counted
	burst    int    // bytes received in that turn
	queued   int    // bytes in pieces
	asked    int    // bytes that the send in flight was given
	read     int64  // bytes read since Submit
	head     int    // bytes of Head that were sent
	from, to int32  // descriptors or places

	policy  splice.Policy
	phase   relayPhase
	side    proactor.Side
	stalled bool // in Backend.stalled
	evicted bool // some piece that is being sent has been asked back
	polled  bool // the source is no socket: it is polled and read
	plain   bool // the sink is no socket: it is written to

	pipe *splice.Pipe
	err  error    // why it ends
	own  [1]piece // where pieces begin: most relays never have two
}

// A relayPhase is where a relay is.
//
//	        source ends, window used up             everything is sent
//	moving ─────────────────────────────▶ draining ─────────────────────▶ over
//	  │                                       │                             ▲
//	  │ sink fails, Cancel                    │ sink fails, Cancel          │
//	  ▼                                       ▼        nothing in flight    │
//	leaving ◀─────────────────────────────────┴─────────────────────────────┘
type relayPhase uint8

const (
	moving relayPhase = iota
	draining
	leaving
	over
)

// A piece is bytes that were read.
type piece struct {
	data []byte
	hold *proactor.Hold // that keeps data; nil if it is a copy
	back bool           // it has been asked back
}

// Limits of a relay.
const (
	defaultBudget = 1 << 20   // bytes a turn
	relayQueue    = 256 << 10 // bytes read and not sent at which the source is left alone
	pipeSize      = 1 << 20
	defaultPipes  = 256
)

func (b *Backend) initPipes() {
	limit := b.o.Pipes
	switch {
	case !b.choice.splice:
		limit = -1
	case limit == 0:
		limit = defaultPipes
	}
	b.pipes.Init(limit, pipeSize)
}

func (b *Backend) submitRelay(op *proactor.Op) {
	x := op.Relay
	x.Side, x.Rest = proactor.NoSide, nil
	from, to := b.Lookup(op.Handle), b.Lookup(x.Dst)
	switch {
	case b.phase == shut || from == nil:
		x.Side = proactor.Source
		b.finish(op, 0, proactor.ErrClosed)
		return
	case to == nil:
		x.Side = proactor.Sink
		b.finish(op, 0, proactor.ErrClosed)
		return
	case from.Kind == sys.Listener || from.Kind == sys.Datagram || to.Kind == sys.Listener || to.Kind == sys.Datagram:
		b.finish(op, 0, proactor.ErrUnsupported)
		return
	}
	if x.Side = sys.WrongEnd(from, to); x.Side != proactor.NoSide {
		b.finish(op, 0, unix.EBADF) // as read(2) and write(2) say
		return
	}
	r, _ := x.B.(*relay)
	if r == nil || r.b != b {
		r = &relay{}
		x.B = r
	}
	pieces := r.pieces[:0]
	if cap(pieces) == 0 {
		pieces = r.own[:0]
	}
	*r = relay{b: b, op: op, x: x, pieces: pieces, from: int32(op.Handle.Index()), to: int32(x.Dst.Index()),
		polled: from.Kind == sys.Other, plain: to.Kind == sys.Other}
	from.Busy++
	to.Busy++
	if invariant.Enabled {
		occupy(from, op, drawing)
		occupy(to, op, pouring)
	}
	r.source, r.sink = b.slots.take(op, drawing), b.slots.take(op, pouring)
	r.source.relay, r.sink.relay = r, r
	r.source.class = b.classOf(from)
	r.source.wanted = r.source.class
	op.B.Slot = r.source.number()
	r.pump()
}

// cancelRelay: op is not in finished.
func (b *Backend) cancelRelay(op *proactor.Op) {
	r := op.Relay.B.(*relay)
	if r.phase != over { // else its Complete is running
		r.leave(proactor.ErrCanceled, proactor.NoSide)
		r.pump()
	}
}

// leave makes the relay end with err once nothing is in flight.
func (r *relay) leave(err error, side proactor.Side) {
	if r.phase < leaving {
		r.phase, r.err, r.side = leaving, err, side
	}
}

// sourceEnded makes the relay end with err once everything is sent.
func (r *relay) sourceEnded(err error, side proactor.Side) {
	if r.phase == moving {
		r.phase, r.err, r.side = draining, err, side
	}
}

// pump does what can be done now, and ends the relay if nothing is left to do.
func (r *relay) pump() {
	source, sink := r.source, r.sink
	if r.phase < leaving && !sink.armed && !r.empty() {
		r.pour(sink)
	}
	switch r.phase {
	case moving:
		if !source.armed && r.op.B.Where == nil {
			r.draw(source)
		}
	case leaving:
		r.pumpLeaving()
		return
	case over:
		return
	}
	if r.phase == draining && r.empty() && !sink.armed && !source.armed {
		r.finish()
	}
}

// empty reports whether the sink has all there is.
func (r *relay) empty() bool { return r.queued == 0 && r.pipe == nil && r.head == len(r.x.Head) }

// pumpLeaving waits until both sides have let go.
func (r *relay) pumpLeaving() {
	source, sink := r.source, r.sink
	if r.op.B.Where != nil {
		r.op.B.Where.Remove(r.op)
	}
	switch {
	case source.armed || sink.armed:
		if source.armed {
			r.b.cancelSlot(source)
		}
		if sink.armed {
			r.b.cancelSlot(sink)
		}
	default:
		r.finish()
	}
}

// finish ends the op: it completes in this Poll or the next.
func (r *relay) finish() {
	r.phase = over
	r.x.Side, r.x.Rest = r.side, r.rest()
	r.b.finish(r.op, 0, r.err)
}

// rest returns what was read and not sent, and lets go of it.
func (r *relay) rest() (out []byte) {
	for _, p := range r.pieces[r.first:] {
		out = append(out, p.data...)
		if p.hold != nil {
			p.hold.Release()
		}
	}
	clear(r.pieces)
	r.pieces, r.first, r.queued = r.pieces[:0], 0, 0
	if r.pipe != nil {
		out = append(out, r.pipe.Rest()...)
		r.putPipe()
	}
	return out
}

func (r *relay) putPipe() {
	if r.pipe != nil {
		r.b.pipes.Put(r.pipe)
		r.pipe = nil
	}
}

// completeRelay frees the sink's side of an op that completes.
func (b *Backend) completeRelay(op *proactor.Op) {
	r, ok := op.Relay.B.(*relay)
	if !ok || op.B.Slot == noSlot {
		return
	}
	e := b.Lookup(op.Relay.Dst)
	e.Busy--
	if invariant.Enabled {
		*descriptorOf(e).direction(pouring) = nil
	}
	b.slots.give(r.sink)
}

// progress notes that the sink took n bytes.
func (r *relay) progress(n int, counter *uint64) {
	b := r.b
	if !b.ticking {
		b.clock, b.ticking = b.Now(), true
	}
	r.x.Last.Store(int64(b.clock))
	r.x.Moved.Add(int64(n))
	*counter += uint64(n)
	b.moved = true
}

func (r *relay) budget() int {
	if n := r.x.Budget; n > 0 {
		return n
	}
	return defaultBudget
}

// window returns how many bytes may still be read, 0 if there is no bound.
func (r *relay) window() int64 {
	if r.x.Window <= 0 {
		return 0
	}
	return max(r.x.Window-r.read, 0)
}

// stall has pump called again in the next round, when there is room in the
// submission queue.
func (r *relay) stall() {
	if !r.stalled {
		r.stalled = true
		r.b.stalled = append(r.b.stalled, r)
	}
}

func (b *Backend) pumpStalled() {
	again := b.stalled
	b.stalled = nil
	for _, r := range again {
		r.stalled = false
		r.pump()
	}
	if b.stalled == nil {
		b.stalled = again[:0]
	}
}

// errnoOf returns the error of a result, nil for those that are no news.
func errnoOf(res int32) error {
	switch e := syscall.Errno(-res); e {
	case unix.ECANCELED, unix.EINTR, unix.EAGAIN:
		return nil
	case unix.ENOBUFS:
		return unix.ENOMEM
	default:
		return e
	}
}

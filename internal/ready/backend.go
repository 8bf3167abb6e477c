package ready

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/splice"
	"mobius/internal/sys"
	"mobius/proactor"
)

// ErrUnwatchable is a Selector's answer to Add for files that are always ready.
var ErrUnwatchable = errors.New("descriptor cannot be watched")

// A Backend is a proactor.Backend over a Selector.
type Backend struct {
	sys.Sockets

	o        Options
	selector Selector
	affinity proactor.Affinity // of selector
	waker    waker
	owner    thread
	closed   bool
	base     time.Time

	descs   sys.Chunks[desc]
	lender  lender
	workers sys.Workers
	vectors sys.Vectors
	raw     sys.RawAddr
	message sys.Message
	out     sys.Batch // of SendTo ops
	pollFD  [1]unix.PollFd

	events []Event
	at, n  int // events[at:n] have not been dispatched

	todo    proactor.Queue // to be tried in the next flush
	starved proactor.Queue // Recvs that found no buffer, in order
	later   proactor.Queue // to be tried after laterAt: the kernel has no event for them
	thirsty proactor.Queue // RecvFroms that found no buffer, in order
	laterAt time.Duration
	feeding bool // starved or thirsty is being served

	senders     []proactor.Handle // with SendTo ops that are to be tried
	lateSenders []proactor.Handle // the same, after laterAt
	sender      proactor.Handle   // whose ops are being tried
	full        []proactor.Address
	parcels     map[*proactor.Op]parcel

	pipes  splice.Pool
	blocks [][]byte // for relays, unused

	inside   *proactor.Op // whose Complete is running, if the op goes on after it
	released []*proactor.Pin
	progress uint64        // results and relayed pieces, ever
	turn     uint64        // Polls
	flushed  bool          // the last Poll did without a Wait
	now      time.Duration // of this turn, 0 if nobody has asked yet

	yielder sys.Yielder
	spinner sys.Spinner
	look    func() bool // lookOnce, bound once
	failed  error       // of the last look

	ops   int // active
	stats proactor.Stats
	bytes uint64 // of all results
}

var _ proactor.Backend = (*Backend)(nil)

// New returns a backend over selector, which it owns, also if New fails.
func New(selector Selector, o Options) (*Backend, error) {
	b := &Backend{o: o.withDefaults(), selector: selector, affinity: selector.Affinity(), base: time.Now()}
	b.waker.selector = selector
	b.look, b.spinner.Fixed = b.lookOnce, o.Spin
	if err := b.Sockets.Init(); err != nil {
		selector.Close()
		return nil, err
	}
	b.lender.init(b.o, b.Wake)
	b.workers.Init(b.o.Work, b.o.WorkQueue, b.Wake)
	b.pipes.Init(b.o.Pipes, b.o.PipeSize)
	b.events = make([]Event, b.o.Events)
	return b, nil
}

// Name implements proactor.Backend.
func (b *Backend) Name() string { return b.selector.Name() }

// Affinity implements proactor.Backend.
func (b *Backend) Affinity() proactor.Affinity { return b.affinity }

// Wake implements proactor.Backend.
func (b *Backend) Wake() { b.waker.wake() }

// Now implements proactor.Backend.
func (b *Backend) Now() time.Duration { return time.Since(b.base) }

// Alarm implements proactor.Backend.
func (b *Backend) Alarm(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Stats implements proactor.Backend.
func (b *Backend) Stats() proactor.Stats {
	s := b.stats
	s.Evicted = b.lender.evicted
	s.PeerGone, s.Refused = s.PeerGone+b.Sockets.PeerGone, b.Sockets.Refused
	s.Ops = b.ops
	s.Holds, s.Lent = b.lender.holds.Len(), b.lender.pinned()
	s.Handles, s.Pipes, s.Pins = b.Handles(), b.pipes.Open(), len(b.released)
	return s
}

// WriteFrom implements proactor.Backend: a Send is this system call and a
// completion.
func (b *Backend) WriteFrom() int { return b.o.WriteFrom }

// Submit implements proactor.Backend.
func (b *Backend) Submit(op *proactor.Op) {
	d := b.desc(op.Handle)
	if invariant.Enabled {
		b.assertFree(d, op)
	}
	op.Begin()
	op.B.Flags = 0
	b.stats.Submitted++
	b.ops++
	if op.Kind == proactor.OpRelay {
		b.beginRelay(op)
	}
	if d != nil {
		b.occupy(d, op)
		b.pack(op)
	}
	b.todo.Push(op)
}

// occupy makes op the one that works on its descriptors in its directions. An
// op on a stale handle occupies nothing, and meets its end in the next flush.
func (b *Backend) occupy(d *desc, op *proactor.Op) {
	switch op.Kind {
	case proactor.OpAccept, proactor.OpRecv, proactor.OpRecvFrom, proactor.OpChild:
		d.in = op
	case proactor.OpSendTo, proactor.OpPoll:
		d.others++
	case proactor.OpConnect:
		d.out = op
	case proactor.OpSend:
		d.out = op
		d.cursor.Start(op)
	case proactor.OpRelay:
		if dst := b.desc(op.Relay.Dst); dst != nil {
			d.in, dst.out = op, op
		}
	}
}

// vacate takes op off its descriptors.
func (b *Backend) vacate(op *proactor.Op) {
	if d := b.desc(op.Handle); d != nil {
		if d.in == op {
			d.in = nil
		}
		if d.out == op {
			d.out = nil
		}
		if op.Kind == proactor.OpSendTo || op.Kind == proactor.OpPoll {
			d.others--
		}
	}
	if op.Kind != proactor.OpRelay {
		return
	}
	if dst := b.desc(op.Relay.Dst); dst != nil && dst.out == op {
		dst.out = nil
	}
}

// assertFree panics if another op works where op is going to.
func (b *Backend) assertFree(d *desc, op *proactor.Op) {
	if d == nil {
		return
	}
	out := d
	switch op.Kind {
	case proactor.OpRelay:
		out = b.desc(op.Relay.Dst)
		fallthrough
	case proactor.OpAccept, proactor.OpRecv, proactor.OpRecvFrom, proactor.OpChild:
		invariant.Assert(d.in == nil, "%v on a handle that is being read from", op.Kind)
	}
	switch op.Kind {
	case proactor.OpConnect, proactor.OpSend, proactor.OpRelay:
		invariant.Assert(out == nil || out.out == nil, "%v on a handle that is being written to", op.Kind)
	}
}

// Cancel implements proactor.Backend.
func (b *Backend) Cancel(op *proactor.Op) {
	if op.B.State != proactor.Active {
		return
	}
	op.B.State = proactor.Stopping
	if op.Kind == proactor.OpWork {
		if b.workers.Cancel(op) {
			b.todo.Push(op)
		}
		return
	}
	if op.B.Where != nil && op.B.Where != &b.todo && op.B.Flags&(wasSent|wasRefused) == 0 {
		op.B.Where.Remove(op)
	}
	b.again(op)
}

// again has op tried in the next flush.
func (b *Backend) again(op *proactor.Op) {
	if op.B.Where == nil {
		b.todo.Push(op)
	}
}

// Resume implements proactor.Backend.
func (b *Backend) Resume(op *proactor.Op) {
	switch op.B.State {
	case proactor.Stopping:
		op.B.State = proactor.Active // it is queued, and will be tried from there
	case proactor.Idle:
		b.Submit(op)
	}
}

// Hold implements proactor.Backend.
func (b *Backend) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	return b.lender.hold(op, owner)
}

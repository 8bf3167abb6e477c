//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package netbackend

import (
	"sync"
	"sync/atomic"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// A Backend implements [proactor.Backend].
type Backend struct {
	mu      sync.Mutex
	entries []*entry // by index of the handle
	ops     map[*proactor.Op]*work
	queue   []result      // to be delivered
	signal  chan struct{} // holds one if Poll shall look again
	woken   atomic.Bool
	closed  bool
	all     sync.WaitGroup // the goroutines
	holds   proactor.Holds
	stats   proactor.Stats
	held    bool          // the Complete that is running has called Hold
	workers chan struct{} // one in it for each that runs
	start   time.Time
}

// A result is what a goroutine has to say of an op.
type result struct {
	op     *proactor.Op
	n      int
	err    error
	buf    []byte
	new    proactor.Handle
	peer   proactor.Address
	more   bool
	credit chan<- struct{} // told when it has been delivered
}

// A work is the backend's side of an active op.
type work struct {
	stop    chan struct{} // closed by Cancel
	stopped bool
	resumed bool
	left    int // what remains of a Recv's Limit
}

// Open returns a new backend.
func Open() *Backend {
	b := &Backend{
		ops: map[*proactor.Op]*work{}, signal: make(chan struct{}, 1), workers: make(chan struct{}, 64), start: time.Now(),
	}
	b.holds.Init(b.Wake)
	return b
}

// Name implements proactor.Backend.
func (b *Backend) Name() string { return "net" }

// Affinity implements proactor.Backend.
func (b *Backend) Affinity() proactor.Affinity { return proactor.OneGoroutine }

// Now implements proactor.Backend.
func (b *Backend) Now() time.Duration { return time.Since(b.start) }

// Alarm implements proactor.Backend.
func (b *Backend) Alarm(d time.Duration, f func()) (stop func()) {
	t := time.AfterFunc(d, f)
	return func() { t.Stop() }
}

// Wake implements proactor.Backend.
func (b *Backend) Wake() {
	b.woken.Store(true)
	b.nudge()
}

func (b *Backend) nudge() {
	select {
	case b.signal <- struct{}{}:
	default:
	}
}

// Submit implements proactor.Backend.
func (b *Backend) Submit(op *proactor.Op) {
	op.Begin()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Submitted++
	b.ops[op] = &work{stop: make(chan struct{}), left: op.Limit}
	e := b.entry(op.Handle)
	if op.Kind != proactor.OpWork && e == nil {
		b.push(result{op: op, err: proactor.ErrClosed})
		return
	}
	if e != nil {
		e.busy++
		for other := range b.ops {
			if invariant.Enabled && other != op && other.Handle == op.Handle && other.Kind == op.Kind {
				panic("net: a second " + op.Kind.String() + " on one handle")
			}
		}
	}
	b.perform(op, e)
}

// perform starts op's goroutine.
func (b *Backend) perform(op *proactor.Op, e *entry) {
	w := b.ops[op]
	run := map[proactor.Kind]func(*proactor.Op, *entry, <-chan struct{}){
		proactor.OpAccept: b.accept, proactor.OpConnect: b.connect, proactor.OpRecv: b.recv,
		proactor.OpSend: b.send, proactor.OpWork: b.work,
	}[op.Kind]
	if run == nil {
		b.push(result{op: op, err: proactor.ErrUnsupported})
		return
	}
	b.all.Go(func() { run(op, e, w.stop) })
}

// push queues a result, with b.mu held.
func (b *Backend) push(r result) {
	b.queue = append(b.queue, r)
	b.nudge()
}

// tell queues a result.
func (b *Backend) tell(r result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.push(r)
}

// Cancel implements proactor.Backend.
func (b *Backend) Cancel(op *proactor.Op) {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.ops[op]
	if w == nil {
		return
	}
	op.B.State = proactor.Stopping
	w.resumed = false
	if !w.stopped {
		w.stopped = true
		close(w.stop)
	}
}

// Resume implements proactor.Backend.
func (b *Backend) Resume(op *proactor.Op) {
	if !op.Active() {
		b.Submit(op)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := b.ops[op]; w.stopped && op.Kind.Streams() {
		op.B.State = proactor.Active
		w.resumed = true
	}
}

// Poll implements proactor.Backend.
func (b *Backend) Poll(timeout time.Duration) error {
	var end <-chan time.Time
	if timeout >= 0 {
		t := time.NewTimer(timeout)
		defer t.Stop()
		end = t.C
	}
	for {
		b.mu.Lock()
		b.holds.Collect(giveBack)
		b.stats.Enters++
		batch, closed := b.queue, b.closed
		b.queue = nil
		b.mu.Unlock()
		if closed {
			return proactor.ErrClosed
		}
		if b.deliverAll(batch) {
			return nil
		}
		if b.woken.Swap(false) {
			b.stats.Woken++
			return nil
		}
		select {
		case <-b.signal:
		case <-end:
			return nil
		}
	}
}

// deliverAll delivers results. What a panic in Complete leaves is kept.
func (b *Backend) deliverAll(batch []result) (any bool) {
	done := 0
	defer func() {
		if done < len(batch) {
			b.mu.Lock()
			b.queue = append(batch[done:len(batch):len(batch)], b.queue...)
			b.nudge()
			b.mu.Unlock()
		}
	}()
	for done < len(batch) {
		r := batch[done]
		done++
		any = b.deliver(r) || any
	}
	return any
}

func (b *Backend) deliver(r result) bool {
	op := r.op
	b.mu.Lock()
	w, e := b.ops[op], b.entry(op.Handle)
	if !r.more && r.err == proactor.ErrCanceled && w.resumed {
		*w = work{stop: make(chan struct{}), left: w.left}
		b.perform(op, e)
		b.mu.Unlock()
		return false // it goes on
	}
	if op.Kind == proactor.OpRecv && op.Limit > 0 {
		if w.left -= len(r.buf); w.left == 0 {
			r.more, r.err = false, nil
		}
	}
	if !r.more {
		delete(b.ops, op)
		if e != nil {
			e.busy--
		}
	}
	b.stats.Completed++
	b.mu.Unlock()
	if op.Kind == proactor.OpRecv {
		op.Buf = r.buf
	}
	op.New = r.new
	if op.Kind == proactor.OpAccept && op.Addr != nil && r.new != 0 {
		*op.Addr = r.peer
	}
	pin := op.Pin
	b.held = false
	defer b.delivered(r, op.Kind == proactor.OpSend && pin != nil, pin)
	op.Deliver(r.n, r.err, r.more)
	return true
}

// delivered does what follows a completion, also if Complete has panicked.
func (b *Backend) delivered(r result, pinned bool, pin *proactor.Pin) {
	if !b.held {
		invariant.Scribble(r.buf)
	}
	if r.credit != nil {
		select {
		case r.credit <- struct{}{}:
		default: // nobody waits for it: the op is being canceled
		}
	}
	if pinned {
		pin.Owner.Released(pin, true)
	}
}

// Hold implements proactor.Backend. Lent bytes are nobody else's, so a hold
// costs nothing.
func (b *Backend) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	b.held = true
	return b.holds.New(op.Buf, 0, owner)
}

func giveBack(h *proactor.Hold) { invariant.Scribble(h.Bytes) }

// Stats implements proactor.Backend.
func (b *Backend) Stats() proactor.Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	b.holds.Collect(giveBack)
	s.Ops, s.Holds = len(b.ops), b.holds.Len()
	for _, e := range b.entries {
		if e.open {
			s.Handles++
		}
	}
	return s
}

// Close implements proactor.Backend.
func (b *Backend) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	for _, w := range b.ops {
		if !w.stopped {
			w.stopped = true
			close(w.stop)
		}
	}
	for _, e := range b.entries {
		e.shut()
	}
	b.mu.Unlock()
	b.all.Wait()
	return nil
}

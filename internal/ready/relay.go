package ready

import (
	"io"

	"golang.org/x/sys/unix"

	"mobius/internal/splice"
	"mobius/internal/sys"
	"mobius/proactor"
)

// relayBudget is the default of a Relay's Budget, and relayPiece the most that
// a relay copies at once, which is also the most that it keeps of its own.
const (
	relayBudget = 512 << 10
	relayPiece  = 64 << 10
	keptBlocks  = 16 // blocks of relayPiece bytes kept for reuse
)

// A relay is what the engine keeps of an OpRelay, in Relay.B. It stays there
// for the next Submit, so that this allocates nothing.
//
// Bytes are read only when the sink may take them, and nothing is read while
// bytes wait to be written, so what a relay keeps is one piece at most: of
// Head, of a read (in block), or in the pipe.
type relay struct {
	head   int    // bytes of Head that were sent
	read   int64  // bytes read since Submit
	block  []byte // a borrowed block of which block[at:] waits to be sent
	at     int
	pipe   *splice.Pipe // borrowed while it holds bytes
	policy splice.Policy
	ended  bool          // the source has
	dry    bool          // the last splice took all there was, it seems: the next is for another turn, when there is more
	turn   uint64        // of used
	used   int           // bytes moved in that turn
	wrong  proactor.Side // goes the other way only
}

// beginRelay prepares op's state.
func (b *Backend) beginRelay(op *proactor.Op) {
	r := op.Relay
	r.Side, r.Rest = proactor.NoSide, nil
	st, ok := r.B.(*relay)
	if !ok {
		st = &relay{}
		r.B = st
	}
	*st = relay{policy: st.policy, wrong: sys.WrongEnd(b.Lookup(op.Handle), b.Lookup(r.Dst))}
}

// relay moves bytes until it has to wait, or the turn's budget is used up.
func (b *Backend) relay(src *desc, op *proactor.Op) {
	r := op.Relay
	st := r.B.(*relay)
	dst := b.desc(r.Dst)
	switch {
	case src == nil:
		b.endRelay(op, proactor.Source, proactor.ErrClosed)
		return
	case dst == nil:
		b.endRelay(op, proactor.Sink, proactor.ErrClosed)
		return
	case op.B.State == proactor.Stopping:
		b.endRelay(op, proactor.NoSide, proactor.ErrCanceled)
		return
	case st.wrong != proactor.NoSide:
		b.endRelay(op, st.wrong, unix.EBADF) // as read(2) and write(2) say
		return
	}
	budget := b.relayBudget(r, st)
	before := st.read
	wait := false
	for budget > 0 && !wait {
		var n int
		switch {
		case st.waiting(r):
			n, wait = b.relayOut(op, st, dst, budget)
		case st.dry:
			st.dry, budget = false, 0
		default:
			n, wait = b.relayIn(op, st, src, dst, budget)
		}
		st.used += n
		budget -= n
	}
	b.putPipe(st)
	if st.read > before {
		st.policy.Saw(int(st.read - before))
	}
	if !wait {
		b.again(op)
	}
}

// relayBudget returns how many bytes r may still move in this turn, in which
// it may be tried more than once.
func (b *Backend) relayBudget(r *proactor.Relay, st *relay) int {
	if st.turn != b.turn {
		st.turn, st.used = b.turn, 0
	}
	if r.Budget > 0 {
		return r.Budget - st.used
	}
	return relayBudget - st.used
}

// waiting reports whether bytes wait to be sent.
func (st *relay) waiting(r *proactor.Relay) bool {
	return st.head < len(r.Head) || st.at < len(st.block) || st.pipe != nil && st.pipe.Len() > 0
}

// relayOut sends what waits. It returns how many bytes the sink took, and
// whether that is all for now: then op waits for an event, or has ended.
func (b *Backend) relayOut(op *proactor.Op, st *relay, dst *desc, budget int) (int, bool) {
	r := op.Relay
	if dst.bits&mayWrite == 0 {
		return 0, !b.relayAwait(op, dst, mayWrite, proactor.Sink)
	}
	var n int
	var e unix.Errno
	fd := int(dst.handle.Index())
	spliced := false
	switch {
	case st.head < len(r.Head):
		p := r.Head[st.head:]
		n, e = sys.Write(fd, dst.kind, p[:min(len(p), budget, b.o.WriteBudget)])
		st.head += n
	case st.at < len(st.block):
		p := st.block[st.at:]
		n, e = sys.Write(fd, dst.kind, p[:min(len(p), budget, b.o.WriteBudget)])
		if st.at += n; st.at == len(st.block) {
			b.putBlock(st)
		}
	default:
		spliced = true
		if n, e = st.pipe.Drain(fd, budget); e == unix.EINVAL {
			b.unsplice(st)
			return 0, false
		}
	}
	return b.relayTook(op, dst, n, e, spliced)
}

// relayTook takes account of a write to the sink. Its results are relayOut's.
func (b *Backend) relayTook(op *proactor.Op, dst *desc, n int, e unix.Errno, spliced bool) (int, bool) {
	switch e {
	case 0:
		b.relayMoved(op.Relay, n, spliced)
		return n, false
	case unix.EINTR:
		return 0, false
	case unix.EAGAIN:
		if dst.bits&always != 0 {
			b.again(op)
			return 0, true
		}
		dst.bits &^= mayWrite
		return 0, !b.relayAwait(op, dst, mayWrite, proactor.Sink)
	case unix.ENOBUFS:
		b.retryLater(op)
		return 0, true
	}
	b.endRelay(op, proactor.Sink, e)
	return 0, true
}

// relayMoved counts bytes that the sink took.
func (b *Backend) relayMoved(r *proactor.Relay, n int, spliced bool) {
	b.progress++
	r.Moved.Add(int64(n))
	r.Last.Store(int64(b.turnTime()))
	if spliced {
		b.stats.Spliced += uint64(n)
	} else {
		b.stats.RelayCopied += uint64(n)
	}
}

// relayAwait is await for one side of a relay.
func (b *Backend) relayAwait(op *proactor.Op, d *desc, bit bits, side proactor.Side) bool {
	if d.bits&bit != 0 {
		return true
	}
	if err := b.watch(d); err != nil {
		b.endRelay(op, side, err)
		return false
	}
	return d.bits&bit != 0
}

// relayIn reads, and sends at once what it can. Its results are relayOut's.
func (b *Backend) relayIn(op *proactor.Op, st *relay, src, dst *desc, budget int) (int, bool) {
	r := op.Relay
	limit := int64(budget)
	if r.Window > 0 {
		limit = min(limit, r.Window-st.read)
	}
	switch {
	case st.ended:
		b.endRelay(op, proactor.NoSide, io.EOF)
		return 0, true
	case limit <= 0:
		b.endRelay(op, proactor.NoSide, nil)
		return 0, true
	case !b.relayAwait(op, dst, mayWrite, proactor.Sink) || !b.relayAwait(op, src, mayRead, proactor.Source):
		return 0, true
	case st.policy.Bulk() && b.getPipe(st):
		return 0, b.relaySplice(op, st, src, int(limit))
	}
	return b.relayCopy(op, st, src, dst, int(min(limit, relayPiece)))
}

// relaySplice fills the pipe, and reports whether that is all for now.
func (b *Backend) relaySplice(op *proactor.Op, st *relay, src *desc, limit int) bool {
	n, e := st.pipe.Fill(int(src.handle.Index()), limit)
	switch {
	case e == unix.EAGAIN:
		return b.relayDrained(op, src)
	case e == unix.EINVAL:
		b.unsplice(st)
		return false
	case e != 0:
		b.endRelay(op, proactor.Source, e)
		return true
	}
	st.read += int64(n)
	st.ended = n == 0
	st.dry = n > 0 && n < min(limit, st.pipe.Size())
	return false
}

// relayDrained notes that the source has no more, and reports that op waits.
func (b *Backend) relayDrained(op *proactor.Op, src *desc) bool {
	if src.drained(); src.bits&always != 0 {
		b.again(op)
	}
	return true
}

// relayCopy reads a piece and sends it. What the sink does not take goes to a
// block of the relay's own.
func (b *Backend) relayCopy(op *proactor.Op, st *relay, src, dst *desc, limit int) (int, bool) {
	room := b.lender.room()
	if room == nil || b.starved.Len() > 0 && !b.feeding {
		b.starve(op)
		return 0, true
	}
	room = room[:min(len(room), limit)]
	n, e := sys.Read(int(src.handle.Index()), src.kind, room)
	switch {
	case e == unix.EAGAIN:
		return 0, b.relayDrained(op, src)
	case e == unix.EINTR:
		return 0, false
	case e != 0:
		b.endRelay(op, proactor.Source, e)
		return 0, true
	case n == 0:
		st.ended = true
		return 0, false
	}
	if n < len(room) && src.bits&(hungUp|exhaust) == 0 {
		src.drained()
	}
	st.read += int64(n)
	room = room[:n]
	sent, e := sys.Write(int(dst.handle.Index()), dst.kind, room[:min(n, b.o.WriteBudget)])
	if sent < n {
		st.block, st.at = append(b.getBlock(), room[sent:]...), 0
	}
	return b.relayTook(op, dst, sent, e, false)
}

// endRelay completes op, with what is left in Rest.
func (b *Backend) endRelay(op *proactor.Op, side proactor.Side, err error) {
	r := op.Relay
	st := r.B.(*relay)
	if st.at < len(st.block) {
		r.Rest = append(r.Rest, st.block[st.at:]...)
	}
	if st.pipe != nil && st.pipe.Len() > 0 {
		r.Rest = append(r.Rest, st.pipe.Rest()...)
	}
	b.putBlock(st)
	b.putPipe(st)
	r.Side = side
	b.finish(op, 0, err)
}

// getPipe gets a pipe for st, unless it has one.
func (b *Backend) getPipe(st *relay) bool {
	if st.pipe != nil {
		return true
	}
	pipe, err := b.pipes.Get()
	if err != nil {
		st.policy.Refused()
		return false
	}
	st.pipe = pipe
	return true
}

// putPipe gives st's pipe back if it is empty.
func (b *Backend) putPipe(st *relay) {
	if st.pipe != nil && st.pipe.Len() == 0 {
		b.pipes.Put(st.pipe)
		st.pipe = nil
	}
}

// unsplice has st copy from now on, because a side cannot be spliced.
func (b *Backend) unsplice(st *relay) {
	st.policy.Refused()
	if st.pipe.Len() > 0 {
		st.block, st.at = st.pipe.Rest(), 0
	}
	b.putPipe(st)
}

func (b *Backend) getBlock() []byte {
	if n := len(b.blocks); n > 0 {
		p := b.blocks[n-1]
		b.blocks = b.blocks[:n-1]
		return p
	}
	return make([]byte, 0, relayPiece)
}

func (b *Backend) putBlock(st *relay) {
	if cap(st.block) == relayPiece && len(b.blocks) < keptBlocks {
		b.blocks = append(b.blocks, st.block[:0])
	}
	st.block, st.at = nil, 0
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"io"

	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// draw asks the source for more: by a receive, or for bulk by a poll.
func (r *relay) draw(s *slot) {
	b := r.b
	if r.x.Window > 0 && r.window() == 0 {
		r.sourceEnded(nil, proactor.NoSide)
		return
	}
	fd := int(r.from)
	if r.polls() {
		if !r.empty() {
			return // the ways do not mix
		}
		if e := r.entry(); e != nil {
			b.launch(s, kindOp)
			e.PrepPoll(fd, unix.POLLIN, s.user)
			aim(e)
		}
		return
	}
	if r.queued >= relayQueue {
		return
	}
	if !b.anyBuffer(r.op, s) {
		b.pools[s.class].starve(r.op, s)
		return
	}
	e := r.entry()
	if e == nil {
		return
	}
	b.launch(s, kindRecv+uint64(s.class))
	group := b.pools[s.class].ring.Group()
	if w := r.window(); w > 0 || !b.choice.multishotRecv {
		e.PrepRecvSelect(fd, group, uint32(min(w, 1<<30)), s.user)
	} else {
		e.PrepRecvMultishot(fd, group, s.user)
	}
	aim(e)
}

// polls reports whether the source is polled rather than received from: for bulk, and
// if it is no socket.
func (r *relay) polls() bool {
	return r.bulk() || r.polled
}

// bulk reports whether to splice, which only descriptors can be.
func (r *relay) bulk() bool { return r.policy.Bulk() && !r.placed() }

// placed reports whether one of the sides has no descriptor.
func (r *relay) placed() bool { return (r.from|r.to)&sys.PlaceBit != 0 }

func (r *relay) entry() *SQE {
	e := r.b.entry()
	if e == nil {
		r.stall()
	}
	return e
}

// drawn handles a result of the source's side.
func (r *relay) drawn(c CQE, more bool) {
	if c.UserData>>kindShift >= kindRecv {
		r.received(c, more)
	} else if c.Res < 0 {
		if err := errnoOf(c.Res); err != nil {
			r.sourceEnded(err, proactor.Source)
		}
	} else if r.phase == moving {
		r.fill()
	}
	if r.phase != over {
		r.pump()
	}
}

// received takes what a receive has lent.
func (r *relay) received(c CQE, more bool) {
	b, s := r.b, r.source
	if c.Res <= 0 {
		switch {
		case more:
		case c.Res == 0:
			r.sourceEnded(io.EOF, proactor.NoSide)
		case c.Res == -int32(unix.ENOBUFS):
			if r.phase == moving {
				b.stats.Starved++
				b.pools[s.class].short()
				b.pools[s.class].starve(r.op, s)
			}
		default:
			if err := errnoOf(c.Res); err != nil {
				r.sourceEnded(err, proactor.Source)
			}
		}
		return
	}
	n := int(c.Res)
	p := b.pools[s.class]
	data := p.take(c.Buffer(), n, c.Flags)
	if data == nil || c.Flags&IORING_CQE_F_BUFFER == 0 {
		b.fail(proactor.ErrLost)
		return
	}
	s.hungry = false
	b.mindTheEnd(s, c)
	if len(b.pools) > 1 {
		b.chooseClass(s, n, more)
	}
	if round := uint32(b.stats.Enters); r.round != round { // what came in one turn counts as one piece
		r.policy.Saw(r.burst)
		r.round, r.burst = round, 0
	}
	r.burst += n
	r.read += int64(n)
	r.queued += n
	id := bufferID(s.class, c.Buffer())
	r.pieces = append(r.pieces, piece{data: data, hold: b.holds.New(data, id, r)})
	if p.buffers[c.Buffer()].spent {
		b.fresh = append(b.fresh, id)
	}
	if s.armed && (r.queued >= relayQueue || r.bulk()) {
		b.cancelSlot(s) // enough for now
	}
}

// pour sends what is at hand: Head, then pieces, then what is in the pipe.
func (r *relay) pour(s *slot) {
	if s.wait {
		r.awaitSink()
		return
	}
	r.b.prompt = r.b.prompt || r.pipe == nil
	switch {
	case r.head < len(r.x.Head):
		p := r.x.Head[r.head:]
		if r.plain {
			r.write(p)
		} else if e := r.entry(); e != nil {
			r.b.launch(s, kindOp)
			r.asked = min(len(p), r.budget(), maxSend)
			e.PrepSend(int(r.to), p[:r.asked], sendFlags, s.user)
			aim(e)
		}
	case r.queued > 0 && r.plain:
		r.write(r.pieces[r.first].data)
	case r.queued > 0:
		r.send(s)
	default:
		r.drain()
	}
}

// send sends pieces, as many as fit one message and the budget.
func (r *relay) send(s *slot) {
	e := r.entry()
	if e == nil {
		return
	}
	b, fd, left := r.b, int(r.to), r.budget()
	b.launch(s, kindOp)
	if int(r.first) == len(r.pieces)-1 {
		p := r.pieces[r.first].data
		r.asked = min(len(p), left)
		e.PrepSend(fd, p[:r.asked], sendFlags, s.user)
		aim(e)
		b.refuse(e)
		return
	}
	c, n := b.cell(), 0
	for i := int(r.first); i < len(r.pieces) && n < cellVectors && left > 0; i++ {
		p := r.pieces[i].data
		p = p[:min(len(p), left)]
		c.vectors[n].Set(p)
		left -= len(p)
		n++
	}
	r.asked = r.budget() - left
	b.prepareVectors(e, c, n, fd, s.user)
	aim(e)
}

// poured handles a result of the sink's side.
func (r *relay) poured(c CQE, more bool) {
	s := r.sink
	switch {
	case s.poll && c.Res == -int32(unix.ETIME):
		s.promise()
	case c.Res < 0:
		if c.Res == -int32(unix.EAGAIN) {
			s.wait = true
			s.took(0)
		}
		if err := errnoOf(c.Res); err != nil {
			r.leave(err, proactor.Sink)
		}
	case s.poll:
		if !r.b.room(s, r.x.Dst, c.Res, more) {
			return
		}
	default:
		s.wait = int(c.Res) < r.asked
		s.took(int(c.Res))
		r.took(int(c.Res))
	}
	if r.evicted && !s.armed {
		r.giveBack()
	}
	r.pump()
}

// took accounts for n bytes of Head or of pieces that the sink has.
func (r *relay) took(n int) {
	r.progress(n, &r.b.stats.RelayCopied)
	if rest := len(r.x.Head) - r.head; rest > 0 {
		r.head += n
		return
	}
	r.queued -= n
	for n > 0 {
		p := &r.pieces[r.first]
		if n < len(p.data) {
			p.data = p.data[n:]
			break
		}
		n -= len(p.data)
		if p.hold != nil {
			p.hold.Drop()
		}
		*p = piece{}
		r.first++
	}
	switch first := int(r.first); {
	case first == len(r.pieces):
		r.pieces, r.first = r.pieces[:0], 0
	case first >= 64 && first*2 >= len(r.pieces):
		r.pieces, r.first = r.pieces[:copy(r.pieces, r.pieces[r.first:])], 0
	}
}

// Evict implements proactor.Evictor: what is held is copied, at once if it is
// not being sent.
func (r *relay) Evict(h *proactor.Hold) {
	for i := range r.pieces {
		if r.pieces[i].hold == h {
			r.pieces[i].back = true
		}
	}
	if s := r.sink; s.armed && !s.poll {
		r.evicted = true
		r.b.cancelSlot(s)
		return
	}
	r.giveBack()
}

// giveBack copies the pieces that were asked back. Nothing is being sent.
func (r *relay) giveBack() {
	r.evicted = false
	for i := range r.pieces {
		if p := &r.pieces[i]; p.back && p.hold != nil {
			p.data = append([]byte(nil), p.data...)
			p.hold.Release()
			p.hold = nil
		}
	}
}

package tls

import (
	"context"
	"io"
	"runtime/debug"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// maxUnread is how many bytes are taken from the peer while its handshake
// computes or waits for its turn; beyond it reading is paused.
const maxUnread = 64 << 10

// A handshake is a tls.Conn's handshake in progress, on a goroutine of its own
// that runs only while the loop's Work op waits for it:
//
//	       start, or bytes for it              its turn
//	idle ──────────────────────────▶ queued ─────────────▶ computing
//	  ▲                                                     │    │
//	  └────────────── has read all that there is ───────────┘    └─────▶ over
//
// What the goroutine and the loop share belongs to the goroutine while the op
// is active, and else to the loop.
type handshake struct {
	y      *layer
	op     proactor.Op // Work: step
	next   *handshake  // that waits for its turn after this one
	queued bool
	more   []byte // received since the step began, the loop's
	ended  bool   // the input ends after more, the loop's

	ctx    context.Context
	cancel context.CancelFunc
	resume chan struct{} // to the goroutine: there is more to read
	yield  chan struct{} // from it: it has read all, or is over
	gone   chan struct{} // closed when the connection has ended: nobody resumes it any more

	started bool
	in, out []byte // received, to be sent
	left    int    // of the record that is being read
	eof     bool   // after in
	over    bool
	err     error
	stack   []byte // of a panic
}

// newHandshake makes a handshake, which starts by poke.
func newHandshake(y *layer) *handshake {
	h := &handshake{y: y, resume: make(chan struct{}), yield: make(chan struct{}, 1), gone: make(chan struct{})}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	h.op = proactor.Op{Kind: proactor.OpWork, Owner: h, Func: h.step}
	return h
}

// receive takes bytes for the handshake.
func (h *handshake) receive(p []byte) {
	h.more = append(h.more, p...)
	if len(h.more) > maxUnread && !h.y.flags.has(choked) {
		h.y.flags |= choked
		h.y.below.PauseReading()
	}
	h.poke()
}

// poke lets the handshake compute if there is something to do.
func (h *handshake) poke() {
	if h.queued || h.op.Active() {
		return
	}
	idle := h.started || h.y.side == Server // a client speaks first
	if idle && len(h.more) == 0 && h.ended == h.eof {
		return
	}
	h.queued = true
	h.y.pool.push(h)
	h.y.pool.next(h.y.l)
}

// next lets as many of those who wait compute as may.
func (p *pool) next(l *loop.Loop) {
	for p.head != nil && p.stats.Computing < p.head.y.o.maxComputing() {
		h := p.pop()
		h.queued = false
		if h.y.hs != h {
			continue // the connection has ended meanwhile
		}
		p.stats.Computing++
		h.in = append(h.in, h.more...)
		h.more, h.eof = h.more[:0], h.ended
		l.Submit(&h.op)
	}
}

// Complete takes the end of a step.
func (h *handshake) Complete(op *proactor.Op) {
	y := h.y
	y.pool.stats.Computing--
	defer y.pool.next(y.l)
	if y.hs != h {
		return // the connection has ended meanwhile, and the goroutine ends by itself
	}
	failed := op.Err // then the step was not even begun
	if len(h.out) > 0 {
		if _, err := y.below.Write(h.out); failed == nil {
			failed = err
		}
		h.out = h.out[:0]
		if y.hs != h {
			return // the protocol, told PauseWriting, has ended it
		}
	}
	switch {
	case h.over:
		h.end()
		y.shaken(h)
		return
	case failed != nil:
		h.end() // the goroutine still has h
		if failed == transport.ErrNotWritable {
			y.abandon() // the transport has ended, and will say why
			return
		}
		y.unshaken(failed, nil)
		return
	}
	if y.flags.has(choked) && len(h.more) <= maxUnread {
		y.flags &^= choked
		y.below.ResumeReading()
	}
	h.poke()
}

// end gives the handshake up. Its goroutine ends as soon as it wants to read,
// and a callback that waits for the handshake's context sees its end.
func (h *handshake) end() {
	h.y.hs = nil
	h.y.pool.stats.InProgress--
	h.cancel()
	close(h.gone)
}

// step is the Work: it runs the goroutine until it has read all that there is.
func (h *handshake) step() {
	if !h.started {
		h.started = true
		go h.run()
		<-h.yield
		return
	}
	select {
	case h.resume <- struct{}{}:
		<-h.yield
	case <-h.gone:
	}
}

// run is the goroutine.
func (h *handshake) run() {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			h.err, h.stack = &transport.PanicError{Value: v}, debug.Stack()
		} else if !returned {
			h.err = errGoexit
		}
		h.over = true
		h.yield <- struct{}{} // never waits: each step takes one, and there is room for the last
	}()
	h.err = h.y.tc.HandshakeContext(h.ctx)
	returned = true
}

// read is the Read of the wire, on the goroutine: it waits for bytes.
func (h *handshake) read(p []byte) (int, error) {
	for h.left == 0 {
		if h.left = recordLen(h.in); h.left > 0 {
			break
		}
		if h.eof { // what is there is no record
			n := copy(p, h.in)
			h.in = h.in[n:]
			return n, io.EOF
		}
		if !h.wait() {
			return 0, errClosed
		}
	}
	for len(h.in) == 0 {
		if h.eof {
			return 0, io.EOF
		}
		if !h.wait() {
			return 0, errClosed
		}
	}
	n := copy(p, h.in[:min(len(h.in), h.left)])
	h.in = h.in[n:]
	h.left -= n
	return n, nil
}

// wait ends the step, and reports whether another has begun.
func (h *handshake) wait() bool {
	h.yield <- struct{}{}
	select {
	case <-h.resume:
		return true
	case <-h.gone:
		return false
	}
}

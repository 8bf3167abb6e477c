package netconn

import (
	"io"
	"os"
	"sync"
	"time"

	"mobius/proactor"
	"mobius/transport"
)

// A reader is the receiving half of a Conn. The loop pushes pieces, or copies
// to where a goroutine waits for bytes; the goroutine whose turn it is takes
// them off.
type reader struct {
	turn sync.Mutex // held by the goroutine that reads, also while it waits

	side
	dst     []byte // of the goroutine that waits
	got     int    // how much of dst the loop has filled
	q       pieces
	err     error // how the stream ended, once it has: io.EOF or an errno
	shut    bool  // CloseRead
	stopped bool  // the loop receives no more until there is room
	used    int   // of the first piece, by Next
	gone    bool  // the connection is over: nothing is kept any more
	halt    halt  // whether the loop receives
	polling bool  // while it does not: somebody waits until there is something
}

// Read reads what has arrived, or waits for it. The error is io.EOF, as it is,
// at the end of the stream, and else a *net.OpError. Reads of several
// goroutines take turns. Any goroutine but a loop's.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if err != nil && err != io.EOF {
		err = c.opError("read", err)
	}
	return n, err
}

func (c *Conn) read(p []byte) (int, error) {
	r := &c.r
	r.turn.Lock()
	defer r.turn.Unlock()
	if len(p) == 0 {
		return 0, c.closing()
	}
	for {
		r.mu.Lock()
		if err := c.unreadable(); err != nil {
			r.mu.Unlock()
			return 0, err
		}
		c.useLocked()
		if r.q.n > 0 {
			return c.takeLocked(p), nil
		}
		if r.err != nil || r.shut {
			err := r.err
			r.mu.Unlock()
			if err == nil {
				err = io.EOF
			}
			return 0, err
		}
		r.dst, r.got = p, 0
		n := c.awaitLocked()
		if n > 0 {
			return n, nil
		}
	}
}

// unreadable returns why nothing may be read, whether there is something or
// not. r.mu is held.
func (c *Conn) unreadable() error {
	if err := c.closing(); err != nil {
		return err
	}
	if c.r.deadline.over() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// awaitLocked waits until something has changed, and returns how many bytes
// the loop has copied to r.dst. It unlocks r.mu, which is held.
func (c *Conn) awaitLocked() int {
	r := &c.r
	r.awaitTurn(c.k)
	n := r.got
	r.dst, r.got = nil, 0
	r.mu.Unlock()
	return n
}

// takeLocked copies kept bytes to p: the memory of single pieces is copied
// without r.mu, which it unlocks.
func (c *Conn) takeLocked(p []byte) (n int) {
	r := &c.r
	for n < len(p) && r.q.head != nil {
		h := r.q.head
		b := h.bytes
		if h.hold == nil {
			k := copy(p[n:], b)
			c.consume(h, k)
			n += k
			continue
		}
		h.busy = true
		r.mu.Unlock()
		k := copy(p[n:], b)
		r.mu.Lock()
		h.busy = false
		c.consume(h, k)
		n += k
	}
	resume := c.roomy()
	r.mu.Unlock()
	if resume {
		c.post()
	}
	return n
}

// consume takes n bytes off the first piece. r.mu is held.
func (c *Conn) consume(h *piece, n int) {
	r := &c.r
	if h.beside != nil && (n > 0 || r.gone) {
		c.dropBeside(h)
	}
	h.bytes = h.bytes[n:]
	r.q.n -= n
	switch {
	case len(h.bytes) == 0 || r.gone:
		r.q.drop()
	case h.asked && h.hold != nil:
		h.own()
	}
	if r.gone {
		r.q.forget()
	}
}

// roomy reports whether the loop, which has stopped receiving, is to go on:
// once half of the limit is free. r.mu is held.
func (c *Conn) roomy() bool {
	return c.r.stopped && c.r.q.n <= c.o.ReadBuffer/2 && c.r.q.files <= keptFiles/2
}

// SetReadDeadline sets the deadline of Reads, those under way included; the
// zero time means none.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if err := c.r.setDeadline(&c.socket, t); err != nil {
		return c.setError(err)
	}
	return nil
}

// received takes a result of the Recv. Loop goroutine.
func (c *Conn) received(op *proactor.Op) {
	r := &c.r
	if op.N > 0 && op.Msg != nil && len(op.Msg.Control) > 0 {
		c.keepBeside(op)
	} else if op.N > 0 {
		c.keep(op)
	}
	if op.More {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halt == halting {
		r.halt = halted
		c.k.later(&r.w)
	}
	if op.Err == nil || op.Err == proactor.ErrCanceled {
		return // whoever wants to read again says so, by Resume
	}
	r.err = op.Err
	c.k.later(&r.w)
}

// keep gives lent bytes to the goroutine that waits, or keeps them.
func (c *Conn) keep(op *proactor.Op) {
	r := &c.r
	b := op.Buf
	r.mu.Lock()
	if r.gone {
		r.mu.Unlock()
		return
	}
	if r.w.waiting && r.dst != nil && r.q.n == 0 && len(b) < transport.HoldFrom {
		r.got = copy(r.dst, b)
		b = b[r.got:]
		r.dst = nil
	}
	if len(b) >= transport.HoldFrom {
		c.holdLocked(op)
	} else if len(b) > 0 {
		r.q.copy(r, b)
	}
	c.k.later(&r.w)
	stop := r.q.n >= c.o.ReadBuffer && !r.stopped
	if stop {
		r.stopped = true
	}
	r.mu.Unlock()
	if stop && op.More {
		c.l.Cancel(op)
	}
}

// holdLocked keeps op's bytes in the backend's buffer, unless that is wanted
// back at once. r.mu is held, but not while the backend asks for holds.
func (c *Conn) holdLocked(op *proactor.Op) {
	r := &c.r
	p := r.q.get(r)
	r.mu.Unlock()
	h := c.l.Hold(op, p)
	r.mu.Lock()
	switch {
	case h == nil:
		r.q.copy(r, op.Buf)
	case p.asked || r.gone:
		h.Release()
		r.q.copy(r, op.Buf)
	default:
		p.hold, p.bytes = h, h.Bytes
		r.q.push(p)
		return
	}
	p.asked = false
	p.next, r.q.free = r.q.free, p
}

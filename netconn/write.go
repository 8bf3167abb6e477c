package netconn

import (
	"os"
	"sync"
	"syscall"
	"time"

	"mobius/proactor"
)

// A writer is the sending half of a Conn. Whoever has the turn writes to the
// socket himself, between Enter and Leave of the stream's write token. What the
// socket does not take the loop sends, and has the token meanwhile.
type writer struct {
	turn sync.Mutex // held by the goroutine that writes, also while it waits
	vec  [1][]byte  // of the goroutine that has the turn

	errand
	rest []byte   // wanted: what the loop is to send first,
	more [][]byte // and then
	shut bool     // CloseWrite

	task   task
	source *Conn // of a relay,
	window int64 // which moves so much at most, 0: all
	moved  int64 // its result
	side   proactor.Side
}

// Write writes p, and waits until the kernel has taken all of it. Writes of
// several goroutines take turns, so that their bytes do not mix. The error is a
// *net.OpError; n says how many bytes the kernel took nevertheless. Any
// goroutine but a loop's.
func (c *Conn) Write(p []byte) (int, error) {
	w := &c.w
	w.turn.Lock()
	defer w.turn.Unlock()
	n, err := c.writeTurn(p)
	if err != nil {
		err = c.opError("write", err)
	}
	return n, err
}

// writeTurn is Write by whoever has the turn.
func (c *Conn) writeTurn(p []byte) (int, error) {
	w := &c.w
	if err := c.unwritable(); err != nil || len(p) == 0 {
		return 0, err
	}
	w.vec[0] = p
	n, err := c.try(w.vec[:])
	w.vec[0] = nil
	if err != nil || n == len(p) {
		return n, err
	}
	k, err := c.sendRest(p[n:], nil)
	return n + k, err
}

// try writes what the socket takes now.
func (c *Conn) try(bufs [][]byte) (int, error) {
	if !c.token.Enter(c.h) {
		if err := c.closing(); err != nil {
			return 0, err
		}
		return 0, nil // the loop has it: let the loop send
	}
	n, err := c.b.TryWrite(c.h, bufs)
	c.token.Leave(c.h)
	return n, err
}

// unwritable returns why nothing may be written.
func (c *Conn) unwritable() error {
	w := &c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := c.closing(); err != nil {
		return err
	}
	if w.deadline.over() {
		return os.ErrDeadlineExceeded
	}
	if w.shut {
		return syscall.EPIPE
	}
	return nil
}

// sendRest has the loop send what the socket did not take, and waits for that.
func (c *Conn) sendRest(rest []byte, more [][]byte) (int, error) {
	w := &c.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest, w.more = rest, more
	n, err := w.run(&c.socket)
	w.rest, w.more = nil, nil
	return n, err
}

// SetWriteDeadline sets the deadline of Writes, those under way included; the
// zero time means none. A Write that it ends may have written a part.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if err := c.w.setDeadline(&c.socket, t); err != nil {
		return c.setError(err)
	}
	return nil
}

// serveWriter does what the writer wants of the loop. Loop goroutine.
func (c *Conn) serveWriter() {
	submit, stop := c.w.take(c.mayBegin)
	if submit {
		c.beginErrand(c.errandOp())
	} else if stop {
		c.l.Cancel(c.errandOp())
	}
}

// sent takes the result of the Send. Loop goroutine.
func (c *Conn) sent(op *proactor.Op) {
	w := &c.w
	op.Buf, op.Bufs = nil, nil
	c.token.Share(c.h)
	w.mu.Lock()
	w.end(op.N, op.Err)
	c.k.later(&w.w)
	w.mu.Unlock()
}

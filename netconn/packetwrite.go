package netconn

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"

	"mobius/proactor"
)

// A packetWriter is the sending half of a PacketConn. Whoever has the turn
// sends; what the socket does not take the loop sends once it does.
type packetWriter struct {
	turn sync.Mutex
	sock sender6 // of the goroutine that has the turn

	mu       sync.Mutex // guards the rest
	w        waiter
	stage    stage
	waits    bool // wanted: only that the socket is writable
	abort    bool
	n        int
	err      error
	deadline deadline
}

func (w *packetWriter) init(c *PacketConn) {
	w.w.init()
	w.deadline.mu, w.deadline.missed = &w.mu, w.w.wake
	if fd, err := c.b.Number(c.h); err == nil {
		w.sock.init(fd)
	}
}

func (w *packetWriter) end(n int, err error) { w.stage, w.n, w.err = sent, n, err }

// sendTo sends one datagram, to the peer if to is not valid.
func (c *PacketConn) sendTo(p, oob []byte, to proactor.Address) (int, error) {
	w := &c.w
	w.turn.Lock()
	defer w.turn.Unlock()
	if err := c.unwritable(); err != nil {
		return 0, err
	}
	fd, err := c.number()
	if err == nil {
		err = w.sock.send(fd, p, oob, to)
		c.giveBack()
	}
	switch {
	case err == nil:
		return len(p), nil
	case !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, errors.ErrUnsupported):
		return 0, inCall("write", err)
	}
	return c.sendByLoop(p, oob, to)
}

// unwritable returns why nothing may be written.
func (c *PacketConn) unwritable() error {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if err := c.closing(); err != nil {
		return err
	}
	if c.w.deadline.over() {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// sendByLoop has the loop send a datagram, and waits for that.
func (c *PacketConn) sendByLoop(p, oob []byte, to proactor.Address) (int, error) {
	c.w.mu.Lock()
	c.send.Buf, c.send.Addr, c.send.Msg = p, nil, nil
	if c.to = to; to.IsValid() {
		c.send.Addr = &c.to
	}
	if len(oob) > 0 {
		c.out = proactor.Msg{Control: oob}
		c.send.Msg = &c.out
	}
	return c.awaitWrite(false)
}

// awaitWrite waits for the loop to do what is wanted. It unlocks w.mu, which is
// held.
func (c *PacketConn) awaitWrite(waits bool) (int, error) {
	w := &c.w
	w.stage, w.waits, w.abort = wanted, waits, false
	w.mu.Unlock()
	c.post()
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.stage != sent {
		if !w.abort && (c.closing() != nil || w.deadline.over()) {
			w.abort = true
			w.mu.Unlock()
			c.post()
			w.mu.Lock()
			continue
		}
		w.w.waiting = true
		w.deadline.arm()
		w.mu.Unlock()
		<-w.w.ch
		w.mu.Lock()
	}
	w.stage = none
	if w.err == proactor.ErrCanceled {
		if err := c.closing(); err != nil {
			return 0, err
		}
		return 0, os.ErrDeadlineExceeded
	}
	return w.n, inCall("write", w.err)
}

// serveWriter does what the writer wants of the loop. Loop goroutine.
func (c *PacketConn) serveWriter() {
	w := &c.w
	w.mu.Lock()
	op := &c.send
	if w.waits {
		op = &c.poll[1]
	}
	submit := w.stage == wanted && !w.abort && !c.ending
	switch {
	case submit:
		w.stage = sending
	case w.stage == wanted:
		w.end(0, proactor.ErrCanceled)
		w.w.wake()
	}
	stop := w.stage == sending && w.abort
	w.mu.Unlock()
	if submit {
		c.l.Submit(op)
	} else if stop {
		c.l.Cancel(op)
	}
}

// sent takes the result of the SendTo. Loop goroutine.
func (c *PacketConn) sent(op *proactor.Op) {
	op.Buf, op.Msg = nil, nil
	c.w.mu.Lock()
	c.w.end(op.N, op.Err)
	c.k.later(&c.w.w)
	c.w.mu.Unlock()
}

// Write sends p as one datagram to the peer that was dialed.
func (c *PacketConn) Write(p []byte) (int, error) {
	n, err := c.sendTo(p, nil, proactor.Address{})
	if err != nil {
		return n, c.opError("write", c.remote, err)
	}
	return n, nil
}

// WriteTo sends p as one datagram. On a connection that was dialed it is
// net.ErrWriteToConnected.
func (c *PacketConn) WriteTo(p []byte, addr net.Addr) (int, error) {
	n, err := c.writeTo(p, nil, proactor.FromNetAddr(addr))
	if err != nil {
		return n, c.opError("write", addr, err)
	}
	return n, nil
}

func (c *PacketConn) writeTo(p, oob []byte, to proactor.Address) (int, error) {
	switch {
	case c.remote != nil:
		return 0, net.ErrWriteToConnected
	case !to.IsValid():
		return 0, syscall.EINVAL
	}
	return c.sendTo(p, oob, to)
}

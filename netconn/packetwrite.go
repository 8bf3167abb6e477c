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

	errand
	waits bool // wanted: only that the socket is writable
}

func (w *packetWriter) init(c *PacketConn) {
	w.errand.init()
	if fd, err := c.b.Number(c.h); err == nil {
		w.sock.init(fd)
	}
}

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
	defer c.w.mu.Unlock()
	c.w.waits = waits
	n, err := c.w.run(&c.socket)
	return n, inCall("write", err)
}

// serveWriter does what the writer wants of the loop. Loop goroutine.
func (c *PacketConn) serveWriter() {
	begin, cancel := c.w.take(func() bool { return !c.ending })
	if !begin && !cancel {
		return
	}
	op := &c.send
	if c.w.waits {
		op = &c.poll[1]
	}
	if begin {
		c.l.Submit(op)
	} else {
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

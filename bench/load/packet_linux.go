//go:build linux

package load

import (
	"encoding/binary"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lostAfter is how long a datagram's answer may take.
const lostAfter = 200 * time.Millisecond

// A packetClient is a socket that sends Depth datagrams, waits for the answers
// and sends the next. In an open loop each datagram leaves when it is due, whatever
// is in flight. What does not come back in time is lost, and counted.
type packetClient struct {
	queue
	fd    int
	sent  int64
	known []bool // which of those in flight were answered
	full  bool
	out   []byte // what is sent at once
	open  bool
}

// window returns how many datagrams of one socket may be in flight: in an open loop
// twice as many as come to be lost.
func (s *Spec) window() int {
	if s.Rate == 0 {
		return s.Depth
	}
	return 64 + int(min(2*s.Rate*lostAfter.Seconds()/float64(s.Conns), 1<<16))
}

func newPacketClient(e *engine, i int) (*packetClient, error) {
	fd, err := dial(e.spec, unix.SOCK_DGRAM)
	if err != nil {
		return nil, err
	}
	at := 1
	if e.spec.Mode == Stream {
		at = e.spec.Depth
		err = os.NewSyscallError("UDP_SEGMENT", unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, e.spec.Size))
		if err == nil {
			err = os.NewSyscallError("UDP_GRO", unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_GRO, 1))
		}
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	}
	if err == nil {
		err = e.watch(fd, i)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	n := e.spec.window()
	return &packetClient{queue: newQueue(i, n), fd: fd, known: make([]bool, n), out: make([]byte, at*e.spec.Size), open: true}, nil
}

func (c *packetClient) next(e *engine) error {
	c.due++
	return c.ask(e)
}

// ask starts the datagrams that there is room for.
func (c *packetClient) ask(e *engine) error {
	n := c.room(e)
	if n <= 0 {
		return nil
	}
	for i := range n {
		*c.answer(c.started + i) = false
	}
	c.start(e, n)
	return c.flush(e)
}

// answer returns whether datagram i of those in flight was answered.
func (c *packetClient) answer(i int64) *bool { return &c.known[i%int64(len(c.known))] }

// pos returns where in the pattern a datagram's bytes begin.
func (c *packetClient) pos(e *engine, number uint32) uint64 {
	return e.pattern.start(c.id) + uint64(number)*uint64(e.spec.Size)
}

func (c *packetClient) fill(e *engine, number uint32, p []byte) {
	copy(p, e.pattern.at(c.pos(e, number), uint64(len(p))))
	if len(p) >= numberSize {
		binary.LittleEndian.PutUint32(p, number)
	}
}

func (c *packetClient) flush(e *engine) error {
	for c.sent = max(c.sent, c.finished); c.sent < c.started && !c.full; {
		n := len(c.out) / e.spec.Size
		for i := range n {
			c.fill(e, uint32(c.sent)+uint32(i), c.out[i*e.spec.Size:][:e.spec.Size])
		}
		took, err := transmit(c.fd, c.out)
		if err != nil {
			return errClosed(c.id, err) // ECONNREFUSED: nobody is there
		}
		if took < 0 {
			c.full = true
			return nil
		}
		c.sent += int64(n)
	}
	return nil
}

func (c *packetClient) ready(e *engine, events uint32) error {
	if events&unix.EPOLLOUT != 0 && c.full {
		c.full = false
		if err := c.flush(e); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	for {
		n, err := receive(c.fd, e.buf)
		if err != nil {
			return errClosed(c.id, err)
		}
		if n < 0 {
			return nil
		}
		if err := c.read(e, e.buf[:n]); err != nil {
			return err
		}
	}
}

// read takes a datagram, or as many of a stream's as came at once.
func (c *packetClient) read(e *engine, p []byte) error {
	for first := true; first || len(p) > 0; first = false {
		one := p[:min(len(p), e.spec.Size)]
		p = p[len(one):]
		if err := c.take(e, one); err != nil {
			return err
		}
		if e.spec.Mode != Stream {
			e.res.Bad += uint64(len(p))
			return nil
		}
	}
	return nil
}

// take takes one datagram.
func (c *packetClient) take(e *engine, p []byte) error {
	number := uint32(c.finished)
	if len(p) < e.spec.Size {
		e.res.Bad += uint64(e.spec.Size - len(p))
	}
	skip := 0
	if len(p) >= numberSize {
		number, skip = binary.LittleEndian.Uint32(p), numberSize
	}
	e.res.Bad += e.pattern.wrong(p[skip:], c.pos(e, number)+uint64(skip))
	i := c.finished + int64(number-uint32(c.finished))
	if i >= c.started || *c.answer(i) {
		return nil // it was lost, and comes late, or it comes twice
	}
	*c.answer(i) = true
	if e.measuring {
		e.res.Bytes += uint64(len(p))
	}
	now := e.now()
	c.sinceDue(e, now, i)
	e.answered(now, c.startedAt(i), 1)
	for c.waits() && *c.answer(c.finished) {
		c.finished++
	}
	return c.ask(e)
}

// sweep gives up what is lost.
func (c *packetClient) sweep(e *engine) error {
	c.giveUp(e, e.now()-int64(lostAfter))
	return c.ask(e)
}

// giveUp counts what was started until then, and has no answer, as lost.
func (c *packetClient) giveUp(e *engine, until int64) {
	for ; c.waits() && (*c.answer(c.finished) || c.startedAt(c.finished) <= until); c.finished++ {
		if !*c.answer(c.finished) && e.recording {
			e.res.Lost++
		}
	}
}

func (c *packetClient) end(e *engine) {
	if !c.open {
		return
	}
	c.open = false
	c.giveUp(e, e.now())
	c.queue.end(e, c.finished)
	unix.Close(c.fd)
}

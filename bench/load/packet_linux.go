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
// and sends the next. What does not come back in time is lost, and counted.
type packetClient struct {
	id, fd int
	base   uint32 // the number of the first datagram in flight
	built  uint32 // how many are in flight, or to be
	sent   uint32 // how many of them were sent
	count  uint32 // how many of them were answered
	known  []bool // which
	began  int64
	full   bool
	out    []byte // all of a batch
	open   bool
}

func newPacketClient(e *engine, i int) (*packetClient, error) {
	fd, err := dial(e.spec, unix.SOCK_DGRAM, false)
	if err != nil {
		return nil, err
	}
	if e.spec.Mode == Stream {
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
	return &packetClient{
		id: i, fd: fd, known: make([]bool, e.spec.Depth), out: make([]byte, e.spec.Depth*e.spec.Size), open: true,
	}, nil
}

func (c *packetClient) waits() bool { return c.count < c.built }

// next sends a batch.
func (c *packetClient) next(e *engine) error {
	c.base += c.built
	c.built, c.sent, c.count, c.began = uint32(e.spec.Depth), 0, 0, e.now()
	clear(c.known)
	for i := range c.built {
		c.fill(e, c.base+i, c.datagram(e, i))
	}
	return c.flush(e)
}

func (c *packetClient) datagram(e *engine, i uint32) []byte {
	return c.out[int(i)*e.spec.Size:][:e.spec.Size]
}

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
	for c.sent < c.built && !c.full {
		p, n := c.datagram(e, c.sent), uint32(1)
		if e.spec.Mode == Stream {
			p, n = c.out, c.built
		}
		took, err := transmit(c.fd, p)
		if err != nil {
			return errClosed(c.id, err) // ECONNREFUSED: nobody is there
		}
		if took < 0 {
			c.full = true
			return nil
		}
		c.sent += n
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
		if err := c.answer(e, one); err != nil {
			return err
		}
		if e.spec.Mode != Stream {
			e.res.Bad += uint64(len(p))
			return nil
		}
	}
	return nil
}

// answer takes one datagram.
func (c *packetClient) answer(e *engine, p []byte) error {
	number := c.base
	if len(p) < e.spec.Size {
		e.res.Bad += uint64(e.spec.Size - len(p))
	}
	skip := 0
	if len(p) >= numberSize {
		number, skip = binary.LittleEndian.Uint32(p), numberSize
	}
	e.res.Bad += e.pattern.wrong(p[skip:], c.pos(e, number)+uint64(skip))
	i := number - c.base
	if i >= c.built || c.known[i] {
		return nil // it was lost, and comes late, or it comes twice
	}
	c.known[i] = true
	c.count++
	if e.measuring {
		e.res.Bytes += uint64(len(p))
	}
	e.answered(e.now(), c.began, 1)
	if c.count == c.built && !e.stopping {
		return c.next(e)
	}
	return nil
}

// sweep gives up what is lost.
func (c *packetClient) sweep(e *engine) error {
	if c.count == c.built || e.now()-c.began < int64(lostAfter) {
		return nil
	}
	if e.recording {
		e.res.Lost += uint64(c.built - c.count)
	}
	if e.stopping {
		c.count = c.built
		return nil
	}
	return c.next(e)
}

func (c *packetClient) end(*engine) {
	if c.open {
		c.open = false
		unix.Close(c.fd)
	}
}

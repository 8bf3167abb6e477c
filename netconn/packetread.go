package netconn

import (
	"net"
	"net/netip"
	"os"
	"sync"

	"mobius/proactor"
)

// datagramSize is the memory of a pooled datagram; a longer one has its own.
const datagramSize = 2048

// A datagram is one that was received and not read yet.
type datagram struct {
	next  *datagram
	bytes []byte
	beside
	from proactor.Address
	mem  [datagramSize]byte
}

var datagrams = sync.Pool{New: func() any { return new(datagram) }}

// A packetReader is the receiving half of a PacketConn.
type packetReader struct {
	turn sync.Mutex // held by the goroutine that reads, also while it waits

	side
	head, tail *datagram
	n, bytes   int   // queued
	err        error // of the socket, told once; receiving begins again then
	begun      bool  // somebody reads: the loop receives
	stopped    bool  // the loop receives no more until there is room
	polling    bool  // somebody waits until the descriptor is readable
}

// roomy reports whether the loop, which has stopped receiving, is to go on. mu
// is held.
func (r *packetReader) roomy(o *Options) bool {
	return r.err == nil && r.n <= o.Datagrams/2 && r.bytes <= o.DatagramBytes/2
}

// push queues a datagram. mu is held.
func (r *packetReader) push(d *datagram) {
	if r.tail == nil {
		r.head = d
	} else {
		r.tail.next = d
	}
	r.tail = d
	r.n++
	r.bytes += len(d.bytes)
}

func (r *packetReader) pop() *datagram {
	d := r.head
	if r.head = d.next; r.head == nil {
		r.tail = nil
	}
	d.next = nil
	r.n--
	r.bytes -= len(d.bytes)
	return d
}

// received takes a result of the RecvFrom. Loop goroutine.
func (c *PacketConn) received(op *proactor.Op) {
	r := &c.r
	r.mu.Lock()
	if op.Err == nil {
		r.push(c.copied(op))
	} else if op.Err != proactor.ErrCanceled {
		r.err, r.stopped = op.Err, true
	}
	c.k.later(&r.w)
	stop := !r.stopped && (r.n >= c.o.Datagrams || r.bytes >= c.o.DatagramBytes)
	r.stopped = r.stopped || stop
	again := !op.More && !r.stopped && !c.ending
	r.mu.Unlock()
	if stop && op.More {
		c.l.Cancel(op)
	}
	if again {
		c.l.Resume(op)
	}
}

// copied returns a copy of what op has lent.
func (c *PacketConn) copied(op *proactor.Op) *datagram {
	d := datagrams.Get().(*datagram)
	d.bytes = append(d.mem[:0], op.Buf...)
	d.control = append(d.control[:0], op.Msg.Control...)
	d.files = append(d.files[:0], op.Msg.Files...)
	d.from, d.flags = c.from, 0
	if op.Msg.Truncated {
		d.flags = truncated
	}
	return d
}

// discard gives a datagram's memory back, and closes descriptors that nobody
// has got.
func (c *PacketConn) discard(d *datagram) {
	d.discard(c.b)
	datagrams.Put(d)
}

// next waits for a datagram and copies it.
func (c *PacketConn) next(p, oob []byte) (n, oobn, flags int, from proactor.Address, err error) {
	r := &c.r
	r.turn.Lock()
	defer r.turn.Unlock()
	d, err := c.take()
	if err != nil {
		return 0, 0, 0, from, err
	}
	n, from = copy(p, d.bytes), d.from
	oobn, flags = d.give(oob)
	if n < len(d.bytes) {
		flags |= truncated
	}
	c.discard(d)
	return n, oobn, flags, from, nil
}

// take waits for a datagram. The turn is the caller's.
func (c *PacketConn) take() (*datagram, error) {
	r := &c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch err := c.closing(); {
		case err != nil:
			return nil, err
		case r.deadline.over():
			return nil, os.ErrDeadlineExceeded
		case r.head != nil:
			d := r.pop()
			if r.stopped && r.roomy(c.o) {
				c.post()
			}
			return d, nil
		case r.err != nil:
			err := inCall("read", r.err)
			r.err = nil
			c.post()
			return nil, err
		case !r.begun:
			r.begun, r.stopped = true, true
			c.post()
		}
		r.awaitTurn(c.k)
	}
}

// Read reads one datagram; what p has no room for is lost.
func (c *PacketConn) Read(p []byte) (int, error) {
	n, _, _, _, err := c.next(p, nil)
	if err != nil {
		return 0, c.opError("read", c.remote, err)
	}
	return n, nil
}

// ReadFrom reads one datagram and tells its sender; what p has no room for is
// lost.
func (c *PacketConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, _, _, from, err := c.next(p, nil)
	if err != nil {
		return 0, nil, c.opError("read", c.remote, err)
	}
	return n, sender(from), nil
}

// sender is where a datagram came from, nil if it has no address.
func sender(a proactor.Address) net.Addr {
	if !a.IsValid() || a.IsUnix() && a.Path() == "" {
		return nil
	}
	return a.NetAddr()
}

// addrPort returns a's address and port.
func addrPort(a proactor.Address) netip.AddrPort { return netip.AddrPortFrom(a.IP(), a.Port()) }

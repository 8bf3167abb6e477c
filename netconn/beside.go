package netconn

import (
	"bytes"
	"slices"

	"mobius/proactor"
)

// keptFiles is how many descriptors a connection keeps that nobody has read: from
// there on it does not receive (SCM_MAX_FD of unix(7): as many as come with one
// message at most).
const keptFiles = 253

// A beside is what has come with the first byte of a piece, or with a datagram.
type beside struct {
	control []byte // in the kernel's form
	files   []int  // in control, and nobody's yet
	flags   int    // recvmsg(2)'s
}

// give copies control data to oob, and with it the descriptors become the caller's. Of what
// does not fit, those descriptors are given that do, as the kernel does it, and a
// flag says so.
func (m *beside) give(oob []byte) (n, flags int) {
	if len(m.control) <= len(oob) {
		m.files = m.files[:0]
		return copy(oob, m.control), m.flags
	}
	n, files := rights(oob, m.files)
	m.files = m.files[files:]
	return n, m.flags | controlTruncated
}

// discard closes the descriptors that nobody has got.
func (m *beside) discard(b proactor.Backend) {
	for _, fd := range m.files {
		_ = b.Discard(fd)
	}
	m.files = m.files[:0]
}

// keepBeside keeps lent bytes with what came beside them. Loop goroutine.
func (c *Conn) keepBeside(op *proactor.Op) {
	m := &beside{control: bytes.Clone(op.Msg.Control), files: slices.Clone(op.Msg.Files)}
	if op.Msg.Truncated {
		m.flags = controlTruncated
	}
	r := &c.r
	r.mu.Lock()
	if r.gone {
		r.mu.Unlock()
		m.discard(c.b)
		return
	}
	p := r.q.get(r)
	p.bytes, p.beside = bytes.Clone(op.Buf), m
	r.q.files += len(m.files)
	r.q.push(p)
	c.k.later(&r.w)
	stop := (r.q.n >= c.o.ReadBuffer || r.q.files >= keptFiles) && !r.stopped
	r.stopped = r.stopped || stop
	r.mu.Unlock()
	if stop && op.More {
		c.l.Cancel(op)
	}
}

// takeBeside takes what came with a piece's first byte, nil if nothing did. r.mu is
// held.
func (c *Conn) takeBeside(p *piece) *beside {
	m := p.beside
	if m != nil {
		p.beside = nil
		c.r.q.files -= len(m.files)
	}
	return m
}

// dropBeside closes what came with a piece and was not asked for. r.mu is held.
func (c *Conn) dropBeside(p *piece) {
	if m := c.takeBeside(p); m != nil {
		m.discard(c.b)
	}
}

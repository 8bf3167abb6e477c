//go:build linux

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Vectors is scratch memory for writes of many pieces. One goroutine at a time.
type Vectors struct {
	v [maxVectors]unix.Iovec
}

// Write makes one non-blocking write of up to limit bytes of op from c on;
// there must be some. It leaves c where it is.
func (v *Vectors) Write(fd int, kind Kind, op *proactor.Op, c *Cursor, limit int) (int, unix.Errno) {
	p := c.next(op)
	if len(p) >= limit || len(p) == c.left {
		return Write(fd, kind, p[:min(len(p), limit)])
	}
	n := 0
	for i := c.piece; ; p = pieceOf(op, i) {
		if len(p) > 0 {
			p = p[:min(len(p), limit)]
			v.v[n].Base = &p[0]
			v.v[n].SetLen(len(p))
			limit -= len(p)
			n++
		}
		if i++; i > len(op.Bufs) || n == maxVectors || limit == 0 {
			break
		}
	}
	sent, err := WriteVectors(fd, kind, v.v[:n])
	clear(v.v[:n]) // they keep memory alive
	return sent, err
}

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

// Write makes one non-blocking write of up to limit of op's bytes beyond the
// first op.B.Done; there must be some.
func (v *Vectors) Write(fd int, kind Kind, op *proactor.Op, limit int) (int, unix.Errno) {
	if len(op.Bufs) == 0 {
		p := op.Buf[op.B.Done:]
		return Write(fd, kind, p[:min(len(p), limit)])
	}
	n := 0
	skip := op.B.Done
	for i := -1; i < len(op.Bufs) && n < maxVectors && limit > 0; i++ {
		p := op.Buf
		if i >= 0 {
			p = op.Bufs[i]
		}
		if skip >= len(p) {
			skip -= len(p)
			continue
		}
		p = p[skip:]
		skip = 0
		p = p[:min(len(p), limit)]
		limit -= len(p)
		v.v[n].Base = &p[0]
		v.v[n].SetLen(len(p))
		n++
	}
	sent, err := WriteVectors(fd, kind, v.v[:n])
	clear(v.v[:n]) // they keep memory alive
	return sent, err
}

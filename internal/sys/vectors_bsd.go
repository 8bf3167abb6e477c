//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Vectors would be scratch memory for writes of many pieces; package unix has
// no use for it here.
type Vectors struct{}

// Write makes one non-blocking write of up to limit of op's bytes beyond the
// first op.B.Done; there must be some. One piece at a time: sendmsg(2) with
// many is not to be had without allocating on these systems.
func (*Vectors) Write(fd int, kind Kind, op *proactor.Op, limit int) (int, unix.Errno) {
	skip := op.B.Done
	for i := -1; i < len(op.Bufs); i++ {
		p := op.Buf
		if i >= 0 {
			p = op.Bufs[i]
		}
		if skip < len(p) {
			p = p[skip:]
			return Write(fd, kind, p[:min(len(p), limit)])
		}
		skip -= len(p)
	}
	return 0, 0
}

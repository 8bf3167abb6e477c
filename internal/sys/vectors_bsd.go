//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Vectors would be scratch memory for writes of many pieces; package unix has
// no use for it here.
type Vectors struct{}

// Write makes one non-blocking write of up to limit bytes of op from c on;
// there must be some. It leaves c where it is. One piece at a time: sendmsg(2)
// with many is not to be had without allocating on these systems.
func (*Vectors) Write(fd int, kind Kind, op *proactor.Op, c *Cursor, limit int) (int, unix.Errno) {
	p := c.next(op)
	return Write(fd, kind, p[:min(len(p), limit)])
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"io"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/invariant"
	"mobius/internal/sys"
	"mobius/proactor"
)

// Pipes, terminals and other descriptors that are no sockets are polled on the
// ring and read and written by system calls: lent buffers are for sockets
// (IORING_OP_READ has had bugs with them).

// pageSize is how much one read of such a descriptor brings at most.
const pageSize = 64 << 10

// pageFor returns where op is to read to: no more than its Limit leaves.
func (b *Backend) pageFor(op *proactor.Op) []byte {
	if b.page == nil || invariant.Enabled {
		b.page = make([]byte, pageSize)
	}
	if op.Limit > 0 {
		return b.page[:min(len(b.page), op.Limit-op.B.Done)]
	}
	return b.page
}

func (b *Backend) readable(op *proactor.Op, res int32) {
	if res < 0 {
		b.failed(op, syscall.Errno(-res))
		return
	}
	p := b.pageFor(op)
	n, errno := sys.Read(int(op.Handle.Index()), sys.Other, p)
	switch {
	case errno != 0:
		b.failed(op, errno)
	case n == 0:
		b.complete(op, 0, io.EOF)
	default:
		b.lend(op, p[:n:n], noBuffer, false)
	}
}

func (b *Backend) writable(s *slot, res int32) {
	op := s.op
	if res < 0 {
		b.failed(op, syscall.Errno(-res))
		return
	}
	var v [cellVectors]unix.Iovec
	n, skip := 0, s.skip
	for i := s.vector; int(i) < len(op.Bufs) && n < len(v); i++ {
		if p := part(op, i)[skip:]; len(p) > 0 {
			v[n].Base = unsafe.SliceData(p)
			v[n].SetLen(len(p))
			n++
		}
		skip = 0
	}
	sent, errno := sys.WriteVectors(int(op.Handle.Index()), sys.Other, v[:n])
	if errno != 0 {
		b.failed(op, errno)
		return
	}
	b.sent(s, sent)
}

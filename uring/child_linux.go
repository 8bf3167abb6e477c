//go:build linux && (amd64 || arm64)

package uring

import (
	"syscall"

	"mobius/proactor"
)

// An OpChild polls the child's pidfd, which is readable once the process has
// ended (pidfd_open(2)), and then asks wait4(2) for it alone. IORING_OP_WAITID
// (6.7) would save the call, but raced with cancels until 6.18.

// childEnded handles the result of that poll.
func (b *Backend) childEnded(op *proactor.Op, res int32) {
	if res < 0 {
		b.failed(op, syscall.Errno(-res))
		return
	}
	status, ended, err := b.Lookup(op.Handle).Reap()
	switch {
	case err != nil:
		b.complete(op, 0, err)
	case !ended:
		b.goOn(op)
	default:
		b.complete(op, status, nil)
	}
}

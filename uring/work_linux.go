//go:build linux && (amd64 || arm64)

package uring

import "mobius/proactor"

func (b *Backend) submitWork(op *proactor.Op) {
	if b.phase == shut {
		b.finish(op, 0, proactor.ErrClosed)
		return
	}
	if err := b.workers.Start(op); err != nil {
		b.finish(op, 0, err)
		return
	}
	b.working++
}

// cancelWork: a Work that has started cannot be stopped, and then completes as
// if nothing had been asked.
func (b *Backend) cancelWork(op *proactor.Op) {
	if b.workers.Cancel(op) {
		b.working--
		op.B.State = proactor.Stopping
		b.finish(op, 0, proactor.ErrCanceled)
	}
}

func (b *Backend) collectWork() {
	if b.working == 0 {
		return
	}
	for op := b.workers.Finished(); op != nil; op = b.workers.Finished() {
		b.working--
		b.finish(op, 0, op.Err)
	}
}

//go:build linux && (amd64 || arm64)

package uring

import "mobius/proactor"

// Cancel implements proactor.Backend.
func (b *Backend) Cancel(op *proactor.Op) {
	if op.B.State != proactor.Active {
		return
	}
	if op.Kind == proactor.OpWork {
		b.cancelWork(op)
		return
	}
	op.B.State = proactor.Stopping
	if op.Kind == proactor.OpRelay && op.B.Where != &b.finished {
		b.cancelRelay(op)
		return
	}
	switch op.B.Where {
	case &b.finished:
		return // it has ended otherwise before
	case nil:
		if s := b.slots.at(op.B.Slot); s.armed {
			b.cancelSlot(s)
		}
		return // else its Complete is running, and settle looks at the state
	}
	op.B.Where.Remove(op)
	b.finish(op, taken(op), proactor.ErrCanceled)
}

// cancelSlot asks the kernel, once for each arming.
func (b *Backend) cancelSlot(s *slot) {
	if s.canceling {
		return
	}
	s.canceling = true
	b.cancelUser(s.user)
}

// cancelUser cancels the submission with the given user data. The cancel's own
// has another kind, and so tells which one it was meant for.
func (b *Backend) cancelUser(user uint64) {
	e := b.entry()
	if e == nil {
		b.cancels = append(b.cancels, user)
		return
	}
	e.PrepCancel(user, kindCancel<<kindShift|user&^kindMask)
	if b.choice.skipSuccess {
		e.Flags |= IOSQE_CQE_SKIP_SUCCESS
	}
}

// maxTries bounds how often a cancel is repeated that found nothing.
const maxTries = 100

// cancelMissed asks again for a submission that a cancel did not find although
// it has not completed: so it is while the kernel hands it to a worker thread.
func (b *Backend) cancelMissed(user uint64) {
	i := uint32(user)
	if i >= b.slots.made {
		return
	}
	s := b.slots.at(i)
	if s.armed && s.role != noting && s.user&^kindMask == user&^kindMask && s.tries < maxTries {
		s.tries++
		b.cancels = append(b.cancels, s.user)
	}
}

// Resume implements proactor.Backend.
func (b *Backend) Resume(op *proactor.Op) {
	switch {
	case op.B.State == proactor.Idle:
		b.Submit(op)
	case op.B.State == proactor.Active || !op.Kind.Streams():
	case op.B.Where != &b.finished:
		op.B.State = proactor.Active // the submission that the cancel ends will be armed again
	case op.Err == proactor.ErrCanceled:
		b.finished.Remove(op)
		op.N, op.Err = 0, nil
		op.B.State = proactor.Active
		b.arm(op)
	}
}

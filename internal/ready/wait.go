package ready

import (
	"golang.org/x/sys/unix"

	"mobius/internal/sys"
	"mobius/proactor"
)

// pollOnce completes op if one of its events holds, else op waits until an event
// says that this may have changed. The kernel is asked each time: what an
// edge said may be over, and an owner who has not read sees no further edge.
func (b *Backend) pollOnce(d *desc, op *proactor.Op) {
	got, err := sys.Ready(&b.pollFD, int(d.handle.Index()), op.Events)
	if err == nil && got == 0 {
		if err = b.watch(d); err == nil && d.bits&always == 0 {
			d.more().polls.Push(op)
			return
		}
		got = op.Events
	}
	if err == nil {
		op.Events = got
	}
	b.finish(op, 0, err)
}

// pollAgain looks at the Poll ops that wait on d.
func (b *Backend) pollAgain(d *desc) {
	h := d.handle
	for n := d.extra.polls.Len(); n > 0 && d.handle == h && d.extra.polls.Len() > 0 && !b.closed; n-- {
		b.try(d.extra.polls.Pop())
	}
}

// child completes op if its process has ended.
func (b *Backend) child(d *desc, op *proactor.Op) {
	status, ended, err := b.Lookup(d.handle).Reap()
	switch {
	case err != nil || ended:
		b.finish(op, status, err)
		return
	case d.bits&watched != 0:
		return
	}
	switch err = b.watch(d); err {
	case nil:
		b.again(op) // it may have ended before it was watched
	case unix.ESRCH:
		b.retryLater(op) // it is ending, so a BSD does not watch it any more
	default:
		b.finish(op, 0, err)
	}
}

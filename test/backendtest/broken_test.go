package backendtest_test

import (
	"errors"
	"syscall"
	"time"

	"mobius/proactor"
)

// A broken backend is a sound one with something changed on the way between
// it and its caller. Without hooks it changes nothing.
type broken struct {
	proactor.Backend
	owners map[*proactor.Op]proactor.Completer
	owner  proactor.Completer // whose op is being completed

	submit   func(op *proactor.Op)              // before an op is submitted
	complete func(op *proactor.Op, pass func()) // instead of Complete, which pass calls
	cancel   func(op *proactor.Op)
	resume   func(op *proactor.Op)
	poll     func(timeout time.Duration) error
	wake     func()
	hold     func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold
	try      func(h proactor.Handle, bufs [][]byte) (int, error)
	token    func(h proactor.Handle) *proactor.Token
	closeFD  func(h proactor.Handle) error
	shutdown func(h proactor.Handle) error
	detach   func(h proactor.Handle) (int, error)
	spawn    func(c *proactor.Command) (proactor.Handle, []proactor.Handle, error)
	signal   func(h proactor.Handle, s syscall.Signal) error
	options  func(h proactor.Handle) (proactor.SocketOptions, error)
	leave    func(h proactor.Handle, m proactor.Membership) error
	stats    func() proactor.Stats
	close    func() error
}

func newBroken(b proactor.Backend) *broken {
	return &broken{Backend: b, owners: map[*proactor.Op]proactor.Completer{}}
}

// own puts the broken backend between op and its owner.
func (b *broken) own(op *proactor.Op) {
	if b.complete != nil && op.Owner != b {
		b.owners[op] = op.Owner
		op.Owner = b
	}
}

// Complete implements proactor.Completer.
func (b *broken) Complete(op *proactor.Op) {
	owner := b.owners[op]
	if !op.More {
		delete(b.owners, op)
		op.Owner = owner
	}
	b.owner = owner
	b.complete(op, func() { owner.Complete(op) })
}

func (b *broken) Submit(op *proactor.Op) {
	if b.submit != nil {
		b.submit(op)
	}
	b.own(op)
	b.Backend.Submit(op)
}

func (b *broken) Cancel(op *proactor.Op) {
	if b.cancel != nil {
		b.cancel(op)
		return
	}
	b.Backend.Cancel(op)
}

func (b *broken) Resume(op *proactor.Op) {
	if b.resume != nil {
		b.resume(op)
		return
	}
	b.own(op)
	b.Backend.Resume(op)
}

func (b *broken) Poll(timeout time.Duration) error {
	if b.poll != nil {
		return b.poll(timeout)
	}
	return b.Backend.Poll(timeout)
}

func (b *broken) Wake() {
	if b.wake != nil {
		b.wake()
		return
	}
	b.Backend.Wake()
}

func (b *broken) Hold(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
	if b.hold != nil {
		return b.hold(op, owner)
	}
	return b.Backend.Hold(op, owner)
}

func (b *broken) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) {
	if b.try != nil {
		return b.try(h, bufs)
	}
	return b.Backend.TryWrite(h, bufs)
}

func (b *broken) Token(h proactor.Handle) *proactor.Token {
	if b.token != nil {
		return b.token(h)
	}
	return b.Backend.Token(h)
}

func (b *broken) CloseFD(h proactor.Handle) error {
	if b.closeFD != nil {
		return b.closeFD(h)
	}
	return b.Backend.CloseFD(h)
}

func (b *broken) Shutdown(h proactor.Handle) error {
	if b.shutdown != nil {
		return b.shutdown(h)
	}
	return b.Backend.Shutdown(h)
}

func (b *broken) Detach(h proactor.Handle) (int, error) {
	if b.detach != nil {
		return b.detach(h)
	}
	return b.Backend.Detach(h)
}

func (b *broken) Spawn(c *proactor.Command) (proactor.Handle, []proactor.Handle, error) {
	if b.spawn != nil {
		return b.spawn(c)
	}
	return b.Backend.Spawn(c)
}

func (b *broken) Signal(h proactor.Handle, s syscall.Signal) error {
	if b.signal != nil {
		return b.signal(h, s)
	}
	return b.Backend.Signal(h, s)
}

func (b *broken) Options(h proactor.Handle) (proactor.SocketOptions, error) {
	if b.options != nil {
		return b.options(h)
	}
	return b.Backend.Options(h)
}

func (b *broken) Leave(h proactor.Handle, m proactor.Membership) error {
	if b.leave != nil {
		return b.leave(h, m)
	}
	return b.Backend.Leave(h, m)
}

func (b *broken) Stats() proactor.Stats {
	if b.stats != nil {
		return b.stats()
	}
	return b.Backend.Stats()
}

func (b *broken) Close() error {
	if b.close != nil {
		return b.close()
	}
	return b.Backend.Close()
}

// evictFunc is a function as an Evictor.
type evictFunc func(h *proactor.Hold)

func (f evictFunc) Evict(h *proactor.Hold) { f(h) }

// pinFunc is a function as a PinOwner.
type pinFunc func(p *proactor.Pin, copied bool)

func (f pinFunc) Released(p *proactor.Pin, copied bool) { f(p, copied) }

// on returns a hook that changes the completions of one kind.
func on(kind proactor.Kind, change func(op *proactor.Op, pass func())) func(*proactor.Op, func()) {
	return func(op *proactor.Op, pass func()) {
		if op.Kind == kind {
			change(op, pass)
			return
		}
		pass()
	}
}

var errBroken = errors.New("the backend is broken")

// atClose has f run when the backend is closed.
func (b *broken) atClose(f func()) {
	before := b.close
	b.close = func() error {
		f()
		if before != nil {
			return before()
		}
		return b.Backend.Close()
	}
}

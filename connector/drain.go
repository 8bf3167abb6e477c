package connector

import (
	"context"
	"fmt"

	"mobius/loop"
)

// Drain stops accepting, and completes the future once the port is closed and
// the last of its connections has ended by itself. Until then the port cannot
// be started again.
func (p *Port) Drain() *loop.Future[struct{}] {
	d := loop.NewFuture[struct{}](p.l)
	p.drain(d)
	return d
}

func (p *Port) drain(d *loop.Future[struct{}]) {
	p.drains = append(p.drains, d)
	p.draining.Store(true) // before the count is read: see share.ended
	p.StopListening()
	p.checkDrained()
}

// checkDrained completes what Drain returned, once it is true.
func (p *Port) checkDrained() {
	if p.state != closed || p.conns.Load() > 0 {
		return
	}
	drains := p.drains
	p.drains = nil
	p.draining.Store(false)
	for _, d := range drains {
		d.Complete(struct{}{}, p.stopErr)
	}
}

// AbortConnections aborts every connection that the port has accepted: what
// they have queued is discarded, and their peers get a reset.
func (p *Port) AbortConnections() {
	for _, s := range p.shares {
		s.call(s.abort)
	}
}

// Shutdown is Drain for other goroutines: it stops accepting and waits until
// all connections have ended by themselves. If ctx ends first, it aborts those
// that are left, waits until they have ended by that, and returns an error that
// tells their number and unwraps to ctx's.
//
// The port's loops must be running. On the goroutine of one of them Shutdown
// would wait for itself: it does nothing and returns loop.ErrOnLoop. If the
// port's loop stops meanwhile, it returns loop.ErrStopped.
func (p *Port) Shutdown(ctx context.Context) error {
	for _, s := range p.shares {
		if s.l.Inside() {
			return loop.ErrOnLoop
		}
	}
	drained := loop.NewFuture[struct{}](p.l)
	if p.l.Insist(func() { p.drain(drained) }) != nil {
		return loop.ErrStopped
	}
	_, err := drained.Wait(ctx)
	if ctx.Err() == nil || err != ctx.Err() {
		return err
	}
	left := p.conns.Load()
	_ = p.l.Insist(p.AbortConnections) // an error means that they have ended with the loop
	if _, err := drained.Wait(context.WithoutCancel(ctx)); err != nil || left == 0 {
		return err
	}
	return fmt.Errorf("port at %v: %d connections were aborted: %w", p.addr, left, ctx.Err())
}

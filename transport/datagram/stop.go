package datagram

import (
	"net"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// StopListening ends the port: nothing more is received, and what was written is
// sent, for at most Options.CloseTimeout. StopProtocol follows, never inside this
// call. The future is completed after it, with the descriptor closed: the
// address is free. Every StopListening returns the same future; that of a port
// which has stopped is completed.
func (p *Port) StopListening() *loop.Future[struct{}] {
	if p.stopped == nil {
		if p.state == closed {
			p.stopped = loop.Completed(p.l, struct{}{}, nil)
		} else {
			p.end(transport.Done, "close", net.ErrClosed)
		}
	}
	return p.stopped
}

// end begins the end, unless it has begun.
func (p *Port) end(kind transport.Kind, op string, err error) {
	if p.state != started {
		return
	}
	p.why = &transport.ConnError{Op: op, Addr: p.bound, Kind: kind, Err: err}
	p.stopped = loop.NewFuture[struct{}](p.l)
	p.state = stopping
	p.drop()
	p.l.Cancel(&p.recv)
	p.l.Cancel(&p.dial)
	p.timer.Stop()
	if p.o.CloseTimeout < 0 || kind == transport.Stopped {
		p.cancelSends()
	} else {
		p.l.Start(&p.timer, p.o.CloseTimeout)
	}
	p.l.AtTurnEnd(&p.flush)
}

// drop forgets what was kept.
func (p *Port) drop() {
	for i := range p.kept {
		p.discard(p.kept[i].msg.Files)
	}
	p.kept = nil
}

func (p *Port) cancelSends() {
	for k := p.active; k != nil; k = k.next {
		p.l.Cancel(&k.op)
	}
}

// settle ends a stop once nothing is under way.
func (p *Port) settle() {
	if p.state == stopping && !p.recv.Active() && !p.dial.Active() && p.queued == 0 {
		p.l.AtTurnEnd(&p.flush)
	}
}

// finish closes the socket and tells the protocol.
func (p *Port) finish() {
	p.state = closed
	p.timer.Stop()
	err := p.l.Sockets().CloseFD(p.recv.Handle)
	p.l.Leave(&p.member)
	p.log("a port is closed")
	p.call(func() { p.p.StopProtocol(p.why) })
	p.stopped.Complete(struct{}{}, err)
}

// events is a Port as its operations, its timer and its loop see it.
type events Port

// Complete takes results of receiving and of Connect.
func (e *events) Complete(op *proactor.Op) {
	p := (*Port)(e)
	if op == &p.dial {
		p.connected(op.Err)
	} else {
		p.received(op)
	}
	p.settle()
}

// Flush ends a stop, or a pause.
func (e *events) Flush() {
	p := (*Port)(e)
	switch {
	case p.state == started:
		p.goOn()
	case p.state == stopping && !p.recv.Active() && !p.dial.Active() && p.queued == 0:
		p.finish()
	}
}

// Expire ends a rest, or patience with what was written.
func (e *events) Expire(*loop.Timer) {
	p := (*Port)(e)
	if p.state == stopping {
		p.cancelSends()
		return
	}
	p.flags &^= resting
	p.goOn()
}

// Fail ends the port with the loop.
func (e *events) Fail(err error) {
	p := (*Port)(e)
	p.end(transport.Stopped, "loop", err)
	p.cancelSends()
}

// Finish ends the port in a loop's Shutdown.
func (e *events) Finish() { (*Port)(e).StopListening() }

// Abandon is the end of a port whose operations will never complete.
func (e *events) Abandon(err error) {
	p := (*Port)(e)
	p.end(transport.Stopped, "loop", err)
	if p.state == stopping {
		p.finish()
	}
}

package proxy

import (
	"errors"
	"io"
	"time"

	"mobius/proactor"
)

// A pipe is one direction of a session. The first one's op connects to the
// upstream before it relays: the two are never active at once, and its relay's Head is
// what the dialer wants to send first.
type pipe struct {
	op      proactor.Op
	relay   proactor.Relay
	counted int64 // of relay.Moved, what the worker's sums have
}

// An upward is a Session as the op of its pipe to the upstream sees it, a
// downward as that of the other one does.
type (
	upward   Session
	downward Session
)

// Complete receives the result of a connect or of a relay.
func (u *upward) Complete(op *proactor.Op) { (*Session)(u).complete(&u.up, op) }

// Complete receives the result of a relay.
func (d *downward) Complete(op *proactor.Op) { (*Session)(d).complete(&d.down, op) }

func (s *Session) complete(p *pipe, op *proactor.Op) {
	defer s.rescue()
	switch {
	case op.Kind == proactor.OpConnect:
		s.connectDone(op.Err)
	case s.phase == cutting:
		if !s.up.op.Active() && !s.down.op.Active() {
			s.finish()
		}
	case op.Err == nil || errors.Is(op.Err, io.EOF):
		s.pipeEnded(p)
	default:
		s.pipeFailed(p, op.Err)
	}
}

func (p *pipe) prepare(owner proactor.Completer, src, dst proactor.Handle, head []byte) *proactor.Op {
	p.relay.Dst, p.relay.Head = dst, head
	p.op = proactor.Op{Kind: proactor.OpRelay, Owner: owner, Handle: src, Relay: &p.relay}
	return &p.op
}

// relay starts both directions.
func (s *Session) relay() {
	s.phase = relaying
	s.since = s.w.l.Now()
	if s.pump != nil || s.upstream.layer != nil {
		s.join()
		return
	}
	head := s.up.relay.Head
	if head == nil {
		head = s.admitted
	} else {
		head = append(head[:len(head):len(head)], s.admitted...)
	}
	s.admitted = nil
	s.w.l.Submit(s.up.prepare((*upward)(s), s.client, s.server, head))
	s.w.l.Submit(s.down.prepare((*downward)(s), s.server, s.client, nil))
	s.armLater(s.w.p.o.IdleTimeout)
}

// pipeEnded passes the end of a stream on, once its last byte has been taken.
// What reads like an end after sending to that side has failed is none: the
// kernel tells of a reset once only, and then says that there is no more.
func (s *Session) pipeEnded(p *pipe) {
	if s.reason == Done {
		s.w.l.Sockets().Shutdown(p.relay.Dst) // if that side is gone, the other pipe tells
	}
	s.halfClose()
}

// halfClose finishes the session, or gives the other direction its time.
func (s *Session) halfClose() {
	if !s.up.op.Active() && !s.down.op.Active() {
		s.finish()
		return
	}
	s.phase = halfClosed
	s.since = s.w.l.Now()
	s.arm(s.glance(s.w.p.o.HalfClosedTimeout))
}

// pipeFailed ends a session whose connection to one side broke. If reading
// failed, that side is gone and so is what would be sent to it. If writing
// failed, what that side said before may still be under way to the other: it
// is delivered, and then the other side is reset.
func (s *Session) pipeFailed(p *pipe, err error) {
	broken := Server
	if (p == &s.up) == (p.relay.Side == proactor.Source) {
		broken = Client
	}
	if p.relay.Side != proactor.Sink {
		s.cut(Broken, broken, err)
		return
	}
	s.note(Broken, broken, err)
	s.halfClose()
}

// arm makes the session's timer fire after d at the latest, for what fire
// will find to be due then; a negative d is never.
func (s *Session) arm(d time.Duration) {
	if d < 0 {
		s.timer.Stop()
		return
	}
	s.w.l.Start(&s.timer, d)
}

// armLater is arm for times that need not be met early: a timer that runs is
// left alone, since fire arms it again, and moving one costs a heap's work.
func (s *Session) armLater(d time.Duration) {
	if d < 0 || !s.timer.Active() || s.timer.Deadline() > s.since+d {
		s.arm(d)
	}
}

// fire is the session's timer: it judges from what has happened since, so that
// nothing had to be re-armed while it happened.
func (s *Session) fire() {
	if s.pump != nil && s.pump.stirred() {
		s.since = s.w.l.Now()
	}
	o := &s.w.p.o
	limit, last := o.AcceptTimeout, s.since
	switch s.phase {
	case dialing:
		limit = o.ConnectTimeout
	case relaying:
		limit = o.IdleTimeout
		last = s.lastMove()
	case halfClosed:
		limit = o.HalfClosedTimeout
		last = s.lastMove()
	}
	if limit < 0 {
		return
	}
	if left := last + limit - s.w.l.Now(); left > 0 {
		s.arm(min(left, s.glance(limit)))
		return
	}
	s.timedOut()
}

// lastMove returns when the latest byte moved, or the phase began.
func (s *Session) lastMove() time.Duration {
	return max(s.since, time.Duration(s.up.relay.Last.Load()), time.Duration(s.down.relay.Last.Load()))
}

func (s *Session) timedOut() {
	switch s.phase {
	case admitting:
		s.cut(Slow, Client, nil)
	case dialing:
		s.late = true
		s.cancelDial()
	case relaying:
		s.cut(Idle, Nobody, nil)
	case halfClosed:
		silent := Client
		if s.down.op.Active() || s.pump != nil && !s.pump.server.peerDone {
			silent = Server
		}
		s.cut(HalfClosed, silent, nil)
	}
}

package proxy

import (
	"fmt"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A Session is one proxied connection: a client's socket, an upstream's, and
// the two relays between them. It lives on one loop, and all its methods are for
// that loop's goroutine. Stages must not use it after its end.
//
// The order of the fields puts what each turn of a relay writes, in up and in
// down, in one cache line each. A test watches over that, and over the size.
type Session struct {
	Value any // the filter's until it has decided, then the dialer's: for what they keep of a session

	w        *worker
	listener *listener
	upstream *Upstream
	pump     *pump // in place of the relays, if a side has a layer
	up, down pipe  // client to upstream, upstream to client
	timer    loop.Timer
	client   proactor.Handle
	server   proactor.Handle
	peer     proactor.Address
	admitted []byte // read from the client by the filter; sent to the upstream first, but for what the dialer sends
	err      error
	started  time.Duration // accept
	since    time.Duration // start of the attempt, of relaying, or of half close
	tried    uint64        // bits of RoundRobin's upstreams
	index    int32         // in worker.sessions
	attempts int32
	phase    phase
	reason   Reason
	side     Side

	connected bool // counted among upstream's live ones
	late      bool // the attempt's time is over and it was told to end
}

// A phase is where a session is in its life.
//
//	admitting ─Admit─▶ dialing ─Connected─▶ relaying ─one end─▶ halfClosed
//	    │               │   ▲                   │                   │
//	    │               └───┘ DialFailed        │ failure,          │ other end:
//	    │ Refuse        │ no upstream left      │ timeout           │ ended, Done
//	    ▼               ▼                       ▼                   │
//	  ended ◀───────────┴───────────────── cutting ◀────────────────┤ failure,
//	    ▲                               last op done                │ timeout
//	    └───────────────────────────────────────────────────────────┘
//
// Cutting waits for whatever is active after it was told to end: the filter,
// the dialer or the relays. Between admitting and dialing, a client that has a
// layer is securing: in its handshake. (The upstream's is a part of dialing.)
// What ends while a side has a transport is closing until that has ended, too.
type phase uint8

const (
	admitting phase = iota
	securing
	dialing
	relaying
	halfClosed
	cutting
	closing
	ended
)

// Client returns the handle of the client's connection, for filters.
func (s *Session) Client() proactor.Handle { return s.client }

// Peer returns the client's address.
func (s *Session) Peer() proactor.Address { return s.peer }

// Listener returns the address of the listener that accepted the client.
func (s *Session) Listener() proactor.Address { return s.listener.addr }

// Loop returns the loop on which the session lives.
func (s *Session) Loop() *loop.Loop { return s.w.l }

// Upstream returns the upstream of the attempt under way, nil before the first.
func (s *Session) Upstream() *Upstream { return s.upstream }

// Attempts returns how many upstreams have been tried, the present one not
// counted.
func (s *Session) Attempts() int { return int(s.attempts) }

// Admit is a filter's yes. read is what it has read from the client: the
// upstream gets it first. The session owns it from now on.
func (s *Session) Admit(read []byte) {
	switch s.phase {
	case cutting:
		s.finish()
	case admitting:
		s.admitted = read
		if s.listener.layer != nil {
			s.secureClient()
			return
		}
		s.phase = dialing
		s.dial()
	default:
		panic("proxy: Admit of a session that is not at its filter")
	}
}

// Refuse is a filter's no: the client is reset.
func (s *Session) Refuse(why error) {
	if s.phase != cutting {
		s.note(Refused, Client, why)
	}
	s.finish()
}

// begin starts a session for a connection just accepted.
func (s *Session) begin() {
	s.started = s.w.l.Now()
	s.since = s.started
	s.w.accepted.Add(1)
	s.w.enlist(s)
	if limit := s.w.p.o.MaxSessions; s.w.p.live.Load() > int64(limit) {
		s.w.crowd(s)
		s.Refuse(proactor.ErrLimit)
		return
	}
	s.timer.Owner = (*expirer)(s)
	s.w.p.o.Accept.Accept(s)
	if s.phase == admitting {
		s.arm(s.w.p.o.AcceptTimeout)
	}
}

// An expirer is a Session as its timer sees it.
type expirer Session

// Expire judges what is due.
func (e *expirer) Expire(*loop.Timer) {
	s := (*Session)(e)
	defer s.rescue()
	s.fire()
}

// rescue ends a session whose stage panicked; the loop reports the panic as
// it does others. A stage that left ops of its own active on the session's
// handles leaves those open, since nobody else knows how to end them.
func (s *Session) rescue() {
	v := recover()
	if v == nil {
		return
	}
	if s.phase != ended {
		s.note(Panicked, Nobody, fmt.Errorf("panic: %v", v))
		s.w.l.Cancel(&s.up.op)
		s.w.l.Cancel(&s.down.op)
		s.phase = cutting
		if !s.up.op.Active() && !s.down.op.Active() {
			s.finish()
		}
	}
	panic(v)
}

// note records why the session ends: the first reason counts.
func (s *Session) note(r Reason, side Side, err error) {
	if s.reason == Done {
		s.reason, s.side, s.err = r, side, err
	}
}

// cut ends the session early: whatever is active is told to end, and the last
// of it to do so finishes the session.
func (s *Session) cut(r Reason, side Side, err error) {
	was := s.phase
	if was == cutting || was == closing || was == ended {
		return
	}
	s.note(r, side, err)
	s.phase = cutting
	s.timer.Stop()
	switch was {
	case admitting:
		s.w.p.o.Accept.Cancel(s)
	case securing:
		s.finish()
	case dialing:
		s.cancelDial()
	case relaying, halfClosed:
		s.w.l.Cancel(&s.up.op)
		s.w.l.Cancel(&s.down.op)
		if !s.up.op.Active() && !s.down.op.Active() {
			s.finish()
		}
	}
}

// finish closes both sides, passes a failure on as a reset, and reports.
func (s *Session) finish() {
	s.timer.Stop()
	if s.pump != nil && !s.pump.ended() {
		s.phase = closing
		s.pump.abort()
		return
	}
	s.phase = ended
	s.close(s.client)
	s.close(s.server)
	s.count()
	s.w.delist(s)
	defer s.w.ended(s) // a Reporter may panic
	s.tell(s.report())
}

func (s *Session) tell(r *Report) {
	o := &s.w.p.o
	if o.Sample > 0 {
		s.w.p.keepReport(s.w.now(), r)
	}
	if o.Report != nil {
		o.Report.Closed(r)
	}
}

func (s *Session) close(h proactor.Handle) {
	if h == 0 {
		return
	}
	sockets := s.w.l.Sockets()
	if s.reason != Done {
		sockets.Reset(h) // fails only if the handle is stale
	}
	sockets.CloseFD(h)
}

func (s *Session) report() *Report {
	r := &Report{
		Client: s.peer, Listener: s.listener.addr, Over: s.listener.layer, Attempts: int(s.attempts),
		Reason: s.reason, Side: s.side, Err: s.err,
		Sent: s.up.relay.Moved.Load(), Received: s.down.relay.Moved.Load(),
		Duration: s.w.l.Now() - s.started,
	}
	if s.upstream != nil {
		r.Upstream, r.UpstreamOver = s.upstream.addr, s.upstream.layer
	}
	return r
}

package proxy

import (
	"cmp"
	"errors"
	"time"

	"mobius/transport"
)

// A pump is what a session has in place of relays if a side of it has a layer:
// a transport on each side, nil where there is none yet. What one receives is
// written to the other, and read no faster than that one's peer takes it: at
// most HighWater of transport.Options and what one receive has brought waits.
type pump struct {
	client, server *end
}

// glances is into how many parts a patience is cut, to see whether what waits
// for a slow peer has become less: how much too late a session with a pump may end.
const glances = 4

// glance returns after how much of d the timer should look for the first time.
func (s *Session) glance(d time.Duration) time.Duration {
	if s.pump == nil || d < 0 {
		return d
	}
	return max(d/glances, 1)
}

// secureClient begins the client's handshake. The layer bounds its time.
func (s *Session) secureClient() {
	s.phase = securing
	s.timer.Stop()
	s.pump = &pump{}
	h, read := s.client, s.admitted
	s.client, s.admitted = 0, nil
	s.pump.client = s.newEnd(Client, h, s.listener.layer, nil, read)
}

// secureServer begins the upstream's handshake, within ConnectTimeout. A
// dialer's prefix goes before it, in clear.
func (s *Session) secureServer() {
	if s.pump == nil {
		s.pump = &pump{}
	}
	h, head := s.server, s.up.relay.Head
	s.server, s.up.relay.Head = 0, nil
	s.pump.server = s.newEnd(Server, h, s.upstream.layer, head, nil)
}

// cancelDial ends an attempt to connect early, wherever it is.
func (s *Session) cancelDial() {
	if s.pump == nil || s.pump.server == nil {
		s.w.p.o.Dial.Cancel(s)
		return
	}
	s.pump.server.t.AbortConnection() // in its handshake
}

// join begins to carry bytes both ways.
func (s *Session) join() {
	p := s.pump
	if p.client == nil {
		h := s.client
		s.client = 0
		p.client = s.newEnd(Client, h, nil, nil, nil)
	}
	if p.server == nil {
		s.secureServer()
	}
	p.client.other, p.server.other = p.server, p.client
	s.up.moved(s, len(p.server.head))
	p.server.head = nil
	if read := s.admitted; len(read) > 0 {
		s.admitted = nil
		if p.client.DataReceived(read); s.phase != relaying {
			return
		}
	}
	p.client.begin()
	p.server.begin()
	s.armLater(s.glance(s.w.p.o.IdleTimeout))
}

// begin reads, unless the other end is full already.
func (e *end) begin() {
	if !e.other.full {
		e.t.ResumeReading()
	}
}

// halfCloses gives the other direction its time, and the last one that of its
// output.
func (s *Session) halfCloses() {
	s.phase = halfClosed
	s.since = s.w.l.Now()
	s.arm(s.glance(s.w.p.o.HalfClosedTimeout))
}

// endLost goes on when the transport of one side has ended.
func (s *Session) endLost(e *end, err error) {
	why, orderly := reasonOf(err), e.endedWell(err)
	err = causeOf(err)
	switch s.phase {
	case closing:
		s.finish() // if it was the last
	case securing:
		s.note(cmp.Or(why, Handshake), Client, err)
		s.finish()
	case dialing:
		if e.side == Server {
			s.pump.server = nil
			s.DialFailed(err)
			return
		}
		s.cut(cmp.Or(why, Broken), Client, err)
	case cutting: // the dialer is still at it, or this was its handshake
		if e.side == Server {
			s.pump.server = nil
			s.DialFailed(err)
		}
	case relaying, halfClosed:
		switch {
		case !orderly:
			s.cut(cmp.Or(why, Broken), e.side, err)
		case s.pump.ended():
			s.finish()
		}
	}
}

// endedWell reports whether a transport has ended because both directions had.
func (e *end) endedWell(err error) bool {
	var c *transport.ConnError
	return errors.As(err, &c) && c.Kind == transport.Done && e.peerDone && e.other.peerDone
}

// reasonOf returns why a session ends whose transport ended with err, Done if
// that is for the phase to say.
func reasonOf(err error) Reason {
	var c *transport.ConnError
	if !errors.As(err, &c) {
		return Done
	}
	switch c.Kind {
	case transport.Stopped:
		return Stopped
	case transport.Panicked:
		return Panicked
	}
	return Done
}

// causeOf returns what a report says of a transport's end, which names the
// side itself.
func causeOf(err error) error {
	var c *transport.ConnError
	if errors.As(err, &c) {
		return c.Err
	}
	return err
}

// each calls f for each end that there is.
func (p *pump) each(f func(*end)) {
	for _, e := range [...]*end{p.client, p.server} {
		if e != nil {
			f(e)
		}
	}
}

// ended reports whether no transport is left.
func (p *pump) ended() bool {
	left := 0
	p.each(func(e *end) {
		if e.state != over {
			left++
		}
	})
	return left == 0
}

// abort resets what is left.
func (p *pump) abort() {
	p.each(func(e *end) {
		if e.state != over {
			e.t.AbortConnection()
		}
	})
}

// stirred reports whether what waits for a peer has changed since it was last
// asked.
func (p *pump) stirred() bool {
	changed := false
	p.each(func(e *end) {
		if n := e.queuedNow(); n != e.queued {
			e.queued, changed = n, true
		}
	})
	return changed
}

package twisted

import (
	"testing"
	"time"

	"mobius/connector"
	"mobius/transport"
)

// Abort inside DataReceived: ConnectionLost comes later, once, and says so; the
// peer notices; nothing is left.
func TestCase163AbortInDataReceived(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client := s.plant("server"), s.plant("client")
		server.talker.onData = func(p *talker) {
			p.note("abort")
			p.t.AbortConnection()
			p.note("returned")
		}
		a, b := s.pair(server, client)
		b.write("x")
		s.bothLost(a, b)
		if kindOf(a.err) != "aborted" || kindOf(b.err) != "lost" && kindOf(b.err) != "done" {
			s.Errorf("ended with %v and %v, want aborted, and lost or done", a.err, b.err)
		}
		s.Until("the factories are told", func() bool { return s.has("client stop") })
		var own []string
		for _, e := range s.events {
			if e[0] == 's' {
				own = append(own, e)
			}
		}
		s.events = own
		s.expect("server abort", "server returned", "server lost: aborted")
		if a.lost != 1 || b.lost != 1 {
			s.Errorf("lost %d and %d times, want once each", a.lost, b.lost)
		}
		s.idle()
	})
}

// DataReceived aborts and then panics: lost once, with the panic as reason.
func TestCase172AbortAndPanicInDataReceived(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onData = func(p *talker) {
			p.t.AbortConnection()
			panic("thrown")
		}
		a, b := s.pair(server, s.silent("client"))
		b.write("x")
		s.bothLost(a, b)
		s.endedBy(a, "thrown")
	})
}

// A client that aborts, and aborts again: it ends once.
func TestCase164ClientAbortsTwice(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		b.t.AbortConnection()
		b.t.AbortConnection()
		s.aborted(b, a)
	})
}

// A client that aborts, and then closes: the abort counts.
func TestCase165ClientAbortsAndCloses(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		b.t.AbortConnection()
		b.t.LoseConnection()
		s.aborted(b, a)
	})
}

// A server that aborts, and then closes: the abort counts.
func TestCase167ServerAbortsAndCloses(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		a.t.AbortConnection()
		a.t.LoseConnection()
		s.aborted(a, b)
	})
}

// aborted checks that by has aborted, once, and that the peer noticed, once.
func (s *scene) aborted(by, peer *talker) {
	s.Helper()
	s.bothLost(by, peer)
	s.turns(3)
	if kindOf(by.err) != "aborted" || by.lost != 1 {
		s.Errorf("%s was lost %d times, %v; want once, aborted", by.name, by.lost, by.err)
	}
	if k := kindOf(peer.err); k != "lost" && k != "done" || peer.lost != 1 {
		s.Errorf("%s was lost %d times, %v; want once, lost or done", peer.name, peer.lost, peer.err)
	}
	s.idle()
}

// few are marks that a single write passes.
var few = transport.Options{HighWater: 1000, LowWater: 100}

// Abort in ResumeWriting, before the peer has said anything: ConnectionLost
// comes later.
func TestCase168AbortInResumeWriting(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.plant("server")
		server.talker.onMade = func(p *talker) { p.write(string(make([]byte, 2000))) }
		server.wrap = func(p *talker) transport.Protocol {
			return &pacedTalker{talker: p, onResume: func(p *talker) {
				p.note("abort")
				p.t.AbortConnection()
				p.note("returned")
			}}
		}
		p := s.listenWith(server, connector.ListenOptions{Transport: &few})
		client := s.silent("client")
		s.connect(p.Addr(), client)
		s.await("server lost: aborted")
		s.Until("the client has noticed", func() bool { return len(client.made) == 1 && client.made[0].err != nil })
		s.stop(p)
		s.expect("server start", "server build", "server made", "server pause", "server resume", "server abort",
			"server returned", "server lost: aborted", "server stop")
		s.idle()
	})
}

// resumer is a server whose protocols answer the first bytes with more than
// they may queue, and do what is given when they may go on.
func (s *scene) resumer(then func(p *talker)) *plant {
	f := s.plant("server")
	f.talker.onData = func(p *talker) {
		if len(p.got) == 1 {
			p.write(string(make([]byte, 2000)))
		}
	}
	f.wrap = func(p *talker) transport.Protocol { return &pacedTalker{talker: p, onResume: then} }
	return f
}

// Abort in ResumeWriting, after bytes went both ways.
func TestCase169AbortInResumeWritingLater(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.resumer(func(p *talker) {
			p.t.AbortConnection()
			p.note("returned")
		})
		a, b := s.pairWith(server, s.silent("client"), &few)
		b.write("x")
		s.aborted(a, b)
		s.expect("server pause", "server resume", "server returned", "server lost: aborted")
	})
}

// Abort while the peer reads nothing and everything on the way is full: it does
// not wait for the peer.
func TestCase171AbortOfAFullConnection(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.plant("server"), s.silent("client"))
		b.write("x")
		a.has(1)
		a.write("y")
		b.has(1)
		b.t.PauseReading()
		s.fill(a)
		s.expect()
		start := s.l.Now()
		a.t.AbortConnection()
		s.await("server lost: aborted")
		if took := s.l.Now() - start; took > time.Second {
			s.Errorf("the abort took %v", took)
		}
		b.t.ResumeReading()
		s.aborted(a, b)
	})
}

// fill writes until neither the kernel nor the peer takes any more.
func (s *scene) fill(p *talker) {
	s.Helper()
	q, _ := transport.As[transport.Queuer](p.t)
	piece := string(make([]byte, 64<<10))
	for stuck, last := 0, -1; stuck < 50; {
		if q.Queued() < 4*len(piece) {
			p.write(piece)
		}
		s.Turn()
		if stuck++; q.Queued() != last {
			stuck, last = 0, q.Queued()
		}
	}
}

// ResumeWriting aborts and then panics: lost once, with the panic as reason.
func TestCase173AbortAndPanicInResumeWriting(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.resumer(func(p *talker) {
			p.t.AbortConnection()
			panic("thrown")
		})
		a, b := s.pairWith(server, s.silent("client"), &few)
		b.write("x")
		s.bothLost(a, b)
		s.endedBy(a, "thrown")
	})
}

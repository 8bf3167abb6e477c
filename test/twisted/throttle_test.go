package twisted

import (
	"strings"
	"testing"
	"time"

	"mobius/policies"
	"mobius/transport"
)

// throttled connects an outlet under a throttle to a client.
func (s *scene) throttled(f *policies.Throttle) (o *outlet, client *talker, over func()) {
	s.Helper()
	server := s.silent("server")
	server.wrap = func(p *talker) transport.Protocol {
		o = &outlet{talker: p}
		return o
	}
	f.Factory = server
	p, clients := s.connected(f)
	s.Until("the server is connected", func() bool { return o != nil && o.talker.t != nil })
	return o, clients.made[0], func() { s.over(p, clients) }
}

func TestCase392WriteLimit(t *testing.T) {
	eachStream(t, func(s *scene) {
		o, client, over := s.throttled(&policies.Throttle{Each: policies.Rates{Write: 10_000}})
		if err := o.RegisterProducer(&faucet{s: s}); err != nil {
			s.Fatal(err)
		}
		start := s.l.Now()
		o.write(strings.Repeat("x", 12_000))
		s.expect("pause")
		o.write("a word more")
		client.has(12_011) // nothing is held back
		s.expect()
		s.await("resume")
		s.expect("resume")
		s.lasted(s.l.Now()-start, 200*time.Millisecond)
		o.UnregisterProducer()
		over()
	})
}

// lasted checks that d is as long as it should be; virtual time tells exactly.
func (s *scene) lasted(d, least time.Duration) {
	s.Helper()
	if d < least || s.Net != nil && d > least+20*time.Millisecond {
		s.Errorf("it took %v, want %v", d, least)
	}
}

// A pull producer is asked at the rate, and a limit of all connections holds
// for each of them.
func TestCase392PullProducerAtARate(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net == nil {
			return // it takes virtual time
		}
		o, client, over := s.throttled(&policies.Throttle{Total: policies.Rates{Write: 1000}, Burst: time.Second / 2})
		f := &faucet{s: s}
		f.onResume = func() {
			if _, err := o.Write([]byte(strings.Repeat("p", 100))); err != nil {
				s.Error(err)
			}
		}
		if err := o.RegisterPull(pull{f}); err != nil {
			s.Fatal(err)
		}
		for n := 1; n <= 3; n++ {
			s.Pass(s.l, 10*time.Second)
			if got, want := len(client.got), 500+n*10_000; got < want-1000 || got > want+1000 {
				s.Errorf("after %d0 s at 1000 B/s there are %d bytes", n, got)
			}
		}
		o.UnregisterProducer()
		over()
	})
}

func TestCase393ReadLimit(t *testing.T) {
	eachStream(t, func(s *scene) {
		o, client, over := s.throttled(&policies.Throttle{Each: policies.Rates{Read: 100_000}})
		var last time.Duration
		o.onData = func(*talker) { last = s.l.Now() }
		start := s.l.Now()
		client.write(strings.Repeat("x", 120_000))
		o.has(120_000)
		client.write("y")
		o.has(120_001)
		s.lasted(last-start, 200*time.Millisecond)
		over()
	})
}

// A protocol and the rates pause independently of each other: reading goes on
// when both let it.
func TestCase393PausedByBoth(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net == nil {
			return // it takes virtual time
		}
		o, client, over := s.throttled(&policies.Throttle{Total: policies.Rates{Read: 1000}})
		client.write(strings.Repeat("x", 3000)) // 2 s too much
		o.has(3000)
		client.write("y")
		o.talker.t.ResumeReading()
		s.Pass(s.l, time.Second)
		if len(o.got) != 3000 {
			s.Error("a ResumeReading of the protocol's ended the pause")
		}
		o.talker.t.PauseReading()
		s.Pass(s.l, 5*time.Second)
		if len(o.got) != 3000 {
			s.Error("the end of the pause ended the protocol's")
		}
		o.talker.t.ResumeReading()
		o.has(3001)
		over()
	})
}

// A connection that comes when all have had too much waits its turn.
func TestCase393NewcomerWaits(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net == nil {
			return // it takes virtual time
		}
		server := s.silent("server")
		p, first := s.connected(&policies.Throttle{Factory: server, Total: policies.Rates{Read: 1000}})
		first.made[0].write(strings.Repeat("x", 3000))
		s.Until("it has come", func() bool { return len(server.made) == 1 && len(server.made[0].got) == 3000 })
		start, last := s.l.Now(), time.Duration(0)
		server.talker.onData = func(*talker) { last = s.l.Now() }
		second := s.silent("second")
		s.connect(p.Addr(), second)
		s.Until("both are connected", func() bool { return len(server.made) == 2 && len(second.made) == 1 && second.made[0].t != nil })
		second.made[0].write("y")
		server.made[1].has(1)
		s.lasted(last-start, 2*time.Second-time.Millisecond)
		s.over(p, first, second)
	})
}

package twisted

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"mobius/connector"
	"mobius/flow"
	"mobius/internal/invariant"
	"mobius/proactor"
	"mobius/transport"
)

// forwarding puts a forwarder before a server's port, and connects to it. The
// kernel's buffers are small, so that few bytes fill all that lies between.
func (s *scene) forwarding(server *plant, f *flow.Forwarder, client *plant) (*connector.Port, *connector.Port) {
	s.Helper()
	o := &proactor.SocketOptions{SendBuffer: 64 << 10, RecvBuffer: 64 << 10}
	back := s.listenWith(server, connector.ListenOptions{Socket: o})
	f.To, f.Options = connector.To(back.Addr()), connector.Options{Socket: o}
	front := s.listenWith(f, connector.ListenOptions{Socket: o})
	connector.Connect(s.l, connector.To(front.Addr()), client, connector.Options{Socket: o})
	return back, front
}

func TestCase403ForwardsBothWays(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client, f := s.silent("server"), s.silent("client"), &flow.Forwarder{}
		server.talker.onData = func(p *talker) {
			p.write(string(p.got))
			p.got = nil
		}
		back, front := s.forwarding(server, f, client)
		s.Until("connected", func() bool { return len(client.made) == 1 && client.made[0].t != nil })
		c := client.made[0]
		c.write(strings.Repeat("x", 1000))
		c.has(1000)
		if f.Conns() != 1 {
			s.Errorf("%d clients are served, want 1", f.Conns())
		}
		c.t.LoseConnection()
		s.bothLost(c, server.made[0])
		s.Until("nobody is served", func() bool { return f.Conns() == 0 })
		s.stop(front)
		s.stop(back)
		s.idle()
	})
}

// Each side's output paces the other side's input: what a server writes to a
// client that does not read stays in the server.
func TestCase404EachIsTheProducerOfTheOther(t *testing.T) {
	run := eachHostile
	if invariant.Enabled { // 3 MiB in pieces of a few bytes take long there
		run = each
	}
	run(t, func(s *scene) {
		server, client, f := s.silent("server"), s.silent("client"), &flow.Forwarder{}
		const total = 3 << 20
		server.talker.onMade = func(p *talker) {
			if _, err := p.t.Write(bytes.Repeat([]byte("y"), total)); err != nil {
				s.Error(err)
			}
		}
		client.talker.onMade = func(p *talker) { p.t.PauseReading() }
		back, front := s.forwarding(server, f, client)
		s.Until("connected", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		q, _ := transport.As[transport.Queuer](server.made[0].t)
		for last, still := 0, 0; still < 50; still++ {
			s.Turn()
			if q.Queued() != last {
				last, still = q.Queued(), 0
			}
		}
		if q.Queued() == 0 {
			s.Error("the forwarder has taken everything for a client that does not read")
		}
		c := client.made[0]
		c.t.ResumeReading()
		for n := 1 << 20; n <= total; n += 1 << 20 {
			c.has(n) // by a few bytes at a time on a busy machine all of it takes half a minute
		}
		c.t.LoseConnection()
		s.bothLost(c, server.made[0])
		s.stop(front)
		s.stop(back)
		s.idle()
	})
}

func TestX48HalfCloseIsForwarded(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client, f := s.silent("server"), s.silent("client"), &flow.Forwarder{}
		server.wrap = func(p *talker) transport.Protocol {
			return &halfTalker{talker: p, onReadLost: func(p *talker) {
				p.write("the reply to " + string(p.got))
				p.t.LoseConnection()
			}}
		}
		client.wrap = func(p *talker) transport.Protocol { return &halfTalker{talker: p} }
		client.talker.onMade = func(p *talker) {
			p.write("a request")
			p.t.LoseWriteConnection()
		}
		back, front := s.forwarding(server, f, client)
		s.Until("the end", func() bool { return len(client.made) == 1 && client.made[0].err != nil })
		if got := string(client.made[0].got); got != "the reply to a request" || kindOf(client.made[0].err) != "done" {
			s.Errorf("the client got %q, then %v", got, client.made[0].err)
		}
		s.stop(front)
		s.stop(back)
		s.idle()
	})
}

// A client for which there is no connection is reset, and told about.
func TestX48NobodyBehindTheForwarder(t *testing.T) {
	eachTCP(t, func(s *scene) {
		var ended error
		client := s.silent("client")
		f := &flow.Forwarder{To: connector.To(s.deadEnd())}
		f.Ended = func(_ proactor.Address, _ time.Duration, err error) { ended = err }
		front := s.listen(f)
		s.connect(front.Addr(), client)
		s.Until("the client is lost", func() bool { return len(client.errs) == 1 })
		s.Until("the session is over", func() bool { return ended != nil })
		if kindOf(client.errs[0]) != "lost" || kindOf(ended) != "refused" || f.Conns() != 0 {
			s.Errorf("the client ended by %v, the attempt by %v; %d clients left", client.errs[0], ended, f.Conns())
		}
		s.stop(front)
		s.idle()
	})
}

// The cap on clients, and that a place becomes free.
func TestX48CapOnClients(t *testing.T) {
	each(t, func(s *scene) {
		server, first, second, third := s.silent("server"), s.silent("first"), s.silent("second"), s.silent("third")
		f := &flow.Forwarder{MaxConns: 1}
		back, front := s.forwarding(server, f, first)
		s.Until("connected through", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		s.connect(front.Addr(), second)
		s.Until("the second is lost", func() bool { return len(second.errs) == 1 })
		if len(server.made) != 1 || f.Conns() != 1 {
			s.Errorf("%d connections reached the server, %d are served", len(server.made), f.Conns())
		}
		first.made[0].t.LoseConnection()
		s.Until("nobody is served", func() bool { return f.Conns() == 0 })
		s.connect(front.Addr(), third)
		s.Until("the third is connected through", func() bool { return len(server.made) == 2 && server.made[1].t != nil })
		third.made[0].t.AbortConnection()
		s.Until("all are over", func() bool { return f.Conns() == 0 && server.made[1].err != nil })
		if kindOf(server.made[1].err) != "lost" {
			s.Errorf("a reset reached the server as %v", server.made[1].err)
		}
		s.stop(front)
		s.stop(back)
		s.idle()
	})
}

package twisted

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mobius/connector"
	"mobius/flow"
	"mobius/policies"
	"mobius/proactor"
	"mobius/transport"
)

// noted is a policy that does nothing but note that it is there.
func (s *scene) noted(name string) func(proactor.Address, *policies.Wrapper) {
	return func(_ proactor.Address, w *policies.Wrapper) {
		w.Made = func(transport.Transport) { s.note("%s made", name) }
		w.Received = func(p []byte) { s.note("%s received %s", name, p) }
		w.Written = func(p []byte) { s.note("%s written %s", name, p) }
		w.Lost = func(error) { s.note("%s lost", name) }
	}
}

// connected connects a silent client to a port of f's.
func (s *scene) connected(f connector.Factory) (*connector.Port, *plant) {
	s.Helper()
	p, client := s.listen(f), s.silent("client")
	s.connect(p.Addr(), client)
	s.Until("connected", func() bool { return len(client.made) == 1 && client.made[0].t != nil })
	return p, client
}

// over ends a client's connection and waits until its loop has nothing left.
func (s *scene) over(p *connector.Port, clients ...*plant) {
	s.Helper()
	for _, c := range clients {
		c.made[0].t.LoseConnection()
	}
	s.stop(p)
	s.idle()
}

func TestCase387Case388WrappersPassEverythingOn(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.plant("server")
		var o *outlet
		server.wrap = func(p *talker) transport.Protocol {
			o = &outlet{talker: p}
			return o
		}
		f := policies.Wrap(policies.Wrap(policies.Wrap(server, s.noted("inner")), s.noted("middle")), s.noted("outer"))
		p, client := s.connected(f)
		s.await("server made")
		s.expect("server start", "server build", "outer made", "middle made", "inner made", "server made")
		if found, ok := transport.As[*plant](p.Factory()); !ok || found != server {
			s.Error("the wrapped factory is not to be found")
		}
		c := client.made[0]
		if s.wire != unix && o.talker.t.RemoteAddr() != c.t.LocalAddr() || o.talker.t.LocalAddr() != c.t.RemoteAddr() {
			s.Errorf("the server sees %v and %v", o.talker.t.LocalAddr(), o.talker.t.RemoteAddr())
		}
		if _, ok := transport.As[transport.Upgrader](o.talker.t); !ok {
			s.Error("the transport's abilities are hidden")
		}
		c.write("ping")
		s.await("inner received ping")
		s.expect("outer received ping", "middle received ping", "inner received ping")
		o.write("pong")
		if _, err := o.talker.t.Writev([][]byte{[]byte("a"), []byte("b")}); err != nil {
			s.Error(err)
		}
		if err := o.talker.t.WriteOwned([]byte("c"), func() { s.note("released") }); err != nil {
			s.Error(err)
		}
		s.await("released")
		s.expect("outer written pong", "middle written pong", "inner written pong",
			"outer written a", "outer written b", "middle written a", "middle written b", "inner written a", "inner written b",
			"outer written c", "middle written c", "inner written c", "released")
		s.pacedThrough(o, c)
		o.StopConsuming()
		s.bothLost(o.talker, c)
		s.expect("server lost: done", "inner lost", "middle lost", "outer lost")
		s.stop(p)
		s.expect("server stop")
		s.idle()
	})
}

// pacedThrough checks that a producer is paced through the wrappers.
func (s *scene) pacedThrough(o *outlet, reader *talker) {
	s.Helper()
	before := len(reader.got)
	if err := o.RegisterProducer(&faucet{s: s}); err != nil {
		s.Fatal(err)
	}
	big := strings.Repeat("z", transport.DefaultHighWater+1)
	o.write(big)
	s.await("resume")
	reader.has(before + len(big))
	s.events = slices.DeleteFunc(s.events, func(e string) bool { return strings.Contains(e, "written") })
	s.expect("pause", "resume")
}

func TestCase389WrappedClientFactory(t *testing.T) {
	each(t, func(s *scene) {
		client := s.plant("client")
		client.onFailed = func(*connector.Connector) {}
		s.connect(s.deadEnd(), policies.WrapClient(client, s.noted("policy")))
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: refused", "client stop")

		p := s.listen(s.silent("server"))
		s.connect(p.Addr(), policies.WrapClient(client, s.noted("policy")))
		s.await("client made")
		client.made[0].t.LoseConnection()
		s.await("client stop")
		s.expect("client start", "client connecting", "client build", "policy made", "client made",
			"client lost: done", "policy lost", "client connector lost: done", "client stop")
		s.stop(p)
		s.idle()
	})
}

func TestCase391Case399LimitTotal(t *testing.T) {
	each(t, func(s *scene) {
		server, sorry := s.silent("server"), s.silent("sorry")
		sorry.talker.onMade = func(p *talker) {
			p.write("sorry")
			p.t.LoseConnection()
		}
		f := &policies.LimitTotal{Factory: server, Max: 1}
		p, first := s.connected(f)
		refused := s.silent("refused")
		s.connect(p.Addr(), refused)
		s.Until("the second is closed", func() bool { return len(refused.errs) == 1 })
		if len(server.made) != 1 || f.Conns() != 1 {
			s.Errorf("%d protocols, %d counted", len(server.made), f.Conns())
		}
		f.Overflow = sorry
		told := s.silent("told")
		s.connect(p.Addr(), told)
		s.Until("the overflow protocol is there", func() bool { return len(sorry.made) == 1 })
		if f.Conns() != 2 {
			s.Errorf("%d counted with the overflow's, want 2", f.Conns())
		}
		s.Until("the third is told", func() bool { return len(told.errs) == 1 && sorry.made[0].err != nil })
		if got := string(told.made[0].got); got != "sorry" || f.Conns() != 1 {
			s.Errorf("told %q; %d are left", got, f.Conns())
		}
		first.made[0].t.LoseConnection()
		s.Until("none is counted", func() bool { return f.Conns() == 0 })
		next := s.silent("next")
		s.connect(p.Addr(), next)
		s.Until("there is room again", func() bool { return len(server.made) == 2 && server.made[1].t != nil })
		s.Until("next is connected", func() bool { return len(next.made) == 1 && next.made[0].t != nil })
		s.over(p, next)
	})
}

// A factory that builds nothing, or panics, takes no place.
func TestCase399WhatIsNotBuiltDoesNotCount(t *testing.T) {
	each(t, func(s *scene) {
		n := 0
		f := &policies.LimitTotal{Max: 1, Factory: connector.FactoryFunc(func(proactor.Address) transport.Protocol {
			if n++; n == 1 {
				panic("the first")
			}
			return nil
		})}
		p := s.listen(f)
		for i := range 2 {
			c := s.silent("client")
			s.connect(p.Addr(), c)
			s.Until("it is closed", func() bool { return n == i+1 && len(c.errs) == 1 })
		}
		if f.Conns() != 0 {
			s.Errorf("%d counted", f.Conns())
		}
		s.panics(1)
		s.stop(p)
		s.idle()
	})
}

func TestX50LimitPerPeer(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		f := &policies.LimitPerPeer{Factory: server, Max: 1}
		p, first := s.connected(f)
		s.Until("the server has it", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		refused := s.silent("refused")
		s.connect(p.Addr(), refused)
		s.Until("the second is closed", func() bool { return len(refused.errs) == 1 })
		if n := f.Conns(server.peers[0]); n != 1 {
			s.Errorf("%d counted, want 1", n)
		}
		first.made[0].t.LoseConnection()
		s.Until("the place is free", func() bool { return f.Conns(server.peers[0]) == 0 })
		next := s.silent("next")
		s.connect(p.Addr(), next)
		s.Until("there is room again", func() bool { return len(server.made) == 2 && len(next.made) == 1 && next.made[0].t != nil })
		s.over(p, next)
	})
}

func TestX50WhatIsOneSource(t *testing.T) {
	tcp := func(text string) proactor.Address {
		return proactor.IPAddress(proactor.TCP, netip.MustParseAddr(text), 1)
	}
	for _, c := range []struct {
		v4, v6 int
		a, b   proactor.Address
		same   bool
	}{
		{0, 0, tcp("192.0.2.1"), tcp("192.0.2.1").WithPort(2), true},
		{0, 0, tcp("192.0.2.1"), tcp("192.0.2.2"), false},
		{24, 0, tcp("192.0.2.1"), tcp("192.0.2.2"), true},
		{0, 0, tcp("192.0.2.1"), tcp("::ffff:192.0.2.1"), true},
		{0, 0, tcp("2001:db8::1"), tcp("2001:db8::ffff:2"), true},
		{0, 0, tcp("2001:db8::1"), tcp("2001:db8:0:1::1"), false},
		{0, 48, tcp("2001:db8::1"), tcp("2001:db8:0:1::1"), true},
		{0, 128, tcp("2001:db8::1"), tcp("2001:db8::2"), false},
		{0, 999, tcp("2001:db8::1"), tcp("2001:db8::2"), false},
		{0, 0, proactor.UnixAddress("/a"), proactor.UnixAddress("/b"), false},
		{0, 0, proactor.UnixAddress(""), proactor.UnixAddress(""), true},
	} {
		build := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return &talker{quiet: true} })
		f := &policies.LimitPerPeer{Factory: build, Max: 1, IPv4Bits: c.v4, IPv6Bits: c.v6}
		if f.BuildProtocol(c.a) == nil {
			t.Fatalf("%v was refused", c.a)
		}
		if refused := f.BuildProtocol(c.b) == nil; refused != c.same {
			t.Errorf("%v after %v with /%d and /%d: refused: %v", c.b, c.a, c.v4, c.v6, refused)
		}
	}
}

func TestCase395Case396Case397Timeout(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net == nil {
			return // it takes virtual time
		}
		server := s.silent("server")
		p, client := s.connected(policies.Timeout(server, time.Minute))
		c := client.made[0]
		s.Pass(s.l, 50*time.Second)
		c.write("received")
		s.Pass(s.l, 50*time.Second)
		server.made[0].write("written")
		s.Pass(s.l, 50*time.Second)
		if c.err != nil || server.made[0].err != nil {
			s.Fatal("closed although there was traffic")
		}
		s.Pass(s.l, 20*time.Second)
		s.bothLost(c, server.made[0])
		if kindOf(server.made[0].err) != "done" || string(c.got) != "written" {
			s.Errorf("ended by %v", server.made[0].err)
		}
		s.stop(p)
		s.idle() // no timer is left

		p, client = s.connected(policies.Timeout(server, 0))
		client.made[0].t.LoseConnection()
		s.Until("lost before its time", func() bool { return len(server.made) == 2 && server.made[1].err != nil })
		s.stop(p)
		s.idle()
	})
}

func TestCase400TrafficLog(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onData = func(p *talker) { p.write("pong") }
		f := &policies.TrafficLog{Factory: server}
		f.Record = func(conn uint64, d policies.Direction, p []byte) { s.note("%d %v %s", conn, d, p) }
		p, first := s.connected(f)
		first.made[0].write("ping")
		first.made[0].has(4)
		second := s.silent("second")
		s.connect(p.Addr(), second)
		s.Until("the second is there", func() bool { return len(second.made) == 1 && second.made[0].t != nil })
		second.made[0].write("ping")
		second.made[0].has(4)
		s.expect("1 in ping", "1 out pong", "2 in ping", "2 out pong")
		if got := fmt.Sprint(f.Conns(), f.Bytes(policies.In), f.Bytes(policies.Out)); got != "2 8 8" {
			s.Errorf("counted %s", got)
		}
		f.ResetCounter()
		third := s.silent("third")
		s.connect(p.Addr(), third)
		s.Until("the third is there", func() bool { return len(third.made) == 1 && third.made[0].t != nil })
		third.made[0].write("ping")
		third.made[0].has(4)
		s.expect("1 in ping", "1 out pong")
		s.over(p, first, second, third)
	})
}

var _ flow.PushProducer = (*faucet)(nil)

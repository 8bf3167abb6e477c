package proxy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport/datagram"
)

// A strait is a proxy of datagrams with its clients on one side and upstreams on the other.
type strait struct {
	*backends.World
	near, mid, far *loop.Loop
	d              *Datagrams
	router         *RoundRobin
	upstreams      []*mail
	clients        []*mail
	reports        []FlowReport
}

// A mail is a port that keeps what it gets.
type mail struct {
	s    *strait
	port *datagram.Port
	got  []string
	from []proactor.Address
	echo bool // upstreams: sends everything back
}

func (m *mail) StartProtocol(p *datagram.Port) { m.port = p }
func (m *mail) StopProtocol(error)             {}
func (m *mail) DatagramReceived(data []byte, from proactor.Address) {
	m.got, m.from = append(m.got, string(data)), append(m.from, from)
	if m.echo {
		m.say(string(data), from)
	}
}

func (m *mail) say(text string, to proactor.Address) {
	m.s.Helper()
	if err := m.port.WriteTo([]byte(text), to); err != nil {
		m.s.Error(err)
	}
}

// asks sends text through the proxy, and waits for the echo.
func (m *mail) asks(text string) {
	m.s.Helper()
	n := len(m.got)
	m.say(text, m.s.d.Addrs()[0])
	m.s.Until("the echo of "+text, func() bool { return len(m.got) > n })
	if m.got[n] != text {
		m.s.Errorf("got %q back for %q", m.got[n], text)
	}
}

func (s *strait) udp(text string) proactor.Address {
	s.Helper()
	a, err := proactor.ParseAddress("udp", text)
	if err != nil {
		s.Fatal(err)
	}
	return a
}

func (s *strait) mail(l *loop.Loop, echo bool) *mail {
	s.Helper()
	m := &mail{s: s, echo: echo}
	for { // a simulated fault may take the descriptor away
		_, err := datagram.Listen(l, s.udp("127.0.0.1:0"), m, nil)
		if err == nil {
			return m
		}
		if s.Net == nil {
			s.Fatal(err)
		}
	}
}

func (s *strait) client() *mail {
	m := s.mail(s.near, false)
	s.clients = append(s.clients, m)
	return m
}

func newStrait(w *backends.World, upstreams int, o DatagramOptions) *strait {
	s := &strait{World: w, near: w.Loop(), mid: w.Loop(), far: w.Loop()}
	var addrs []proactor.Address
	for range upstreams {
		m := s.mail(s.far, true)
		s.upstreams = append(s.upstreams, m)
		addrs = append(addrs, m.port.LocalAddr())
	}
	var err error
	if s.router, err = NewRoundRobin(addrs...); err != nil {
		s.Fatal(err)
	}
	o.Route, o.History = s.router, true
	o.Report = FlowReporterFunc(func(r *FlowReport) { s.reports = append(s.reports, *r) })
	if s.d, err = NewDatagrams([]*loop.Loop{s.mid}, o); err == nil {
		err = s.d.Listen(s.udp("127.0.0.1:0"))
		for err != nil && s.Net != nil {
			err = s.d.Listen(s.udp("127.0.0.1:0"))
		}
	}
	if err != nil {
		s.Fatal(err)
	}
	return s
}

func (s *strait) report(n int, reason Reason, side Side) FlowReport {
	s.Helper()
	s.Until("reported", func() bool { return len(s.reports) >= n })
	r := s.reports[n-1]
	if r.Reason != reason || r.Side != side {
		s.Errorf("report %d says %v by %v (%v), want %v by %v", n, r.Reason, r.Side, r.Err, reason, side)
	}
	return r
}

// closes ends everything and checks that nothing is left.
func (s *strait) closes() {
	s.Helper()
	s.d.Drain()
	s.d.Cut()
	for _, m := range slices.Concat(s.clients, s.upstreams) {
		m.port.StopListening()
	}
	s.Until("nothing is left", func() bool { return s.near.Members()+s.mid.Members()+s.far.Members() == 0 })
	if n := s.d.Live(); n != 0 {
		s.Errorf("%d flows are left", n)
	}
	if st := s.mid.Backend().Stats(); st.Handles != 0 {
		s.Errorf("%d handles are left", st.Handles)
	}
}

// Each client has a flow; boundaries and empty datagrams are kept.
func TestDatagrams(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newStrait(w, 1, DatagramOptions{})
		a, b := s.client(), s.client()
		for _, text := range []string{"hello", "", strings.Repeat("x", 9000), ""} {
			a.asks(text)
			b.asks("b" + text)
		}
		from := s.upstreams[0].from
		if from[0] == from[1] || from[0] != from[2] || from[1] != from[3] {
			s.Errorf("the upstream sees %v, want an address for each client", from)
		}
		st := s.d.Status()
		if st.Live != 2 || st.Accepted != 2 || st.Sent != st.Received || st.Sent != (Traffic{8, 2*9005 + 4}) || st.Dropped != 0 ||
			st.Upstreams[0].Live != 2 || st.Upstreams[0].Sent != 18014 || st.Listeners[0] != "udp://"+s.d.Addrs()[0].String() {
			s.Errorf("the status is %+v", st)
		}
		s.d.Cut()
		if r := s.report(2, Drained, Nobody); r.Sent.Datagrams != 4 || r.Upstream != s.upstreams[0].port.LocalAddr() {
			s.Errorf("the report says %+v", r)
		}
		s.closes()
	})
}

// A burst arrives, in order, and each is one datagram still.
func TestDatagramBurst(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newStrait(w, 1, DatagramOptions{})
		c := s.client()
		c.asks("first")
		const burst = 100
		for i := range burst {
			c.say(fmt.Sprint(i), s.d.Addrs()[0])
		}
		s.Until("all are back", func() bool { return len(c.got) == 1+burst })
		if w.Kind != "sim" { // which may reorder
			for i, got := range c.got[1:] {
				if got != fmt.Sprint(i) {
					s.Fatalf("datagram %d is %q", i, got)
				}
			}
		}
		s.closes()
	})
}

// A flow ends when nothing has gone either way for the time, and not before;
// the client's next datagram begins another.
func TestFlowTimeout(t *testing.T) {
	s := newStrait(backends.Simulate(t, quiet), 1, DatagramOptions{IdleTimeout: time.Minute})
	defer metronome(s.near, s.mid, s.far)()
	c := s.client()
	for range 5 {
		c.asks("hello")
		s.Pass(s.mid, 50*time.Second)
	}
	if s.d.Live() != 1 || len(s.reports) != 0 {
		t.Fatalf("%d flows, reports %+v", s.d.Live(), s.reports)
	}
	s.upstreams[0].say("unasked", s.upstreams[0].from[0]) // counts as well
	s.Pass(s.mid, 50*time.Second)
	if r := s.report(1, Idle, Nobody); r.Duration < 310*time.Second || r.Duration > 312*time.Second || r.Received.Datagrams != 6 {
		t.Errorf("the report says %+v", r)
	}
	c.asks("again")
	if from := s.upstreams[0].from; from[0] == from[len(from)-1] {
		t.Error("the second flow has the first one's address")
	}
	s.closes()
}

// Beyond the limit clients are refused, until a flow has ended.
func TestFlowLimit(t *testing.T) {
	s := newStrait(backends.Simulate(t, quiet), 1, DatagramOptions{MaxFlows: 2, IdleTimeout: time.Minute})
	a, b, c := s.client(), s.client(), s.client()
	a.asks("a")
	b.asks("b")
	c.say("c", s.d.Addrs()[0])
	s.Until("refused", func() bool { return s.d.Status().Refused == 1 })
	if st := s.d.Status(); st.Live != 2 || st.Accepted != 2 || len(c.got) != 0 {
		t.Errorf("the status is %+v", st)
	}
	s.report(2, Idle, Nobody)
	c.asks("c again")
	s.closes()
}

// An upstream at whose address nobody listens is known by the ICMP message: the
// flow ends, and the client's next datagram goes to another one.
func TestUpstreamRefusesDatagrams(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newStrait(w, 2, DatagramOptions{})
		stopped := s.upstreams[0].port.StopListening()
		s.Until("the upstream is gone", func() bool {
			select {
			case <-stopped.Done():
				return true
			default:
				return false
			}
		})
		c := s.client()
		c.say("lost", s.d.Addrs()[0])
		if w.Net != nil { // where the next datagram meets the error
			s.Pass(s.mid, time.Second)
			c.say("lost, too", s.d.Addrs()[0])
		}
		if r := s.report(1, NoUpstream, Server); !errors.Is(r.Err, syscall.ECONNREFUSED) || r.Sent.Datagrams == 0 {
			s.Errorf("the report says %+v", r)
		}
		for range 3 {
			c.asks("found")
		}
		st := s.d.Status()
		if down, up := st.Upstreams[0], st.Upstreams[1]; down.Up || down.Failed != 1 || !strings.Contains(down.Error, "refused") || !up.Up {
			s.Errorf("the status is %+v", st)
		}
		s.closes()
	})
}

// A drain takes no new clients, lets those that talk go on, and ends those that
// are silent soon.
func TestDatagramDrain(t *testing.T) {
	s := newStrait(backends.Simulate(t, quiet), 1, DatagramOptions{IdleTimeout: time.Hour})
	defer metronome(s.near, s.mid, s.far)()
	silent, busy, late := s.client(), s.client(), s.client()
	silent.asks("x")
	busy.asks("y")
	s.d.Drain()
	for range 4 {
		s.Pass(s.mid, drainIdle/2)
		busy.asks("still here")
	}
	if r := s.report(1, Idle, Nobody); r.Duration > 3*drainIdle {
		t.Errorf("the silent flow ended after %v", r.Duration)
	}
	late.say("too late", s.d.Addrs()[0])
	s.Until("refused", func() bool { return s.d.Status().Refused == 1 })
	s.report(2, Idle, Nobody)
	s.Until("the port is free", func() bool { return s.mid.Members() == 0 })
	s.closes()
}

// A thousand clients have a thousand flows, each its own.
func TestThousandFlows(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newStrait(w, 2, DatagramOptions{})
		const n = 1000
		for i := range n {
			c := s.client()
			c.say(fmt.Sprint(i), s.d.Addrs()[0])
			if i%50 == 49 { // no more than sockets' buffers hold
				s.Until("echoes", func() bool { return len(s.clients[i].got) == 1 })
			}
		}
		s.Until("all have their answer", func() bool {
			return !slices.ContainsFunc(s.clients, func(c *mail) bool { return len(c.got) == 0 })
		})
		for i, c := range s.clients {
			if len(c.got) != 1 || c.got[0] != fmt.Sprint(i) {
				s.Fatalf("client %d got %q", i, c.got)
			}
		}
		if st := s.d.Status(); st.Live != n || st.Upstreams[0].Live != n/2 || st.Upstreams[1].Live != n/2 {
			s.Errorf("the status is %+v", st)
		}
		s.closes()
	})
}

// On a wildcard the answer comes from the address that was asked.
func TestAnswerComesFromTheAddressAsked(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newStrait(w, 1, DatagramOptions{})
		if err := s.d.Listen(s.udp(":0")); err != nil {
			t.Fatal(err)
		}
		port := s.d.Addrs()[1].Port()
		c := s.client()
		for _, ip := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
			at := s.udp(fmt.Sprintf("%s:%d", ip, port))
			n := len(c.got)
			c.say("who?", at)
			s.Until("the answer", func() bool { return len(c.got) > n })
			if c.from[n] != at {
				s.Errorf("asked %v, and %v answered", at, c.from[n])
			}
		}
		if s.d.Live() != 3 {
			s.Errorf("%d flows, want one for each address", s.d.Live())
		}
		s.closes()
	})
}

// A wildcard as the upstream is this host, whose answers come from another
// address than that.
func TestWildcardUpstreamAnswers(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newStrait(w, 1, DatagramOptions{})
		router, err := NewRoundRobin(s.udp(fmt.Sprint("0.0.0.0:", s.upstreams[0].port.LocalAddr().Port())))
		if err != nil {
			t.Fatal(err)
		}
		s.d.Drain()
		if s.d, err = NewDatagrams([]*loop.Loop{s.mid}, DatagramOptions{Route: router}); err == nil {
			err = s.d.Listen(s.udp("127.0.0.1:0"))
		}
		if err != nil {
			t.Fatal(err)
		}
		s.client().asks("hello")
		s.closes()
	})
}

// Whatever the network does to datagrams, flows end and leave nothing behind,
// wherever the loop's stop or a cut finds them.
func TestFlowSeeds(t *testing.T) {
	backends.Seeds(t, 100, sim.Options{}, func(w *backends.World, seed uint64) {
		s := newStrait(w, 2, DatagramOptions{IdleTimeout: time.Duration(seed%7+1) * time.Second, MaxFlows: 3})
		for i := range 5 {
			c := s.client()
			for range i {
				_ = c.port.WriteTo([]byte("hello"), s.d.Addrs()[0]) // a fault may refuse it
			}
			s.Pass(s.near, time.Duration(seed%5)*time.Millisecond)
		}
		switch seed % 3 {
		case 0:
			s.mid.Stop()
		case 1:
			s.mid.Shutdown(time.Minute)
		case 2:
			s.d.Drain()
		}
		s.Until("no flow is left", func() bool { return s.d.Live() == 0 })
		st := s.d.Status()
		var ends uint64
		for _, n := range st.Ends {
			ends += n
		}
		if ends != st.Accepted || len(s.reports) != int(ends) {
			s.Errorf("seed %d: %d flows, %d ends, %d reports", seed, st.Accepted, ends, len(s.reports))
		}
	})
}

func TestDatagramShutdown(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newStrait(w, 1, DatagramOptions{IdleTimeout: time.Hour})
		c := s.client()
		c.asks("hello")
		ctx, cancel := context.WithCancel(context.Background())
		over := make(chan error, 1)
		go func() { over <- s.d.Shutdown(ctx) }()
		s.Until("draining", func() bool { return s.d.Status().Draining })
		cancel()
		var err error
		s.Until("shut down", func() bool {
			select {
			case err = <-over:
				return true
			default:
				return false
			}
		})
		if !errors.Is(err, context.Canceled) {
			s.Errorf("Shutdown: %v", err)
		}
		s.report(1, Drained, Nobody)
		s.closes()
	})
}

package twisted

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// A book is a resolver of a case's own: what it knows comes at the end of the
// turn, what it does not know never, unless the case says so.
type book struct {
	knows    map[string][]netip.Addr
	fails    map[string]error
	asked    []string
	canceled int
}

func (b *book) Resolve(l *loop.Loop, host string, done func([]netip.Addr, error)) func() {
	b.asked = append(b.asked, host)
	answer := &loop.Timer{Func: func() { done(b.knows[host], b.fails[host]) }}
	if b.knows[host] != nil || b.fails[host] != nil {
		l.Start(answer, 0)
	}
	return func() {
		b.canceled++
		answer.Stop()
	}
}

// A listener notes what a resolution tells.
type listener struct {
	s     *scene
	r     *connector.Resolution
	addrs []proactor.Address
}

func (n *listener) ResolutionBegan(r *connector.Resolution) {
	n.r = r
	n.s.note("began %s", r.Question.Host)
}

func (n *listener) AddressResolved(a proactor.Address) {
	n.addrs = append(n.addrs, a)
	n.s.note("address %v", a)
}

func (n *listener) ResolutionComplete() { n.s.note("complete") }

func ips(text ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range text {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// ask resolves by the system: on a simulated network, by its hosts.
func (s *scene) ask(r connector.Resolver, q connector.Question) *listener {
	s.Helper()
	n := &listener{s: s}
	connector.Streamed{Resolver: r}.ResolveHost(s.l, q, n)
	s.await("complete")
	return n
}

func TestCase336OneAddress(t *testing.T) {
	for _, ip := range []string{"192.0.2.1", "2001:db8::1"} {
		hosts := map[string][]netip.Addr{"one": ips(ip)}
		s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Hosts: hosts}), tcp4)
		n := &listener{s: s}
		connector.Streamed{Resolver: connector.SystemResolver{}}.ResolveHost(s.l, connector.Question{Host: "one", Port: 80}, n)
		s.expect("began one") // inside the call, and the rest later
		s.await("complete")
		s.expect("address "+proactor.IPAddress(proactor.TCP, ips(ip)[0], 80).String(), "complete")
	}
	each(t, func(s *scene) { // one real lookup
		n := s.ask(connector.SystemResolver{}, connector.Question{Host: "localhost", Port: 80, Family: connector.IPv4})
		s.expect("began localhost", "address 127.0.0.1:80", "complete")
		if n.r.Err() != nil {
			s.Error(n.r.Err())
		}
	})
}

// A failure is a completion without an address; Err tells it, which Twisted
// does not.
func TestCase337NoSuchName(t *testing.T) {
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}), tcp4)
	n := s.ask(connector.SystemResolver{}, connector.Question{Host: "nobody.example"})
	s.expect("began nobody.example", "complete")
	var dns *net.DNSError
	if err := n.r.Err(); !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("complete with %v", err)
	}
}

func TestCase339Semantics(t *testing.T) {
	each(t, func(s *scene) {
		b := &book{knows: map[string][]netip.Addr{"x": ips("192.0.2.1")}}
		for network, want := range map[proactor.Network]proactor.Network{
			0: proactor.TCP, proactor.TCP: proactor.TCP, proactor.UDP: proactor.UDP,
		} {
			s.events = nil
			n := s.ask(b, connector.Question{Host: "x", Port: 53, Network: network})
			if len(n.addrs) != 1 || n.addrs[0] != proactor.IPAddress(want, ips("192.0.2.1")[0], 53) {
				s.Errorf("asked for %v: %v", network, n.addrs)
			}
		}
	})
}

// A simple resolver, as one that answers piece by piece.
func TestCase340SimpleAsStreaming(t *testing.T) {
	each(t, func(s *scene) {
		boom := errors.New("boom")
		b := &book{
			knows: map[string][]netip.Addr{"x": ips("192.0.2.1")},
			fails: map[string]error{"known": &net.DNSError{Name: "known", IsNotFound: true}, "unknown": boom},
		}
		s.ask(b, connector.Question{Host: "x", Port: 4321})
		s.expect("began x", "address 192.0.2.1:4321", "complete")
		s.ask(b, connector.Question{Host: "known"})
		s.expect("began known", "complete")
		n := s.ask(b, connector.Question{Host: "unknown"})
		s.expect("began unknown", "complete")
		if !errors.Is(n.r.Err(), boom) { // where Twisted writes a log entry
			s.Errorf("Err is %v", n.r.Err())
		}
	})
}

// A resolver that answers piece by piece, as a simple one.
func TestCase341StreamingAsSimple(t *testing.T) {
	each(t, func(s *scene) {
		b := &book{
			knows: map[string][]netip.Addr{"both": ips("2001:db8::1", "192.0.2.1"), "six": ips("2001:db8::1")},
			fails: map[string]error{"nobody": &net.DNSError{Name: "nobody", IsNotFound: true}},
		}
		simple := connector.Collected{From: connector.Streamed{Resolver: b}, Family: connector.IPv4}
		for host, want := range map[string]string{"both": "[192.0.2.1]", "six": "[]", "nobody": "[]"} {
			answered, got := false, ""
			var failed error
			simple.Resolve(s.l, host, func(all []netip.Addr, err error) { answered, got, failed = true, fmt.Sprint(all), err })
			s.Until("answered", func() bool { return answered })
			if got != want || (failed == nil) != (host == "both") {
				s.Errorf("%s: %s, %v; want %s", host, got, failed, want)
			}
			if host == "six" && !errors.Is(failed, connector.ErrNoAddress) {
				s.Errorf("six: %v", failed)
			}
		}
	})
}

// A lookup in the pool of workers: an address, or an error.
func TestCase343InThePool(t *testing.T) {
	hosts := map[string][]netip.Addr{"one": ips("192.0.2.1")}
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Hosts: hosts}), tcp4)
	for host, want := range map[string]string{"one": "[192.0.2.1] <nil>", "two": "[] lookup two: no such host"} {
		got := ""
		connector.SystemResolver{}.Resolve(s.l, host, func(all []netip.Addr, err error) { got = fmt.Sprint(all, " ", err) })
		s.Until("answered", func() bool { return got != "" })
		if got != want {
			t.Errorf("%s: %s, want %s", host, got, want)
		}
	}
}

func TestCase344Timeout(t *testing.T) {
	faults := sim.NoFaults.Set(0.9, sim.Delay) // the worker takes its time
	hosts := map[string][]netip.Addr{"one": ips("192.0.2.1")}
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: faults, Hosts: hosts}), tcp4)
	began := s.l.Now()
	connector.SystemResolver{Timeout: 3 * time.Microsecond}.Resolve(s.l, "one", func(all []netip.Addr, err error) {
		s.note("after %v: %v %v", s.l.Now()-began, all, errors.Is(err, os.ErrDeadlineExceeded))
	})
	s.Until("the worker is done", func() bool { return s.l.Backend().Stats().Ops == 0 })
	s.expect("after 3µs: [] true")
}

func TestCase345InternationalName(t *testing.T) {
	each(t, func(s *scene) {
		b := &book{knows: map[string][]netip.Addr{"xn--bcher-kva.example": ips("127.0.0.1")}}
		s.ask(b, connector.Question{Host: "bücher.example", Port: 1})
		s.expect("began bücher.example", "address 127.0.0.1:1", "complete")
		to, err := connector.ParseDestination("tcp", "bücher.example:1")
		if err != nil {
			s.Fatal(err)
		}
		c := connector.Connect(s.l, to, s.silent("client"), connector.Options{Resolver: b})
		s.Until("failed", func() bool { return c.State() == connector.Idle })
		if got := strings.Join(b.asked, " "); got != "xn--bcher-kva.example xn--bcher-kva.example" {
			s.Errorf("asked for %s", got)
		}
	})
}

// dead makes an address swallow connection requests: its backlog is full.
func (s *scene) dead(a proactor.Address) {
	s.Helper()
	h, _, err := s.l.Sockets().Listen(a, &proactor.SocketOptions{Backlog: 1})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { _ = s.l.Sockets().CloseFD(h) })
	c := s.connect(a, s.silent("filler"))
	s.Until("the backlog is full", func() bool { return c.State() == connector.Connected })
}

// RFC 8305: families take turns, an address that does not answer has 250 ms
// for itself, one that fails makes room at once.
func TestX52HappyEyeballs(t *testing.T) {
	for name, c := range map[string]struct {
		holes []string
		want  time.Duration
	}{"black hole": {[]string{"2001:db8::1", "2001:db8::2"}, 250 * time.Millisecond}, "refused": {nil, 0}} {
		t.Run(name, func(t *testing.T) {
			s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}), tcp4)
			b := &book{knows: map[string][]netip.Addr{"both": ips("2001:db8::1", "2001:db8::2", "192.0.2.1")}}
			for _, ip := range ips(c.holes...) {
				s.dead(proactor.IPAddress(proactor.TCP, ip, 80))
			}
			four := proactor.IPAddress(proactor.TCP, ips("192.0.2.1")[0], 80)
			p, err := connector.Listen([]*loop.Loop{s.l}, four, s.silent("server"), connector.ListenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			client := s.silent("client")
			to, _ := connector.ParseDestination("tcp", "both:80")
			began, took := s.l.Now(), time.Duration(0)
			client.onBuild = func() { took = s.l.Now() - began }
			connector.Connect(s.l, to, client, connector.Options{Resolver: b})
			s.Until("connected", func() bool { return len(client.made) == 1 && client.made[0].t != nil })
			if took < c.want || took > c.want+10*time.Millisecond {
				t.Errorf("it took %v, want %v", took, c.want)
			}
			if client.peers[0] != four { // the second address, though the resolver has it last
				t.Errorf("connected to %v", client.peers[0])
			}
			s.stop(p)
		})
	}
}

// A lookup that is given up is cancelled, and answers to nobody.
func TestX53CancelALookup(t *testing.T) {
	each(t, func(s *scene) {
		n := &listener{s: s}
		r := connector.Streamed{Resolver: connector.SystemResolver{}}.ResolveHost(s.l, connector.Question{Host: "localhost"}, n)
		r.Cancel()
		s.Until("the worker is done", func() bool { return s.l.Backend().Stats().Ops == 0 })
		s.turns(2)
		s.expect("began localhost")

		b := &book{}
		to, _ := connector.ParseDestination("tcp", "never:80")
		c := connector.Connect(s.l, to, s.plant("client"), connector.Options{Resolver: b})
		if err := c.StopConnecting(); err != nil {
			s.Error(err)
		}
		if b.canceled != 1 {
			s.Errorf("the lookup was cancelled %d times", b.canceled)
		}
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
	})
}

// A timeout and a stop while the name is being resolved: one failure each.
func TestX54StopAndTimeoutWhileResolving(t *testing.T) {
	each(t, func(s *scene) {
		for name, end := range map[string]func(c *connector.Connector){
			"timed out": func(*connector.Connector) {},
			"aborted":   func(c *connector.Connector) { _ = c.StopConnecting() },
		} {
			s.events = nil
			to, _ := connector.ParseDestination("tcp", "never:80")
			o := connector.Options{Resolver: &book{}, ConnectTimeout: time.Nanosecond}
			end(connector.Connect(s.l, to, s.plant("client"), o))
			s.await("client stop")
			s.turns(3)
			s.expect("client start", "client connecting", "client failed: "+name, "client stop")
		}
	})
}

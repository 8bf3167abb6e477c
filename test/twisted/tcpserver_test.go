package twisted

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// listenAt makes a port at an address.
func (s *scene) listenAt(at proactor.Address, f connector.Factory) (*connector.Port, error) {
	return connector.Listen([]*loop.Loop{s.l}, at, f, connector.ListenOptions{})
}

// A port that has stopped leaves its number to others.
func TestCase95StoppedPortIsFree(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("one"))
		s.stop(p)
		q, err := s.listenAt(p.Addr(), s.silent("another"))
		if err != nil {
			s.Fatal(err)
		}
		client := s.plant("client")
		s.connect(q.Addr(), client)
		s.await("client made")
	})
}

// A port at one address of this host is at that address, and at no other.
func TestCase96SpecificInterface(t *testing.T) {
	each(t, func(s *scene) {
		at := proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.3"), 0)
		p, err := s.listenAt(at, s.silent("server"))
		if err != nil {
			s.Fatal(err)
		}
		if p.Addr().IP() != at.IP() || p.Addr().Port() == 0 {
			s.Errorf("the port is at %v, want a port of %v", p.Addr(), at.IP())
		}
		client, elsewhere := s.plant("client"), s.plant("elsewhere")
		s.connect(p.Addr(), client)
		s.await("client made")
		s.connect(proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), p.Addr().Port()), elsewhere)
		s.await("elsewhere failed: refused")
	})
}

// A stopped port that is started again accepts, at the same address.
func TestCase97Restart(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		at := p.Addr()
		for range 2 {
			client := s.silent("client")
			s.connect(at, client)
			s.await("server made")
			client.c.Disconnect()
			s.await("server lost: done")
			s.stop(p)
			s.expect("server start", "server build", "server made", "server lost: done", "server stop")
			if err := p.Start(); err != nil {
				s.Fatal(err)
			}
		}
		if p.Addr() != at {
			s.Errorf("it was at %v, and is at %v", at, p.Addr())
		}
	})
}

// A stop that fails in the factory's own code says so, and the port can be
// started again.
func TestCase99RestartAfterAPanicInStop(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		server.OnStop = func() { panic("stop") }
		p := s.listen(server)
		var panicked *transport.PanicError
		if _, err := result(s, p.StopListening()); !errors.As(err, &panicked) || panicked.Value != "stop" {
			s.Fatalf("stopped with %v, want the panic", err)
		}
		s.panics(1)
		server.OnStop = nil
		if err := p.Start(); err != nil {
			s.Fatal(err)
		}
		client := s.plant("client")
		s.connect(p.Addr(), client)
		s.await("client made")
	})
}

// The loop stops, and nobody has asked the port to: it closes, its factory is
// stopped, and what that panics with is reported.
func TestCase100PortEndsWithItsLoop(t *testing.T) {
	eachStream(t, func(s *scene) {
		good, bad := s.plant("good"), s.plant("bad")
		bad.OnStop = func() { panic("stop") }
		one, two := s.listen(good), s.listen(bad)
		s.l.Stop()
		s.Until("stopped", func() bool { return s.has("good stop") && !one.Listening() && !two.Listening() })
		s.expect("good start", "bad start", "good stop")
		s.panics(1)
		if n := s.l.Backend().Stats().Handles; n != 0 {
			s.Errorf("%d handles are left", n)
		}
	})
}

// The address is taken: an error at once that has the address and the cause.
func TestCase101AddressInUse(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("first"))
		second := s.plant("second")
		_, err := s.listenAt(p.Addr(), second)
		var e *transport.ConnError
		if !errors.As(err, &e) || e.Op != "listen" || e.Addr != p.Addr() || !errors.Is(err, syscall.EADDRINUSE) {
			s.Errorf("%v, want EADDRINUSE and the address", err)
		}
		if err != nil && !strings.Contains(err.Error(), p.Addr().String()) {
			s.Errorf("%q does not name the address", err)
		}
		s.turns(3)
		s.expect() // its factory was not even started
	})
}

// linkLocal returns an address with a zone: one of this machine's on real
// backends.
func (s *scene) linkLocal() proactor.Address {
	s.Helper()
	if s.Net != nil {
		return proactor.IPAddress(proactor.TCP, netip.MustParseAddr("fe80::1%sim0"), 0)
	}
	interfaces, err := net.Interfaces()
	if err != nil {
		s.Fatal(err)
	}
	for _, i := range interfaces {
		addrs, _ := i.Addrs() // none: another has one
		for _, a := range addrs {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() {
				return proactor.IPAddress(proactor.TCP, p.Addr().WithZone(i.Name), 0)
			}
		}
	}
	s.Skip("this machine has no link-local IPv6 address to name a zone of")
	return proactor.Address{}
}

// eachFamily runs f for an address of each family: at is where to listen, and
// to makes it one to connect to.
func eachFamily(t *testing.T, f func(s *scene, at proactor.Address)) {
	for name, at := range map[string]func(s *scene) proactor.Address{
		"IPv4": (*scene).loopback,
		"IPv6": func(*scene) proactor.Address { return proactor.IPAddress(proactor.TCP, netip.IPv6Loopback(), 0) },
		"zone": (*scene).linkLocal,
	} {
		t.Run(name, func(t *testing.T) { each(t, func(s *scene) { f(s, at(s)) }) })
	}
}

// loopback returns an address of the loopback.
func (s *scene) loopback() proactor.Address { return s.Address() }

// What a port says of its address: that which was asked for, zone included,
// and the number that the kernel chose.
func TestCase103PortsAddress(t *testing.T) {
	eachFamily(t, func(s *scene, at proactor.Address) {
		p, err := s.listenAt(at, s.silent("server"))
		if err != nil {
			s.Fatal(err)
		}
		if got := p.Addr(); got.IP() != at.IP() || got.Port() == 0 || got != at.WithPort(got.Port()) {
			s.Errorf("the port is at %v, asked for %v", got, at)
		}
	})
	t.Run("none", func(t *testing.T) {
		each(t, func(s *scene) {
			for _, text := range []string{":0", "0.0.0.0:0"} {
				at, err := proactor.ParseAddress("tcp", text)
				if err != nil {
					s.Fatal(err)
				}
				p, err := s.listenAt(at, s.silent("server"))
				if err != nil {
					s.Fatal(err)
				}
				if got := p.Addr(); got.Port() == 0 || got != at.WithPort(got.Port()) {
					s.Errorf("the port is at %v, asked for %v", got, at)
				}
			}
		})
	})
}

// BuildProtocol gets the peer's address, of its family, with its zone.
func TestCase104PeersAddress(t *testing.T) {
	eachFamily(t, func(s *scene, at proactor.Address) {
		server, client := s.silent("server"), s.silent("client")
		p, err := s.listenAt(at, server)
		if err != nil {
			s.Fatal(err)
		}
		s.connect(p.Addr(), client)
		s.Until("connected", func() bool { return len(server.made) == 1 && len(client.made) == 1 && client.made[0].t != nil })
		if got, want := server.peers[0], client.made[0].t.LocalAddr(); got != want || got.IP() != at.IP() && s.Net == nil {
			s.Errorf("BuildProtocol got %v, the client is at %v", got, want)
		}
		if got := server.peers[0].IP(); got.Is4() != at.IP().Is4() || s.Net == nil && got.Zone() != at.IP().Zone() {
			s.Errorf("BuildProtocol got %v for a connection to %v", got, at)
		}
	})
}

// A server's transport is at the address at which it was accepted, also if the
// port is at all of them.
func TestCase105ServersAddress(t *testing.T) {
	check := func(s *scene, listen proactor.Address, to func(port uint16) proactor.Address) {
		server, client := s.silent("server"), s.silent("client")
		p, err := s.listenAt(listen, server)
		if err != nil {
			s.Fatal(err)
		}
		want := to(p.Addr().Port())
		s.connect(want, client)
		s.Until("connected", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		if got := server.made[0].t.LocalAddr(); got != want {
			s.Errorf("the transport is at %v, the client connected to %v", got, want)
		}
	}
	eachFamily(t, func(s *scene, at proactor.Address) { check(s, at, at.WithPort) })
	t.Run("all", func(t *testing.T) {
		each(t, func(s *scene) {
			check(s, proactor.IPAddress(proactor.TCP, netip.Addr{}, 0), func(port uint16) proactor.Address {
				return proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), port)
			})
		})
	})
}

// logged gives the scene another loop, whose log is in the journal.
func (s *scene) logged() *journal {
	j := &journal{least: slog.LevelDebug}
	s.l = s.LoopWith(loop.Options{Log: slog.New(j)})
	return j
}

// What is logged of a port: where it starts and for whom, and that it is
// closed.
func TestCase107PortsAreLogged(t *testing.T) {
	eachStream(t, func(s *scene) {
		j := s.logged()
		p := s.listen(&titled{s.silent("server")})
		s.stop(p)
		lines := j.all()
		if len(lines) != 2 {
			s.Fatalf("logged %q, want two lines", lines)
		}
		for i, want := range []string{"a port starts", "a port is closed"} {
			if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "address="+p.Addr().String()) ||
				!strings.Contains(lines[i], "factory=the title") {
				s.Errorf("line %d is %q, want %q with address and factory", i, lines[i], want)
			}
		}
	})
}

// A titled is a plant with a log prefix, and so are its protocols.
type titled struct{ *plant }

func (*titled) LogPrefix() string { return "the title" }

func (f *titled) BuildProtocol(peer proactor.Address) transport.Protocol {
	return &titledProtocol{f.plant.BuildProtocol(peer)}
}

type titledProtocol struct{ transport.Protocol }

func (*titledProtocol) LogPrefix() string { return "the protocol" }

// A factory that a connector begins or ceases to use is named in the log.
func TestCase133FactoriesAreLogged(t *testing.T) {
	eachStream(t, func(s *scene) {
		j := s.logged()
		f := s.plant("client")
		s.connect(s.deadEnd(), &titled{f})
		s.await("client stop")
		if n := j.count("a connector starts"); n != 1 || j.count("a connector is done") != 1 || j.count("factory=the title") != 2 {
			s.Errorf("logged %q, want the start and the end with the factory", j.all())
		}
	})
}

// A transport's log prefix is its protocol's, on both sides, and what goes
// wrong is logged under it; a protocol that has none is named by its type.
func TestCase92LogPrefix(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, client := s.silent("server"), s.silent("client")
		server.talker.onData = func(*talker) { panic("oh") }
		p := s.listen(&titled{server})
		s.connect(p.Addr(), client)
		s.Until("connected", func() bool { return len(client.made) == 1 && client.made[0].t != nil && len(server.made) == 1 })
		client.made[0].write("x")
		s.Until("lost", func() bool { return server.made[0].err != nil })
		troubles := s.TakeTroubles()
		if len(troubles) != 1 || troubles[0].Who != "the protocol" || !strings.Contains(troubles[0].String(), "the protocol") {
			s.Errorf("reported %v, want the log prefix in it", troubles)
		}
		if text := fmt.Sprint(client.made[0].t); !strings.Contains(text, "*twisted.talker") {
			s.Errorf("the client's transport is %q, want its protocol in it", text)
		}
		if got := transport.LogPrefix(&titledProtocol{}); got != "the protocol" {
			s.Errorf("the prefix is %q", got)
		}
	})
}

// A server's transport, in words: its protocol, and where it was accepted.
func TestCase119ServerInWords(t *testing.T) {
	eachTCP(t, func(s *scene) {
		server := s.silent("server")
		p := s.listen(&titled{server})
		client := s.silent("client")
		s.connect(p.Addr(), client)
		s.Until("connected", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		text := fmt.Sprint(server.made[0].t)
		for _, want := range []string{"the protocol", p.Addr().String(), server.peers[0].String()} {
			if !strings.Contains(text, want) {
				s.Errorf("%q does not say %q", text, want)
			}
		}
	})
}

package twisted

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
	"mobius/transport/datagram"
)

// A mailbox is a datagram protocol that notes what it is told.
type mailbox struct {
	s       *scene
	name    string
	port    *datagram.Port
	from    proactor.Address
	refused int
	failed  []error
	on      func(m *mailbox, text string)
}

func (m *mailbox) StartProtocol(p *datagram.Port) {
	m.port = p
	m.s.note("%s started", m.name)
}

func (m *mailbox) DatagramReceived(data []byte, from proactor.Address) {
	m.from = from
	m.s.note("%s got %q", m.name, data)
	if m.on != nil {
		m.on(m, string(data))
	}
}

func (m *mailbox) StopProtocol(error)                       { m.s.note("%s stopped", m.name) }
func (m *mailbox) ConnectionRefused()                       { m.refused++ }
func (m *mailbox) SendFailed(_ proactor.Address, err error) { m.failed = append(m.failed, err) }

// box listens at an address of a network, given as text.
func (s *scene) box(name, network, at string) *mailbox {
	s.Helper()
	return s.boxWith(name, network, at, nil)
}

func (s *scene) boxWith(name, network, at string, o *datagram.Options) *mailbox {
	s.Helper()
	m := &mailbox{s: s, name: name}
	if _, err := datagram.Listen(s.l, s.parse(network, at), m, o); err != nil {
		s.Fatal(err)
	}
	return m
}

func (s *scene) parse(network, text string) proactor.Address {
	s.Helper()
	a, err := proactor.ParseAddress(network, text)
	if err != nil {
		s.Fatal(err)
	}
	return a
}

// post writes text to an address.
func (m *mailbox) post(text string, to proactor.Address) {
	m.s.Helper()
	if err := m.port.WriteTo([]byte(text), to); err != nil {
		m.s.Fatal(err)
	}
}

func (m *mailbox) addr() proactor.Address { return m.port.LocalAddr() }

// eachUDP runs a case on every backend, over both versions of IP.
func eachUDP(t *testing.T, f func(s *scene, at string)) {
	for name, at := range map[string]string{"udp4": "127.0.0.1:0", "udp6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) { each(t, func(s *scene) { f(s, at) }) })
	}
}

func TestCase259AddressOfAPort(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		want := s.parse("udp", at)
		if got := m.addr(); got.IP() != want.IP() || got.Port() == 0 || !m.port.Listening() {
			s.Errorf("listening at %v, asked for %v", got, want)
		}
	})
}

func TestCase260Case268NamesAreNoAddresses(t *testing.T) {
	for _, text := range []string{"localhost:53", "example.org:53", "eth0:53"} {
		if a, err := proactor.ParseAddress("udp", text); err == nil {
			t.Errorf("%q is the address %v", text, a)
		}
	}
}

func TestCase261Case264StartAndStopOnce(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		s.expect("a started")
		f := m.port.StopListening()
		s.expect() // not inside the call
		if _, err := result(s, f); err != nil {
			s.Error(err)
		}
		s.pass()
		s.expect("a stopped")
	})
}

func TestCase263PortInUse(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		other := &mailbox{s: s, name: "b"}
		_, err := datagram.Listen(s.l, m.addr(), other, nil)
		var e *transport.ConnError
		if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &e) || e.Op != "listen" {
			s.Errorf("a second port: %v", err)
		}
		s.expect("a started")
	})
}

func TestCase265Case267DatagramsArriveWithTheirSender(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		a, b := s.box("a", "udp", at), s.box("b", "udp", at)
		for _, text := range []string{"one", "two", ""} {
			a.post(text, b.addr())
			s.await("b got " + `"` + text + `"`)
			if b.from != a.addr() {
				s.Errorf("%q comes from %v, want %v", text, b.from, a.addr())
			}
		}
		if _, err := result(s, b.port.Connect(a.addr())); err != nil {
			s.Fatal(err)
		}
		if err := b.port.Write([]byte("connected")); err != nil {
			s.Fatal(err)
		}
		s.await(`a got "connected"`)
	})
}

func TestCase269AddressOfTheOtherFamily(t *testing.T) {
	each(t, func(s *scene) {
		four, six := s.box("4", "udp", "127.0.0.1:0"), s.box("6", "udp", "[::1]:0")
		for _, err := range []error{four.port.WriteTo(nil, six.addr()), six.port.WriteTo(nil, four.addr())} {
			if !errors.Is(err, syscall.EAFNOSUPPORT) {
				s.Errorf("write to the other family: %v", err)
			}
		}
		if _, err := result(s, four.port.Connect(six.addr())); !errors.Is(err, syscall.EAFNOSUPPORT) {
			s.Errorf("connect to the other family: %v", err)
		}
	})
}

// gone returns the address of a port that has stopped.
func (s *scene) gone(at string) proactor.Address {
	s.Helper()
	m := s.box("gone", "udp", at)
	if _, err := result(s, m.port.StopListening()); err != nil {
		s.Fatal(err)
	}
	s.events = nil
	return m.addr()
}

func TestCase271Case275RefusalOnAConnectedPort(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		nobody := s.gone(at)
		m := s.box("a", "udp", at)
		if _, err := result(s, m.port.Connect(nobody)); err != nil {
			s.Fatal(err)
		}
		s.Until("it is told", func() bool {
			if err := m.port.Write([]byte("x")); err != nil {
				s.Fatal(err)
			}
			s.Turn()
			return m.refused > 0
		})
		late := &mailbox{s: s, name: "late"} // somebody comes, and is heard although receiving has failed
		if _, err := datagram.Listen(s.l, nobody, late, nil); err != nil {
			s.Fatal(err)
		}
		late.post("here", m.addr())
		s.await(`a got "here"`)
	})
}

func TestCase272RefusalOnAPortThatIsNotConnected(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		m.post("x", s.gone(at))
		m.post("self", m.addr())
		s.await(`a got "self"`)
		s.pass()
		if m.refused > 0 || !m.port.Listening() {
			s.Errorf("%d refusals were told", m.refused)
		}
	})
}

func TestCase273GoodOnesBeforeAnError(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		a, b := s.box("a", "udp", at), s.box("b", "udp", at)
		if _, err := result(s, b.port.Connect(a.addr())); err != nil {
			s.Fatal(err)
		}
		a.post("one", b.addr())
		a.post("two", b.addr())
		s.Until("they are sent", func() bool { return a.port.Queued() == 0 })
		if _, err := result(s, a.port.StopListening()); err != nil {
			s.Fatal(err)
		}
		if err := b.port.Write([]byte("refused")); err != nil {
			s.Fatal(err)
		}
		s.await(`b got "two"`)
		s.pass()
		if !s.has(`b got "one"`) || !b.port.Listening() {
			s.Errorf("%q", s.events)
		}
	})
}

func TestCase276PanicInDatagramReceived(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		m.on = func(_ *mailbox, text string) {
			if text == "bad" {
				panic(text)
			}
		}
		m.post("bad", m.addr())
		m.post("good", m.addr())
		s.await(`a got "good"`)
		s.panics(1)
	})
}

func TestCase277StopInDatagramReceived(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		m.on = func(*mailbox, string) { s.l.Stop() }
		m.post("x", m.addr())
		s.await("a stopped")
		s.expect("a started", `a got "x"`, "a stopped")
		if err := s.l.Err(); err != loop.ErrStopped {
			s.Errorf("the loop ends with %v", err)
		}
	})
}

func TestCase280MulticastTTL(t *testing.T) {
	each(t, func(s *scene) {
		m := s.box("a", "udp", "0.0.0.0:0")
		for _, want := range []int{1, 7} {
			if want != 1 {
				s.check(m.port.SetOptions(&proactor.SocketOptions{MulticastTTL: want}))
			}
			if o, err := m.port.Options(); err != nil || o.MulticastTTL != want {
				s.Errorf("TTL %d, %v, want %d", o.MulticastTTL, err, want)
			}
		}
	})
}

func (s *scene) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// group joins a port to a group on the loopback and returns the group's
// address with the port's number.
func (s *scene) group(m *mailbox) (proactor.Membership, proactor.Address) {
	s.Helper()
	ip := s.parse("udp", "224.0.0.251:1").IP()
	g := proactor.Membership{Group: ip, Interface: "lo"}
	s.check(m.port.Join(g))
	s.check(m.port.SetOptions(&proactor.SocketOptions{MulticastInterface: "lo"}))
	return g, proactor.IPAddress(proactor.UDP, ip, m.addr().Port())
}

func TestCase281Loopback(t *testing.T) {
	each(t, func(s *scene) {
		m := s.box("a", "udp", "0.0.0.0:0")
		_, to := s.group(m)
		m.post("on", to)
		s.await(`a got "on"`)
		s.check(m.port.SetOptions(&proactor.SocketOptions{MulticastLoop: proactor.Off}))
		if o, err := m.port.Options(); err != nil || o.MulticastLoop != proactor.Off {
			s.Errorf("loopback is %v, %v, want off", o.MulticastLoop, err)
		}
		if s.Net == nil {
			return // the loopback device, the only one here, gives back what it is sent in any case
		}
		m.post("off", to)
		s.pass()
		if s.has(`a got "off"`) {
			s.Error("loopback is off, and the own datagram arrives")
		}
	})
}

func TestCase283Case285JoinAndLeave(t *testing.T) {
	each(t, func(s *scene) {
		m, other := s.box("a", "udp", "0.0.0.0:0"), s.box("b", "udp", "0.0.0.0:0")
		g, to := s.group(m)
		s.check(other.port.SetOptions(&proactor.SocketOptions{MulticastInterface: "lo"}))
		other.post("all", to)
		s.await(`a got "all"`)
		s.check(m.port.Leave(g))
		other.post("nobody", to)
		s.pass()
		if s.has(`a got "nobody"`) {
			s.Error("a datagram of a group that was left arrives")
		}
	})
}

func TestCase284NoGroup(t *testing.T) {
	each(t, func(s *scene) {
		m := s.box("a", "udp", "0.0.0.0:0")
		err := m.port.Join(proactor.Membership{Group: s.parse("udp", "127.0.0.1:1").IP()})
		if !errors.Is(err, syscall.EINVAL) {
			s.Errorf("joining 127.0.0.1: %v", err)
		}
	})
}

// unixgram returns the path of a socket that is not there yet.
func (s *scene) unixgram() string {
	s.wire = unix
	return s.address().Path()
}

func TestCase255AbstractName(t *testing.T) {
	each(t, func(s *scene) {
		name := "@" + strings.ReplaceAll(s.unixgram(), "/", "-")
		a, b := s.box("a", "unixgram", name), s.box("b", "unixgram", "")
		b.post("x", a.addr())
		s.await(`a got "x"`)
	})
}

func TestCase256UnixDatagrams(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.box("server", "unixgram", s.unixgram()), s.box("client", "unixgram", s.unixgram())
		if _, err := result(s, client.port.Connect(server.addr())); err != nil {
			s.Fatal(err)
		}
		s.check(client.port.Write([]byte("question")))
		s.await(`server got "question"`)
		if server.from != client.addr() {
			s.Errorf("from %v, want %v", server.from, client.addr())
		}
		server.post("answer", server.from)
		s.await(`client got "answer"`)
	})
}

func TestCase257PathInUse(t *testing.T) {
	each(t, func(s *scene) {
		a := s.box("a", "unixgram", s.unixgram())
		_, err := datagram.Listen(s.l, a.addr(), &mailbox{s: s}, nil)
		if !errors.Is(err, syscall.EADDRINUSE) {
			s.Errorf("a second socket at one path: %v", err)
		}
	})
}

func TestX39StartedAgainItReads(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		if _, err := result(s, m.port.StopListening()); err != nil {
			s.Fatal(err)
		}
		s.check(m.port.Start())
		m.post("x", m.addr())
		s.await(`a got "x"`)
		s.expect("a started", "a stopped", "a started", `a got "x"`)
	})
}

func TestX40TooLongIsCounted(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w, unix)
		a, b := s.box("a", "unixgram", s.unixgram()), s.box("b", "unixgram", "")
		b.post(strings.Repeat("x", 100_000), a.addr())
		b.post("short", a.addr())
		s.await(`a got "short"`)
		if n := a.port.Stats().Truncated; n != 1 || len(s.events) != 3 {
			s.Errorf("%d truncated, %d events", n, len(s.events))
		}
	})
}

// A flood of empty datagrams leaves timers their turn.
func TestX41EmptyDatagrams(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.box("a", "udp", at)
		over := false
		m.on = func(m *mailbox, _ string) {
			m.s.events = m.s.events[:0]
			if !over {
				m.post("", m.addr())
			}
		}
		s.l.Start(&loop.Timer{Func: func() { over = true }}, 20*time.Millisecond)
		for range 10 {
			m.post("", m.addr())
		}
		s.Until("the timer has its turn", func() bool { return over })
	})
}

func TestX42WhatCannotBeSentNow(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		m := s.boxWith("a", "udp", at, &datagram.Options{Queue: 2})
		var errs []error
		for range 3 {
			errs = append(errs, m.port.WriteTo([]byte("x"), m.addr()))
		}
		if errs[0] != nil || errs[1] != nil || !errors.Is(errs[2], transport.ErrFull) {
			s.Errorf("three writes with room for two: %v", errs)
		}
		s.Until("two arrive", func() bool { return len(s.events) == 3 })
		if slices.Contains(s.events, "a stopped") {
			s.Error("the port has stopped")
		}
	})
}

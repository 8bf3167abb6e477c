package twisted

import (
	"context"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"mobius"
	"mobius/connector"
	"mobius/proactor"
	"mobius/transport"
)

// A client that connects is told so.
func TestCase80ConnectionMade(t *testing.T) {
	eachHostile(t, func(s *scene) {
		client := s.plant("client")
		p := s.listen(s.silent("server"))
		s.connect(p.Addr(), client)
		s.await("client made")
		s.expect("client start", "client connecting", "client build", "client made")
	})
}

// What Connect returns can be stopped, disconnected, and asked where it goes.
func TestCase81ConnectorMethods(t *testing.T) {
	eachStream(t, func(s *scene) {
		client := s.plant("client")
		to := s.deadEnd()
		c := s.connect(to, client)
		if c.Destination() != connector.To(to) || c.Destination().Address() != to {
			s.Errorf("goes to %v, want %v", c.Destination(), to)
		}
		if err := c.StopConnecting(); err != nil {
			s.Errorf("StopConnecting: %v", err)
		}
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")

		p := s.listen(s.silent("server"))
		c = s.connect(p.Addr(), client)
		s.await("client made")
		c.Disconnect()
		s.await("client stop")
		s.expect("client start", "client connecting", "client build", "client made", "client lost: done",
			"client connector lost: done", "client stop")
		if err := c.StopConnecting(); !errors.Is(err, connector.ErrNotConnecting) {
			s.Errorf("StopConnecting when idle: %v, want %v", err, connector.ErrNotConnecting)
		}
	})
}

// BuildProtocol is given the peer's address, as the transport has it.
func TestCase83AddressOfBuildProtocol(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, client := s.silent("server"), s.silent("client")
		a, b := s.pair(server, client)
		if client.peers[0] != b.t.RemoteAddr() || !client.peers[0].IsValid() {
			s.Errorf("the client's BuildProtocol got %v, its transport's peer is %v", client.peers[0], b.t.RemoteAddr())
		}
		if server.peers[0] != a.t.RemoteAddr() || !server.peers[0].IsValid() {
			s.Errorf("the server's BuildProtocol got %v, its transport's peer is %v", server.peers[0], a.t.RemoteAddr())
		}
	})
}

// The port's address, the one that the client's factory got, and the client's
// peer are the same.
func TestCase84OneAddress(t *testing.T) {
	eachStream(t, func(s *scene) {
		client := s.silent("client")
		p := s.listen(s.silent("server"))
		s.connect(p.Addr(), client)
		s.Until("connected", func() bool { return len(client.made) == 1 && client.made[0].t != nil })
		if got := client.peers[0]; got != p.Addr() {
			s.Errorf("the factory got %v, the port is at %v", got, p.Addr())
		}
		if got := client.made[0].t.RemoteAddr(); got != p.Addr() {
			s.Errorf("the peer is %v, the port is at %v", got, p.Addr())
		}
	})
}

// Nobody listens: refused, and the errno is there.
func TestCase85Refused(t *testing.T) {
	eachTCP(t, func(s *scene) {
		client := s.plant("client")
		to := s.deadEnd()
		s.connect(to, client)
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: refused", "client stop")
		var errno syscall.Errno
		if !errors.As(client.errs[0], &errno) || errno != syscall.ECONNREFUSED {
			s.Errorf("failed with %v, want ECONNREFUSED inside", client.errs[0])
		}
		var e *transport.ConnError
		if !errors.As(client.errs[0], &e) || e.Addr != to {
			s.Errorf("failed with %v, want an error that names %v", client.errs[0], to)
		}
	})
}

// The address to connect from is in use: the attempt fails, and says that it
// was the binding.
func TestCase87LocalAddressInUse(t *testing.T) {
	eachTCP(t, func(s *scene) {
		client := s.plant("client")
		p := s.listen(s.silent("server"))
		busy := s.listen(s.silent("busy"))
		c := connector.Connect(s.l, connector.To(p.Addr()), client, connector.Options{Local: busy.Addr()})
		s.await("client stop")
		s.expect("client start", "client connecting", "client failed: failed", "client stop")
		var e *transport.ConnError
		if !errors.As(client.errs[0], &e) || e.Op != "bind" || !errors.Is(e, syscall.EADDRINUSE) {
			s.Errorf("failed with %v, want EADDRINUSE of a bind", client.errs[0])
		}
		if c.State() != connector.Idle {
			s.Errorf("the connector is %v", c.State())
		}
	})
}

// A failed attempt whose callback stops the reactor: Run returns.
func TestCase88StopInConnectionFailed(t *testing.T) {
	eachReactor(t, mobius.Options{}, func(t *testing.T, r *mobius.Reactor, j *journal) {
		addr, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return nil }))
		if err != nil {
			t.Fatal(err)
		}
		addr.StopListening()
		f := &stopper{r: r}
		if _, err := r.Connect(mobius.To(addr.Addr()), f, mobius.ConnectOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := r.Run(context.Background()); err != nil {
			t.Errorf("Run: %v", err)
		}
		if f.failed != 1 {
			t.Errorf("%d failures were reported, want 1", f.failed)
		}
		if j.count("") != j.count("GOMAXPROCS") {
			t.Errorf("logged %q", j.all())
		}
	})
}

// A client's factory builds nothing: the connection is closed in good order, so
// that the server reads an end and not a reset; for the client the attempt was
// refused.
func TestCase89NoProtocolX7(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.plant("server")
		refuse := &refuser{plant: s.plant("client")}
		p := s.listen(server)
		s.connect(p.Addr(), refuse)
		s.Until("both are told", func() bool { return s.has("client stop") && s.has("server lost: done") })
		var e *transport.ConnError
		if err := refuse.errs[0]; !errors.As(err, &e) || e.Kind != transport.Refused || !errors.Is(err, connector.ErrNoProtocol) {
			s.Errorf("failed with %v, want refused: %v", err, connector.ErrNoProtocol)
		}
		if err := server.made[0].err; !errors.Is(err, io.EOF) {
			s.Errorf("the server lost its connection with %v, want EOF", err)
		}
		if s.has("client connector lost: done") || len(refuse.errs) != 1 {
			s.Errorf("the factory was told %q, want one failure", refuse.errs)
		}
	})
}

// A refuser is a plant that builds nothing.
type refuser struct{ *plant }

func (f *refuser) BuildProtocol(proactor.Address) transport.Protocol {
	f.note("build")
	return nil
}

// Each end is a *ConnError, whatever its kind.
func TestCase91OneTypeForEveryEnd(t *testing.T) {
	eachStream(t, func(s *scene) {
		for _, end := range []struct {
			how  func(t transport.Transport)
			kind transport.Kind
		}{
			{transport.Transport.LoseConnection, transport.Done},
			{transport.Transport.AbortConnection, transport.Lost},
		} {
			a, b := s.pair(s.silent("server"), s.silent("client"))
			end.how(a.t)
			s.bothLost(a, b)
			var e *transport.ConnError
			want := end.kind
			if s.wire == unix {
				want = transport.Done // there are no resets
			}
			if !errors.As(b.err, &e) || e.Kind != want {
				s.Errorf("ended with %v, want a *ConnError of kind %v", b.err, want)
			}
		}
	})
}

// Numeric hosts keep their zone and nothing else is taken for one.
func TestCase93NumericAddresses(t *testing.T) {
	a, err := proactor.ParseAddress("tcp", "[fe80::1%eth7]:80")
	if err != nil || a.IP().Zone() != "eth7" || a.Port() != 80 || a.String() != "[fe80::1%eth7]:80" {
		t.Errorf("%v, %v; want the zone and the port kept", a, err)
	}
	d, err := connector.ParseDestination("tcp", "[fe80::1%eth7]:80")
	if err != nil || d.Address() != a {
		t.Errorf("%v, %v; want the same as a destination", d, err)
	}
	for _, text := range []string{
		"localhost:80", "example.net:80", "127.0.0.1:http", "127.0.0.1:", "127.0.0.1", "[::1]:-1", "[::1]:65536",
	} {
		if a, err := proactor.ParseAddress("tcp", text); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q is the address %v, %v; want an error that names it", text, a, err)
		}
	}
}

// A stopper stops its reactor when the attempt has failed.
type stopper struct {
	mobius.ClientBase
	r      *mobius.Reactor
	failed int
}

func (*stopper) BuildProtocol(proactor.Address) transport.Protocol { return nil }

func (f *stopper) ConnectionFailed(*connector.Connector, error) {
	f.failed++
	f.r.Stop()
}

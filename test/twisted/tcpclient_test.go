package twisted

import (
	"context"
	"errors"
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

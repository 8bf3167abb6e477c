package twisted

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mobius/connector"
	"mobius/loop"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// connectorWires are what connectors go over.
var connectorWires = []wire{tcp4, tcp6, unix}

// The connector that Connect returns, the one of StartedConnecting and the one
// of ConnectionLost are the same, and go where they were told.
func TestCase120OneConnector(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.silent("client")
		var lost *connector.Connector
		client.onLost = func(c *connector.Connector) { lost = c }
		p := s.listen(s.silent("server"))
		c := s.connect(p.Addr(), client)
		if client.c != c {
			s.Errorf("StartedConnecting got %v, Connect returned %v", client.c, c)
		}
		s.Until("connected", func() bool { return c.State() == connector.Connected })
		c.Disconnect()
		s.Until("lost", func() bool { return lost != nil })
		if lost != c {
			s.Errorf("ConnectionLost got %v, want %v", lost, c)
		}
		if c.Destination() != connector.To(p.Addr()) {
			s.Errorf("it goes to %v, want %v", c.Destination(), p.Addr())
		}
	})
}

// An attempt stopped in StartedConnecting fails, because the user stopped it.
func TestCase121StopInStartedConnecting(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.plant("client")
		client.onStarted = func(c *connector.Connector) {
			if err := c.StopConnecting(); err != nil {
				s.Errorf("StopConnecting: %v", err)
			}
			s.note("stopped")
		}
		p := s.listen(s.silent("server"))
		s.connect(p.Addr(), client)
		s.await("client stop")
		s.expect("client start", "client connecting", "stopped", "client failed: aborted", "client stop")
		if !errors.Is(client.errs[0], connector.ErrUserStopped) {
			s.Errorf("failed with %v, want %v", client.errs[0], connector.ErrUserStopped)
		}
	})
}

// The protocol is told the end before its factory.
func TestCase123ProtocolBeforeFactory(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, _ := s.pair(s.silent("server"), s.plant("client"))
		a.t.LoseConnection()
		s.await("client stop")
		s.expect("client lost: done", "client connector lost: done", "client stop")
	})
}

// On a simulated network too, a connector tells where it was to go, whatever
// the kind, and though nobody is there.
func TestCase127DestinationInMemory(t *testing.T) {
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}), tcp4)
	for network, text := range map[string]string{
		"tcp":  "example.net:80",
		"unix": "/run/nobody",
	} {
		to, err := connector.ParseDestination(network, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range []connector.Destination{to, connector.To(s.deadEnd())} {
			client := s.plant("client")
			var seen connector.Destination
			client.onFailed = func(c *connector.Connector) { seen = c.Destination() }
			c := connector.Connect(s.l, to, client, connector.Options{})
			s.await("client stop")
			if c.Destination() != to || seen != to {
				t.Errorf("%s %s: it goes to %v and %v", network, to, c.Destination(), seen)
			}
			s.events = nil
		}
	}
	to, _ := connector.ParseDestination("tcp", "example.net:80")
	if host, port := to.Host(); host != "example.net" || port != 80 {
		t.Errorf("the host is %q and the port %d", host, port)
	}
}

// A connector in words: what it is, in which state, and where it goes.
func TestCase128ConnectorInWords(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.silent("client")
		p := s.listen(s.silent("server"))
		c := connector.New(s.l, connector.To(p.Addr()), client, connector.Options{})
		for _, step := range []struct {
			do    func()
			state connector.State
		}{
			{func() {}, connector.Idle},
			{func() { _ = c.Connect() }, connector.Connecting},
			{func() {}, connector.Connected},
			{c.Disconnect, connector.Idle},
		} {
			step.do()
			s.Until(step.state.String(), func() bool { return c.State() == step.state })
			text := c.String()
			for _, want := range []string{"connector", step.state.String(), p.Addr().String()} {
				if !strings.Contains(text, want) {
					s.Errorf("%q does not say %q", text, want)
				}
			}
		}
	})
}

// Connect from the protocol's ConnectionLost: the next attempt begins once the
// factory was told, too.
func TestX3ConnectInConnectionLost(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.plant("client")
		client.talker.onLost = func(p *talker) {
			if len(client.made) == 1 {
				if err := client.c.Connect(); err != nil {
					s.Errorf("Connect: %v", err)
				}
				s.note("asked")
			}
		}
		p := s.listen(s.silent("server"))
		c := s.connect(p.Addr(), client)
		s.await("client made")
		c.Disconnect()
		s.Until("connected again", func() bool { return len(client.made) == 2 && client.made[1].t != nil })
		c.Disconnect()
		s.await("client stop")
		s.expect("client start", "client connecting", "client build", "client made", "client lost: done", "asked",
			"client connector lost: done", "client connecting", "client build", "client made", "client lost: done",
			"client connector lost: done", "client stop")
	})
}

// Disconnect inside BuildProtocol: the connection is closed, and one thing is
// reported, once.
func TestX4DisconnectInBuildProtocol(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		server, client := s.silent("server"), s.plant("client")
		client.onBuild = func() { client.c.Disconnect() }
		p := s.listen(server)
		s.connect(p.Addr(), client)
		s.await("client stop")
		s.expect("client start", "client connecting", "client build", "client failed: aborted", "client stop")
		s.Until("the server has noticed", func() bool { return len(server.made) == 1 && server.made[0].err != nil })
		s.stop(p)
		s.idle()
	})
}

// BuildProtocol of a client panics: a failed attempt, with the panic as cause.
func TestX6ClientBuildProtocolPanics(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.plant("client")
		client.onBuild = func() { panic("no") }
		p := s.listen(s.silent("server"))
		s.connect(p.Addr(), client)
		s.await("client stop")
		s.expect("client start", "client connecting", "client build", "client failed: panicked", "client stop")
		var e *transport.PanicError
		if !errors.As(client.errs[0], &e) || e.Value != "no" {
			s.Errorf("failed with %v, want the panic", client.errs[0])
		}
		s.panics(1)
	})
}

// ConnectionLost of a client's protocol panics: the factory is told and
// stopped all the same.
func TestX9ConnectionLostPanics(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.plant("client")
		client.talker.onLost = func(*talker) { panic("no") }
		a, _ := s.pair(s.silent("server"), client)
		a.t.LoseConnection()
		s.await("client stop")
		s.expect("client lost: done", "client connector lost: done", "client stop")
		if client.Users() != 0 || client.c.State() != connector.Idle {
			s.Errorf("%d users of the factory, %v", client.Users(), client.c)
		}
		s.panics(1)
		s.idle()
	})
}

// Connect of a connector that is connecting or connected is an error, and so is
// StopConnecting of one that is not.
func TestX55WrongState(t *testing.T) {
	eachOn(t, connectorWires, func(s *scene) {
		client := s.silent("client")
		p := s.listen(s.silent("server"))
		c := s.connect(p.Addr(), client)
		if err := c.Connect(); !errors.Is(err, connector.ErrNotIdle) {
			s.Errorf("Connect while %v: %v, want %v", c.State(), err, connector.ErrNotIdle)
		}
		s.Until("connected", func() bool { return c.State() == connector.Connected })
		if err := c.Connect(); !errors.Is(err, connector.ErrNotIdle) {
			s.Errorf("Connect while %v: %v, want %v", c.State(), err, connector.ErrNotIdle)
		}
		if err := c.StopConnecting(); !errors.Is(err, connector.ErrNotConnecting) {
			s.Errorf("StopConnecting while %v: %v, want %v", c.State(), err, connector.ErrNotConnecting)
		}
		c.Disconnect()
		s.Until("disconnected", func() bool { return c.State() == connector.Idle })
		if err := c.StopConnecting(); !errors.Is(err, connector.ErrNotConnecting) {
			s.Errorf("StopConnecting while %v: %v, want %v", c.State(), err, connector.ErrNotConnecting)
		}
		if len(client.made) != 1 || len(client.errs) != 1 {
			s.Errorf("%d protocols and %d ends, want one each", len(client.made), len(client.errs))
		}
	})
}

// The loop stops while an attempt is under way, looking up or dialing: it
// fails, and the cause says why.
func TestX56StopWhileConnecting(t *testing.T) {
	each(t, func(s *scene) {
		client := s.plant("client")
		to, err := connector.ParseDestination("tcp", "nowhere:80")
		if err != nil {
			s.Fatal(err)
		}
		asked := &silentResolver{}
		connector.Connect(s.l, to, client, connector.Options{Resolver: asked})
		s.stoppedWhileConnecting(client)
		if asked.asked != 1 || asked.cancelled != 1 {
			s.Errorf("%d lookups, %d cancelled, want one", asked.asked, asked.cancelled)
		}
	})
	t.Run("dialing", func(t *testing.T) {
		s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}), tcp4)
		client := s.plant("client")
		p := s.listen(s.silent("server"))
		s.connect(p.Addr(), client) // which takes some virtual time
		s.stoppedWhileConnecting(client)
	})
}

func (s *scene) stoppedWhileConnecting(client *plant) {
	s.Helper()
	s.l.Stop()
	s.Until("stopped", func() bool { s.Turn(); return s.has("client stop") })
	s.expect("client start", "client connecting", "client failed: stopped", "client stop")
	if !errors.Is(client.errs[0], loop.ErrStopped) {
		s.Errorf("failed with %v, want %v", client.errs[0], loop.ErrStopped)
	}
}

// A silentResolver never answers by itself.
type silentResolver struct {
	asked, cancelled int
	answer           func(addresses []netip.Addr, err error)
}

func (r *silentResolver) Resolve(_ *loop.Loop, _ string, done func([]netip.Addr, error)) (cancel func()) {
	r.asked++
	r.answer = done
	return func() { r.cancelled++ }
}

// The attempt ends, by its deadline or because the user stopped it, while the
// name is being looked up: one failure, and a late answer changes nothing.
func TestX54EndWhileResolving(t *testing.T) {
	for name, end := range map[string]struct {
		timeout time.Duration
		kind    string
	}{
		"deadline": {time.Millisecond, "timed out"},
		"stop":     {0, "aborted"},
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scene) {
				server, client := s.silent("server"), s.plant("client")
				at := s.listen(server).Addr()
				to, err := connector.ParseDestination("tcp", fmt.Sprintf("nowhere:%d", at.Port()))
				if err != nil {
					s.Fatal(err)
				}
				r := &silentResolver{}
				c := connector.Connect(s.l, to, client, connector.Options{Resolver: r, ConnectTimeout: end.timeout})
				if end.timeout == 0 {
					c.Disconnect()
				}
				s.await("client stop")
				r.answer([]netip.Addr{at.IP()}, nil)
				s.pass()
				s.expect("client start", "client connecting", "client failed: "+end.kind, "client stop")
				if len(server.made) > 0 || r.cancelled != 1 {
					s.Errorf("%d connections were made, the lookup was cancelled %d times", len(server.made), r.cancelled)
				}
			})
		})
	}
}

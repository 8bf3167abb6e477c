package connector

import (
	"errors"
	"runtime"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// A callback that takes the loop's goroutine away ends the loop; whatever was
// under way is settled, and told to those who are left.
func TestGoexitInClientCallbacks(t *testing.T) {
	cases := map[string]func(f *plant){
		"connecting":       func(f *plant) { f.onStarted = func(*Connector) { runtime.Goexit() } },
		"build":            func(f *plant) { f.onBuild = func() transport.Protocol { runtime.Goexit(); return nil } },
		"made":             func(f *plant) { f.talker.onMade = func(*talker) { runtime.Goexit() } },
		"lost: done":       func(f *plant) { f.talker.onLost = func(*talker) { runtime.Goexit() } },
		"connector lost":   func(f *plant) { f.onLost = func(*Connector) { runtime.Goexit() } },
		"failed":           func(f *plant) { f.onFailed = func(*Connector) { runtime.Goexit() } },
		"stop":             func(f *plant) { f.OnStop = func() { f.s.note("client stop"); runtime.Goexit() } },
		"stop of failures": func(f *plant) { f.OnStop = func() { f.s.note("client stop"); runtime.Goexit() } },
	}
	for name, arm := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}))
			server := s.quiet()
			server.talker.onMade = func(p *talker) { p.t.LoseConnection() }
			port := s.listen(server)
			to := port.Addr()
			if name == "failed" || name == "stop of failures" {
				to = proactor.IPAddress(proactor.TCP, here, 9) // nobody's
			}
			f := s.plant("client")
			f.talker.onMade = nil
			arm(f)
			gone := make(chan struct{})
			s.l.Call(func() { Connect(s.l, To(to), f, Options{}) })
			go func() {
				defer close(gone)
				for s.l.Iterate(-1) == nil {
				}
				t.Error("Iterate went on after a Goexit")
			}()
			<-gone
			s.TakeTroubles()
			ends := len(f.errs)
			if f.Users() != 0 || ends != 1 || s.l.Err() != loop.ErrGoexit || s.l.Members() != 0 {
				t.Errorf("%d users, %d ends told, %v, %d members; %q", f.Users(), ends, s.l.Err(), s.l.Members(), s.events)
			}
			if n := port.Conns(); n != 0 {
				t.Errorf("the port counts %d connections", n)
			}
		})
	}
}

// brittle is a backend that fails when the test says so.
type brittle struct {
	proactor.Backend
	err error
}

func (b *brittle) Poll(timeout time.Duration) error {
	if b.err != nil {
		return b.err
	}
	return b.Backend.Poll(timeout)
}

// When the backend fails, nothing completes any more: everybody is told all
// the same, attempts that begin at that moment too.
func TestBackendFails(t *testing.T) {
	net := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults})
	b, err := net.Open()
	if err != nil {
		t.Fatal(err)
	}
	broken := &brittle{Backend: b}
	s := &scene{World: &backends.World{TB: t}}
	s.l = loop.New(broken, loop.Options{Report: func(loop.Trouble) {}})
	server, connected, connecting, late := s.plant("server"), s.plant("one"), s.plant("two"), s.plant("late")
	port, err := Listen([]*loop.Loop{s.l}, proactor.IPAddress(proactor.TCP, here, 0), server, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	Connect(s.l, To(port.Addr()), connected, Options{})
	for connected.talking() == 0 || server.talking() == 0 {
		if err := s.l.Iterate(-1); err != nil {
			t.Fatal(err)
		}
	}
	Connect(s.l, To(port.Addr()), connecting, Options{})
	connecting.onFailed = func(*Connector) { Connect(s.l, To(port.Addr()), late, Options{}) }
	broken.err = proactor.ErrLost
	if err := s.l.Iterate(-1); err != proactor.ErrLost {
		t.Fatalf("Iterate: %v", err)
	}
	for name, f := range map[string]*plant{"connected": connected, "connecting": connecting, "late": late} {
		if len(f.errs) != 1 || !errors.Is(f.errs[0], proactor.ErrLost) || f.Users() != 0 {
			t.Errorf("%s: told %v, %d users", name, f.errs, f.Users())
		}
	}
	if server.Users() != 0 || port.Conns() != 0 || port.Listening() || s.l.Members() != 0 {
		t.Errorf("%d users, %d connections, listening %v, %d members; %q",
			server.Users(), port.Conns(), port.Listening(), s.l.Members(), s.events)
	}
	if err := s.l.Close(); err != proactor.ErrLost {
		t.Errorf("Close: %v", err)
	}
}

func TestLoopStops(t *testing.T) {
	cases := map[string]struct {
		begin func(s *scene, f *plant) *Connector
		want  []string
	}{
		"while connecting": {
			func(s *scene, f *plant) *Connector {
				return Connect(s.l, Destination{host: "somewhere"}, f, Options{Resolver: &oracle{}})
			},
			[]string{"client start", "client connecting", "client failed: stopped", "client stop"},
		},
		"while connected": {
			func(s *scene, f *plant) *Connector {
				c := Connect(s.l, To(s.listen(s.quiet()).Addr()), f, Options{})
				s.Until("connected", func() bool { return c.State() == Connected })
				return c
			},
			[]string{"client start", "client connecting", "client build", "client made", "client lost: stopped",
				"client connector lost: stopped", "client stop"},
		},
		"while waiting": {
			func(s *scene, f *plant) *Connector {
				c := New(s.l, To(s.deadEnd()), f, Options{})
				c.ConnectAfter(1 << 40)
				return c
			},
			[]string{"client start", "client stop"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scene) {
				f := s.plant("client")
				f.onLost = func(c *Connector) { // in vain
					if err := c.Connect(); err != loop.ErrStopped {
						s.Errorf("Connect while the loop stops: %v", err)
					}
				}
				f.onFailed = f.onLost
				c.begin(s, f)
				s.l.Stop()
				s.Turn()
				s.expect(c.want...)
				for _, err := range f.errs {
					if !errors.Is(err, loop.ErrStopped) {
						s.Errorf("told %v", err)
					}
				}
			})
		})
	}
}

// An attempt that begins while the loop stops is told so, like any other.
func TestConnectOnALoopThatStops(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		first, second := s.plant("first"), s.plant("second")
		first.onLost = func(*Connector) { Connect(s.l, To(port.Addr()), second, Options{}) }
		c := Connect(s.l, To(port.Addr()), first, Options{})
		s.Until("connected", func() bool { return c.State() == Connected })
		s.events = nil
		s.l.Stop()
		s.Turn()
		s.expect("first lost: stopped", "first connector lost: stopped", "second start", "second connecting", "first stop",
			"second failed: stopped", "second stop")
	})
}

// A Shutdown of the loop ends attempts, and waits for connections to close.
func TestLoopShutdown(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		f, g := s.plant("client"), s.plant("waiting")
		c := Connect(s.l, To(port.Addr()), f, Options{})
		s.Until("connected", func() bool { return c.State() == Connected })
		w := New(s.l, To(port.Addr()), g, Options{})
		w.ConnectAfter(1 << 40)
		s.events = nil
		s.l.Shutdown(1 << 40)
		if err := w.ConnectAfter(1); err != loop.ErrStopped {
			s.Errorf("ConnectAfter in a Shutdown: %v", err)
		}
		s.Until("stopped", func() bool { return s.l.Err() != nil })
		for _, want := range []string{"client lost: done", "client connector lost: done", "client stop", "waiting stop"} {
			if !s.has(want) {
				s.Errorf("no %q in %q", want, s.events)
			}
		}
	})
}

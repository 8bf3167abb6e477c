package connector

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"mobius/proactor"
	"mobius/transport"
)

func TestCallbackOrder(t *testing.T) {
	each(t, func(s *scene) {
		server := s.quiet()
		server.talker.onMade = func(p *talker) { p.t.Write([]byte("hello")); p.t.LoseConnection() }
		port := s.listen(server)
		f := s.plant("client")
		to := To(port.Addr())
		c := Connect(s.l, to, f, Options{})
		s.expect("client start", "client connecting")
		if f.c != c || c.Destination() != to || c.State() != Connecting {
			s.Fatalf("StartedConnecting got %v, Connect returned %v", f.c, c)
		}
		s.Until("it is over", func() bool { return c.State() == Idle })
		s.expect("client build", "client made", "client lost: done", "client connector lost: done", "client stop")
		if got := string(f.made[0].got); got != "hello" {
			s.Errorf("received %q", got)
		}
		if err := f.made[0].err; err != f.errs[0] || !errors.Is(err, io.EOF) {
			s.Errorf("the protocol was told %v, the factory %v", err, f.errs[0])
		}
		if f.Users() != 0 {
			s.Errorf("the factory counts %d users", f.Users())
		}
	})
}

// The port's address, what the client's factory is given and the client's
// peer are one; and so are the client's own address and the server's peer.
func TestAddresses(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.quiet(), s.quiet()
		port := s.listen(server)
		Connect(s.l, To(port.Addr()), client, Options{})
		s.Until("both are connected", func() bool { return len(server.made) == 1 && len(client.made) == 1 && client.made[0].t != nil })
		a, b := client.made[0].t, server.made[0].t
		if p := port.Addr(); p.Port() == 0 || client.peers[0] != p || a.RemoteAddr() != p || b.LocalAddr() != p {
			s.Errorf("port %v, built for %v, peer %v, server's %v", p, client.peers[0], a.RemoteAddr(), b.LocalAddr())
		}
		if a.LocalAddr() != b.RemoteAddr() || server.peers[0] != b.RemoteAddr() {
			s.Errorf("client at %v, server sees %v, built for %v", a.LocalAddr(), b.RemoteAddr(), server.peers[0])
		}
	})
}

func TestRefused(t *testing.T) {
	each(t, func(s *scene) {
		f := s.plant("client")
		c := Connect(s.l, To(s.deadEnd()), f, Options{})
		s.Until("it has failed", func() bool { return c.State() == Idle })
		s.expect("client start", "client connecting", "client failed: refused", "client stop")
		var e *transport.ConnError
		if err := f.errs[0]; !errors.Is(err, syscall.ECONNREFUSED) || !errors.As(err, &e) || e.Op != "connect" {
			s.Errorf("failed with %v", err)
		} else if e.Addr != c.Destination().Address() {
			s.Errorf("failed at %v", e.Addr)
		}
	})
}

// What the user stops fails once, later, also from inside StartedConnecting.
func TestStopConnecting(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		f := s.plant("client")
		f.onStarted = func(c *Connector) {
			if err := c.StopConnecting(); err != nil {
				s.Errorf("StopConnecting: %v", err)
			}
			if err := c.StopConnecting(); err != ErrNotConnecting {
				s.Errorf("second StopConnecting: %v", err)
			}
		}
		c := Connect(s.l, To(port.Addr()), f, Options{})
		s.expect("client start", "client connecting") // nothing from inside
		s.Until("it has failed", func() bool { return c.State() == Idle })
		s.expect("client failed: aborted", "client stop")
		if !errors.Is(f.errs[0], ErrUserStopped) {
			s.Errorf("failed with %v", f.errs[0])
		}
		f.onStarted = nil
		if err := c.Connect(); err != nil {
			s.Fatal(err)
		}
		c.Disconnect() // while dialing
		s.Until("it has failed", func() bool { return c.State() == Idle })
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
		if err := c.StopConnecting(); err != ErrNotConnecting {
			s.Errorf("StopConnecting of an idle connector: %v", err)
		}
		c.Disconnect() // does nothing
		s.expect()
	})
}

func TestWhenConnected(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		f := s.plant("client")
		c := Connect(s.l, To(port.Addr()), f, Options{})
		s.Until("connected", func() bool { return s.has("client made") })
		s.events = nil
		if c.State() != Connected || c.Transport() == nil {
			s.Errorf("state %v", c.State())
		}
		if err := c.Connect(); err != ErrNotIdle {
			s.Errorf("Connect: %v", err)
		}
		if err := c.ConnectAfter(1); err != ErrNotIdle {
			s.Errorf("ConnectAfter: %v", err)
		}
		if err := c.StopConnecting(); err != ErrNotConnecting {
			s.Errorf("StopConnecting: %v", err)
		}
		c.Disconnect()
		s.expect() // nothing from inside
		s.Until("lost", func() bool { return c.State() == Idle })
		s.expect("client lost: done", "client connector lost: done", "client stop")
		if c.Transport() != nil {
			s.Error("a transport without a connection")
		}
	})
}

func TestDisconnectInBuildProtocol(t *testing.T) {
	each(t, func(s *scene) {
		for _, stop := range []func(*Connector){(*Connector).Disconnect, func(c *Connector) { c.StopConnecting() }} {
			server := s.quiet()
			port := s.listen(server)
			f := s.plant("client")
			f.onBuild = func() transport.Protocol {
				stop(f.c)
				return &f.talker
			}
			c := Connect(s.l, To(port.Addr()), f, Options{})
			s.Until("it is over", func() bool { return c.State() == Idle && len(server.made) == 1 && server.made[0].err != nil })
			s.expect("client start", "client connecting", "client build", "client failed: aborted", "client stop")
		}
	})
}

func TestNoProtocol(t *testing.T) {
	each(t, func(s *scene) {
		server := s.quiet()
		port := s.listen(server)
		f := s.plant("client")
		f.onBuild = func() transport.Protocol { return nil }
		c := Connect(s.l, To(port.Addr()), f, Options{})
		s.Until("both are over", func() bool { return c.State() == Idle && len(server.made) == 1 && server.made[0].err != nil })
		s.expect("client start", "client connecting", "client build", "client failed: refused", "client stop")
		if !errors.Is(f.errs[0], ErrNoProtocol) || !errors.Is(server.made[0].err, io.EOF) {
			s.Errorf("client: %v, server: %v", f.errs[0], server.made[0].err)
		}
	})
}

// A panic in any callback costs nothing but its own connection: whatever is
// due after it comes.
func TestPanicsAndBookkeeping(t *testing.T) {
	boom := errors.New("boom")
	cases := map[string]struct {
		arm  func(f *plant)
		want []string
	}{
		"started": {
			func(f *plant) { f.onStarted = func(*Connector) { panic(boom) } },
			[]string{"client start", "client connecting", "client failed: panicked", "client stop"},
		},
		"build": {
			func(f *plant) { f.onBuild = func() transport.Protocol { panic(boom) } },
			[]string{"client start", "client connecting", "client build", "client failed: panicked", "client stop"},
		},
		"made": {
			func(f *plant) { f.talker.onMade = func(*talker) { panic(boom) } },
			[]string{"client start", "client connecting", "client build", "client made", "client lost: panicked",
				"client connector lost: panicked", "client stop"},
		},
		"data": {
			func(f *plant) { f.talker.onData = func(*talker) { panic(boom) } },
			[]string{"client start", "client connecting", "client build", "client made", "client lost: panicked",
				"client connector lost: panicked", "client stop"},
		},
		"lost": {
			func(f *plant) {
				f.talker.onData = func(p *talker) { p.t.LoseConnection() }
				f.talker.onLost = func(*talker) { panic(boom) }
			},
			[]string{"client start", "client connecting", "client build", "client made", "client lost: done",
				"client connector lost: done", "client stop"},
		},
		"connector lost": {
			func(f *plant) {
				f.talker.onData = func(p *talker) { p.t.LoseConnection() }
				f.onLost = func(*Connector) { panic(boom) }
			},
			[]string{"client start", "client connecting", "client build", "client made", "client lost: done",
				"client connector lost: done", "client stop"},
		},
		"stop": {
			func(f *plant) {
				f.talker.onData = func(p *talker) { p.t.LoseConnection() }
				f.OnStop = func() { f.s.note("client stop"); panic(boom) }
			},
			[]string{"client start", "client connecting", "client build", "client made", "client lost: done",
				"client connector lost: done", "client stop"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scene) {
				server := s.quiet()
				server.talker.onMade = func(p *talker) { p.t.Write([]byte("x")) }
				port := s.listen(server)
				f := s.plant("client")
				c.arm(f)
				k := Connect(s.l, To(port.Addr()), f, Options{})
				s.Until("it is over", func() bool { return k.State() == Idle && s.l.Members() <= 2 && f.Users() == 0 })
				s.expect(c.want...)
				s.panics(1)
				if last := f.errs; len(last) != 1 || kindOf(last[0]) == "panicked" && !errors.Is(last[0], boom) {
					s.Errorf("told %v", last)
				}
			})
		})
	}
}

func TestPanicInConnectionFailed(t *testing.T) {
	each(t, func(s *scene) {
		f := s.plant("client")
		f.onFailed = func(*Connector) { panic("boom") }
		c := Connect(s.l, To(s.deadEnd()), f, Options{})
		s.Until("it has failed", func() bool { return c.State() == Idle })
		s.expect("client start", "client connecting", "client failed: refused", "client stop")
		s.panics(1)
	})
}

// Connect works in every callback of the end, begins after it, and keeps the
// factory started.
func TestConnectInCallbacks(t *testing.T) {
	each(t, func(s *scene) {
		server := s.quiet()
		server.talker.onMade = func(p *talker) { p.t.LoseConnection() }
		port := s.listen(server)
		f := s.plant("client")
		rounds := 0
		again := func(c *Connector) {
			if rounds++; rounds > 2 {
				return
			}
			if err := c.Connect(); err != nil {
				s.Errorf("Connect: %v", err)
			}
			if err := c.Connect(); err != ErrNotIdle {
				s.Errorf("second Connect: %v", err)
			}
		}
		f.talker.onLost = func(*talker) {
			if rounds == 0 {
				again(f.c)
			}
		}
		f.onLost = func(c *Connector) {
			if rounds >= 1 && !s.has("first") {
				s.note("first") // Connect was called by the protocol: leave it at that
				return
			}
			again(c)
		}
		c := Connect(s.l, To(port.Addr()), f, Options{})
		s.Until("it is over", func() bool { return c.State() == Idle })
		s.expect("client start",
			"client connecting", "client build", "client made", "client lost: done", "client connector lost: done", "first",
			"client connecting", "client build", "client made", "client lost: done", "client connector lost: done",
			"client connecting", "client build", "client made", "client lost: done", "client connector lost: done",
			"client stop")
	})
}

// A Connect in the factory's OnStop begins a new session.
func TestConnectInStop(t *testing.T) {
	each(t, func(s *scene) {
		f := s.plant("client")
		rounds := 0
		f.OnStop = func() {
			s.note("client stop")
			if rounds++; rounds == 1 {
				f.c.Connect()
			}
		}
		c := Connect(s.l, To(s.deadEnd()), f, Options{})
		s.Until("it is over", func() bool { return c.State() == Idle })
		s.expect("client start", "client connecting", "client failed: refused", "client stop",
			"client start", "client connecting", "client failed: refused", "client stop")
	})
}

func TestConnectInConnectionFailed(t *testing.T) {
	each(t, func(s *scene) {
		f := s.plant("client")
		rounds := 0
		f.onFailed = func(c *Connector) {
			switch rounds++; rounds {
			case 1:
				c.Connect()
			case 2: // taken back
				c.Connect()
				if err := c.StopConnecting(); err != nil {
					s.Errorf("StopConnecting: %v", err)
				}
			}
		}
		c := Connect(s.l, To(s.deadEnd()), f, Options{})
		s.Until("it is over", func() bool { return c.State() == Idle })
		s.expect("client start", "client connecting", "client failed: refused",
			"client connecting", "client failed: refused", "client stop")
		f.onFailed = nil
		if err := c.Connect(); err != nil { // a new session, by anybody
			s.Fatal(err)
		}
		s.Until("it is over", func() bool { return c.State() == Idle })
		s.expect("client start", "client connecting", "client failed: refused", "client stop")
	})
}

// A Connect between StopConnecting and the report of it begins after it.
func TestConnectAfterStopConnecting(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		f := s.plant("client")
		c := Connect(s.l, To(port.Addr()), f, Options{})
		c.StopConnecting()
		if err := c.Connect(); err != nil {
			s.Fatal(err)
		}
		s.Until("connected", func() bool { return c.State() == Connected })
		s.expect("client start", "client connecting", "client failed: aborted", "client connecting", "client build", "client made")
	})
}

// A talker with all abilities is known to have them behind what ports and
// connectors put around it.
type able struct {
	talker
	paused, resumed int
}

func (p *able) ReadConnectionLost()  { p.s.note("%s has read all", p.name); p.t.LoseConnection() }
func (p *able) WriteConnectionLost() { p.s.note("%s has written all", p.name) }
func (p *able) PauseWriting()        { p.paused++ }
func (p *able) ResumeWriting()       { p.resumed++ }

func TestAbilitiesAreFound(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.plant("server"), s.plant("client")
		p := &able{talker: talker{s: s, name: "server"}}
		c := &able{talker: talker{s: s, name: "client"}}
		c.onMade = func(k *talker) {
			k.t.Write(make([]byte, 1<<20)) // above the water mark
			k.t.LoseWriteConnection()
		}
		server.onBuild = func() transport.Protocol { return p }
		client.onBuild = func() transport.Protocol { return c }
		port := s.listen(server)
		k := Connect(s.l, To(port.Addr()), client, Options{})
		s.Until("it is over", func() bool { return k.State() == Idle && port.Conns() == 0 })
		for _, want := range []string{"client has written all", "server has read all", "client has read all"} {
			if !s.has(want) {
				s.Errorf("no %q in %q", want, s.events)
			}
		}
		if len(p.got) != 1<<20 || c.paused != 1 {
			s.Errorf("the server has %d bytes; the client was paused %d times", len(p.got), c.paused)
		}
	})
}

// A connection that is given away has ended here.
func TestDetachedClient(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		f := s.plant("client")
		var given proactor.Handle
		f.talker.onMade = func(p *talker) {
			s.l.Call(func() {
				if err := p.t.Detach(func(h proactor.Handle, _ []byte, err error) { given = h }); err != nil {
					s.Error(err)
				}
			})
		}
		c := Connect(s.l, To(port.Addr()), f, Options{})
		s.Until("it is given away", func() bool { return given != 0 })
		s.expect("client start", "client connecting", "client build", "client made", "client lost: detached",
			"client connector lost: detached", "client stop")
		if c.State() != Idle {
			s.Errorf("%v", c)
		}
		if err := s.l.Sockets().CloseFD(given); err != nil {
			s.Error(err)
		}
	})
}

func TestFactoryFuncAsClient(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		p := &talker{s: s, name: "client"}
		c := Connect(s.l, To(port.Addr()), Client{Factory: FactoryFunc(func(proactor.Address) transport.Protocol { return p })}, Options{})
		s.Until("connected", func() bool { return c.State() == Connected })
		c.Disconnect()
		s.Until("lost", func() bool { return c.State() == Idle })
		s.expect("client made", "client lost: done")
	})
}

package connector

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// stubborn is a client at a dead end, which notes when it tries.
type stubborn struct {
	*scene
	r   *Reconnecting
	f   *plant
	c   *Connector
	at  []time.Duration // of each attempt
	end []time.Duration // of each failure
}

func newStubborn(w *backends.World, r *Reconnecting) *stubborn {
	s := &stubborn{scene: newScene(w), r: r}
	s.f = s.plant("client")
	r.Factory = s.f
	s.f.onStarted = func(*Connector) { s.at = append(s.at, s.l.Now()) }
	s.f.onFailed = func(*Connector) { s.end = append(s.end, s.l.Now()) }
	return s
}

func (s *stubborn) connect(to proactor.Address) {
	s.c = Connect(s.l, To(to), s.r, Options{})
}

// waits returns the times from each failure to the next attempt.
func (s *stubborn) waits() []time.Duration {
	var out []time.Duration
	for i, at := range s.at[1:] {
		out = append(out, at-s.end[i])
	}
	return out
}

func simulated(t *testing.T) *backends.World {
	return backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
}

// The first wait is the initial one, they grow by the factor, and the cap is
// applied last, to what the jitter has made.
func TestBackOff(t *testing.T) {
	const ms = time.Millisecond
	cases := map[string]struct {
		r    Reconnecting
		rand float64
		want []time.Duration
	}{
		"no jitter": {
			Reconnecting{Initial: 100 * ms, Max: time.Second, Factor: 3, Jitter: -1, MaxRetries: 5}, math.NaN(),
			[]time.Duration{100 * ms, 300 * ms, 900 * ms, time.Second, time.Second},
		},
		"longest jitter": {
			Reconnecting{Initial: 100 * ms, Max: time.Second, Factor: 2, Jitter: 0.5, MaxRetries: 5}, 1,
			[]time.Duration{150 * ms, 300 * ms, 600 * ms, time.Second, time.Second},
		},
		"shortest jitter": {
			Reconnecting{Initial: 100 * ms, Max: time.Second, Factor: 2, Jitter: 0.5, MaxRetries: 6}, 0,
			[]time.Duration{50 * ms, 100 * ms, 200 * ms, 400 * ms, 500 * ms, 500 * ms},
		},
		"defaults": {
			Reconnecting{MaxRetries: 8}, 0.5,
			[]time.Duration{1000 * ms, 2000 * ms, 4000 * ms, 8000 * ms, 16000 * ms, 32000 * ms, time.Minute, time.Minute},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.r.Rand = func() float64 { return c.rand }
			s := newStubborn(simulated(t), &c.r)
			s.connect(s.deadEnd())
			s.Until("it has given up", func() bool { return s.c.State() == Idle })
			if got := s.waits(); !reflect.DeepEqual(got, c.want) {
				t.Errorf("waits %v, want %v", got, c.want)
			}
			if s.events[0] != "client start" || s.events[len(s.events)-1] != "client stop" || s.f.Users() != 0 {
				t.Errorf("events %v", s.events)
			}
			for _, e := range s.events[1 : len(s.events)-1] { // started all the while
				if e != "client connecting" && e != "client failed: refused" {
					t.Errorf("in between: %s", e)
				}
			}
		})
	}
}

// The default jitter is one part in five, and differs from try to try.
func TestDefaultJitter(t *testing.T) {
	s := newStubborn(simulated(t), &Reconnecting{Factor: 1, MaxRetries: 200})
	s.connect(s.deadEnd())
	s.Until("it has given up", func() bool { return s.c.State() == Idle })
	least, most := time.Hour, time.Duration(0)
	for _, wait := range s.waits() {
		least, most = min(least, wait), max(most, wait)
	}
	if least < 800*time.Millisecond || least > 850*time.Millisecond || most < 1150*time.Millisecond || most > 1200*time.Millisecond {
		t.Errorf("waits are from %v to %v", least, most)
	}
}

// A connection alone resets nothing: that is for the protocol to say.
func TestResetDelay(t *testing.T) {
	for _, content := range []bool{false, true} {
		s := newStubborn(simulated(t), &Reconnecting{Initial: time.Second, Factor: 2, Jitter: -1, MaxRetries: 3})
		server := s.quiet()
		server.talker.onMade = func(p *talker) { p.t.LoseConnection() }
		port := s.listen(server)
		s.f.onLost = func(*Connector) { s.end = append(s.end, s.l.Now()) }
		s.f.talker.onMade = func(*talker) {
			if content && len(s.f.made) < 4 {
				s.r.ResetDelay()
			}
		}
		s.connect(port.Addr())
		s.Until("it has given up", func() bool { return s.c.State() == Idle })
		want := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}
		if content {
			want = []time.Duration{time.Second, time.Second, time.Second, 2 * time.Second, 4 * time.Second}
		}
		if got := s.waits(); !reflect.DeepEqual(got, want) {
			t.Errorf("content %v: waits %v, want %v", content, got, want)
		}
		if s.r.Retries() != 3 {
			t.Errorf("%d retries", s.r.Retries())
		}
	}
}

// No attempt follows a StopTrying, whenever it comes.
func TestStopTrying(t *testing.T) {
	cases := map[string]struct {
		arm  func(s *stubborn)
		want []string
	}{
		"while waiting": {
			func(s *stubborn) {
				s.f.onFailed = func(*Connector) {
					s.l.Call(func() {
						if s.c.State() != Waiting {
							s.Errorf("%v, want waiting", s.c)
						}
						s.r.StopTrying()
					})
				}
				s.connect(s.deadEnd())
			},
			[]string{"client start", "client connecting", "client failed: refused", "client stop"},
		},
		"while connecting": {
			func(s *stubborn) {
				s.connect(s.deadEnd())
				s.r.StopTrying()
			},
			[]string{"client start", "client connecting", "client failed: aborted", "client stop"},
		},
		"while connected": {
			func(s *stubborn) {
				s.connect(s.listen(s.quiet()).Addr())
				s.Until("connected", func() bool { return s.has("client made") })
				s.r.StopTrying()
				s.c.Disconnect()
			},
			[]string{"client start", "client connecting", "client build", "client made", "client lost: done",
				"client connector lost: done", "client stop"},
		},
		"in ConnectionFailed": {
			func(s *stubborn) {
				s.f.onFailed = func(c *Connector) {
					c.Connect() // in vain
					s.r.StopTrying()
				}
				s.connect(s.deadEnd())
			},
			[]string{"client start", "client connecting", "client failed: refused", "client stop"},
		},
		"before a Connect in ConnectionFailed": {
			func(s *stubborn) {
				s.f.onFailed = func(c *Connector) {
					s.r.StopTrying()
					c.Connect() // in vain
				}
				s.connect(s.deadEnd())
			},
			[]string{"client start", "client connecting", "client failed: refused", "client stop"},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			backends.Each(t, func(w *backends.World) {
				s := newStubborn(w, &Reconnecting{Initial: 5 * time.Millisecond})
				c.arm(s)
				s.Until("it is over", func() bool { return s.c.State() == Idle })
				s.Pass(s.l, 50*time.Millisecond)
				s.expect(c.want...)
			})
		})
	}
}

// The factory may connect at once by itself; a panic in it changes nothing.
func TestReconnectingFactoryDoesWhatItLikes(t *testing.T) {
	s := newStubborn(simulated(t), &Reconnecting{Initial: time.Hour, Max: time.Hour, MaxRetries: 1, Jitter: -1})
	n := 0
	s.f.onFailed = func(c *Connector) {
		s.end = append(s.end, s.l.Now())
		switch n++; n {
		case 1:
			c.Connect()
		case 2:
			panic("boom")
		}
	}
	s.connect(s.deadEnd())
	s.Until("it has given up", func() bool { return s.c.State() == Idle })
	s.panics(1)
	if got, want := s.waits(), []time.Duration{0, time.Hour}; !reflect.DeepEqual(got, want) {
		t.Errorf("waits %v, want %v", got, want)
	}
}

// A server that comes back is found again.
func TestReconnects(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newStubborn(w, &Reconnecting{Initial: 5 * time.Millisecond, Max: 10 * time.Millisecond})
		server := s.quiet()
		port := s.listen(server)
		s.connect(port.Addr())
		for round := 1; round <= 3; round++ {
			s.Until("connected", func() bool { return s.c.State() == Connected && len(server.made) == round })
			down := port.Drain()
			port.AbortConnections()
			s.wait(down)
			s.Until("it has tried in vain", func() bool { return s.has("client failed: refused") })
			s.events = nil
			if err := port.Start(); err != nil {
				s.Fatal(err)
			}
		}
		for _, err := range s.f.errs {
			if err == nil {
				s.Error("told nil")
			}
		}
	})
}

// A loop that shuts down is not held up by a client that waits, and one that
// fails meanwhile does not wait anew.
func TestShutdownEndsRetries(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newStubborn(w, &Reconnecting{Initial: 5 * time.Hour, Max: 5 * time.Hour})
		s.connect(s.deadEnd())
		s.Until("it waits", func() bool { return s.c.State() == Waiting })
		other := newStubbornOn(s.scene)
		s.l.Shutdown(100 * time.Hour)
		s.Until("stopped", func() bool { return s.l.Err() != nil })
		if s.f.Users() != 0 || other.Users() != 0 || len(other.errs) != 1 || !errors.Is(other.errs[0], loop.ErrStopped) {
			s.Errorf("%d and %d users, the other one was told %v", s.f.Users(), other.Users(), other.errs)
		}
	})
}

// newStubbornOn returns the factory of another client that is connecting.
func newStubbornOn(s *scene) *plant {
	f := s.plant("other")
	Connect(s.l, Destination{host: "x"}, &Reconnecting{Factory: f}, Options{Resolver: &oracle{}})
	return f
}

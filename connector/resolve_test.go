package connector

import (
	"errors"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// An oracle is a resolver whose answers the test gives.
type oracle struct {
	asked    []string
	done     []func([]netip.Addr, error)
	canceled int
}

func (o *oracle) Resolve(_ *loop.Loop, host string, done func([]netip.Addr, error)) func() {
	o.asked = append(o.asked, host)
	o.done = append(o.done, done)
	return func() { o.canceled++ }
}

var here = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func TestLookupThroughTheBackend(t *testing.T) {
	each(t, func(s *scene) {
		server := s.quiet()
		port := s.listen(server)
		to, err := ParseDestination("tcp", "localhost:"+port.Addr().String()[len("127.0.0.1:"):])
		if err != nil {
			s.Fatal(err)
		}
		f := s.plant("client")
		c := Connect(s.l, to, f, Options{}) // tries ::1 too, if that comes first
		s.Until("it is decided", func() bool { return c.State() == Connected || c.State() == Idle })
		if c.State() != Connected || f.peers[0] != port.Addr() {
			s.Fatalf("%v, built for %v: %v", c, f.peers, f.errs)
		}
		if name, n := c.Destination().Host(); name != "localhost" || n != port.Addr().Port() {
			s.Errorf("the destination has become %v", c.Destination())
		}
	})
}

func TestUnknownHost(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
	s := newScene(w)
	to, _ := ParseDestination("tcp", "nowhere.example:80")
	f := s.plant("client")
	c := Connect(s.l, to, f, Options{})
	s.Until("it has failed", func() bool { return c.State() == Idle })
	s.expect("client start", "client connecting", "client failed: failed", "client stop")
	var e *transport.ConnError
	if !errors.As(f.errs[0], &e) || e.Op != "resolve" {
		t.Errorf("failed with %v", f.errs[0])
	}
}

// The addresses are tried in order; if all fail, the last one's failure counts.
func TestAddressesInOrder(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		other := netip.AddrFrom4([4]byte{127, 0, 0, 2}) // nobody listens there
		o := &oracle{}
		f := s.plant("client")
		to := Destination{host: "two", port: port.Addr().Port()}
		c := Connect(s.l, to, f, Options{Resolver: o})
		o.done[0]([]netip.Addr{other, here}, nil)
		s.Until("connected", func() bool { return c.State() == Connected })
		if f.peers[0] != port.Addr() {
			s.Errorf("built for %v", f.peers[0])
		}
		c.Disconnect()
		s.Until("lost", func() bool { return c.State() == Idle })
		c.Connect()
		o.done[1]([]netip.Addr{other, other}, nil)
		s.Until("it has failed", func() bool { return c.State() == Idle })
		var e *transport.ConnError
		if err := f.errs[1]; !errors.As(err, &e) || e.Addr.IP() != other || !errors.Is(err, syscall.ECONNREFUSED) {
			s.Errorf("failed with %v", err)
		}
		c.Connect()
		o.done[2](nil, nil)
		s.Until("it has failed", func() bool { return c.State() == Idle })
		if err := f.errs[2]; !errors.Is(err, ErrNoAddress) {
			s.Errorf("failed with %v", err)
		}
		if len(o.asked) != 3 || o.asked[2] != "two" || o.canceled != 0 {
			s.Errorf("asked for %v, canceled %d", o.asked, o.canceled)
		}
	})
}

// The timeout covers the lookup; whoever answers late is not heard.
func TestTimeoutWhileResolving(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listen(s.quiet())
		o := &oracle{}
		f := s.plant("client")
		begun := s.l.Now()
		to := Destination{host: "slow", port: port.Addr().Port()}
		c := Connect(s.l, to, f, Options{Resolver: o, ConnectTimeout: 40 * time.Millisecond})
		s.Until("it has failed", func() bool { return c.State() == Idle })
		if took := s.l.Now() - begun; took < 40*time.Millisecond {
			s.Errorf("timed out after %v", took)
		}
		s.expect("client start", "client connecting", "client failed: timed out", "client stop")
		var e *transport.ConnError
		if err := f.errs[0]; !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &e) || !e.Timeout() || e.Op != "resolve" {
			s.Errorf("failed with %v", err)
		}
		if o.canceled != 1 {
			s.Errorf("the lookup was canceled %d times", o.canceled)
		}
		o.done[0]([]netip.Addr{here}, nil) // late
		c.Connect()
		o.done[0]([]netip.Addr{here}, nil) // later: to another attempt
		s.Turn()
		c.StopConnecting()
		s.Until("it has failed", func() bool { return c.State() == Idle })
		o.done[1]([]netip.Addr{here}, nil) // after the stop
		s.Turn()
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
	})
}

// A lookup by the backend that nobody waits for any more ends by itself, and
// its answer is dropped.
func TestStopWhileTheBackendResolves(t *testing.T) {
	each(t, func(s *scene) {
		f := s.plant("client")
		c := Connect(s.l, Destination{host: "localhost", port: 1}, f, Options{})
		c.StopConnecting()
		s.Until("it has failed, and the lookup ended", func() bool { return c.State() == Idle && s.l.Backend().Stats().Ops == 0 })
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
	})
}

func TestResolverThatPanics(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
	s := newScene(w)
	f := s.plant("client")
	c := Connect(s.l, Destination{host: "x"}, f, Options{Resolver: panicking{}})
	s.Until("it has failed", func() bool { return c.State() == Idle })
	s.expect("client start", "client connecting", "client failed: panicked", "client stop")
	s.panics(1)
}

type panicking struct{}

func (panicking) Resolve(*loop.Loop, string, func([]netip.Addr, error)) func() { panic("boom") }

// A host that never answers costs ConnectTimeout; a negative one leaves it to
// the kernel.
func TestTimeoutWhileConnecting(t *testing.T) {
	for _, timeout := range []time.Duration{0, 5 * time.Second, -1} {
		w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults.Set(1, sim.Timeout)})
		s := newScene(w)
		f := s.plant("client")
		want, took := timeout, time.Duration(0)
		f.onFailed = func(*Connector) { took = s.l.Now() }
		c := Connect(s.l, To(proactor.IPAddress(proactor.TCP, here, 9)), f, Options{ConnectTimeout: timeout})
		s.Until("it has failed", func() bool { return c.State() == Idle })
		if timeout == 0 {
			want = DefaultConnectTimeout
		}
		if timeout < 0 {
			if !errors.Is(f.errs[0], syscall.ETIMEDOUT) || took < DefaultConnectTimeout {
				t.Errorf("after %v: %v", took, f.errs[0])
			}
		} else if !errors.Is(f.errs[0], os.ErrDeadlineExceeded) || took < want || took > want+time.Second {
			t.Errorf("after %v, want %v: %v", took, want, f.errs[0])
		}
		if kindOf(f.errs[0]) != "timed out" {
			t.Errorf("kind %v", kindOf(f.errs[0]))
		}
	}
}

// A local address that is in use is a failed attempt, not an error of Connect.
func TestLocalAddressInUse(t *testing.T) {
	each(t, func(s *scene) {
		port, taken := s.listen(s.quiet()), s.listen(s.quiet())
		f := s.plant("client")
		c := Connect(s.l, To(port.Addr()), f, Options{Local: taken.Addr()})
		s.expect("client start", "client connecting")
		s.Until("it has failed", func() bool { return c.State() == Idle })
		s.expect("client failed: failed", "client stop")
		var e *transport.ConnError
		if err := f.errs[0]; !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &e) || e.Op != "bind" {
			s.Errorf("failed with %v", err)
		}
	})
}

func TestLocalAddress(t *testing.T) {
	each(t, func(s *scene) {
		server := s.quiet()
		port := s.listen(server)
		free := s.deadEnd()
		c := Connect(s.l, To(port.Addr()), s.plant("client"), Options{Local: free, Socket: &proactor.SocketOptions{Delay: proactor.On}})
		s.Until("both are connected", func() bool { return c.State() == Connected && len(server.made) == 1 })
		if server.peers[0] != free || c.Transport().LocalAddr() != free {
			s.Errorf("the server sees %v, the client is at %v, want %v", server.peers[0], c.Transport().LocalAddr(), free)
		}
	})
}

func TestParseDestination(t *testing.T) {
	ip := proactor.IPAddress(proactor.TCP, here, 80)
	for text, want := range map[string]Destination{
		"127.0.0.1:80": To(ip),
		"a.example:80": {host: "a.example", port: 80},
		"[::1]:65535":  To(proactor.IPAddress(proactor.TCP, netip.IPv6Loopback(), 65535)),
	} {
		d, err := ParseDestination("tcp", text)
		if err != nil || d != want || d.String() != text {
			t.Errorf("%q: %v, %v", text, d, err)
		}
	}
	if d, err := ParseDestination("unix", "@x"); err != nil || d != To(proactor.UnixAddress("@x")) || d.String() != "@x" {
		t.Errorf("unix: %v, %v", d, err)
	}
	for _, text := range []string{"", "a", "a:", "a:http", "a:65536", ":80", "a:-1", "1:2:3"} {
		if d, err := ParseDestination("tcp", text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
	if _, err := ParseDestination("quic", "a:1"); err == nil {
		t.Error("a network that does not exist")
	}
}

func TestConnectorString(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
	c := New(w.Loop(), Destination{host: "h", port: 5}, nil, Options{})
	if got, want := c.String(), "connector to h:5, idle"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

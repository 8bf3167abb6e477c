package connector

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// known is a resolver that knows hosts, and answers at the end of the turn.
type known map[string][]netip.Addr

func (k known) Resolve(l *loop.Loop, host string, done func([]netip.Addr, error)) func() {
	f := &loop.Flush{Owner: flushFunc(func() { done(k[host], nil) })}
	l.AtTurnEnd(f)
	return func() {}
}

func addrs(text ...string) []netip.Addr {
	var all []netip.Addr
	for _, s := range text {
		all = append(all, netip.MustParseAddr(s))
	}
	return all
}

// deaf makes addresses answer no connection request: their listeners do not
// accept, and their backlogs are full.
func (s *scene) deaf(port uint16, ips ...string) {
	s.Helper()
	for _, ip := range addrs(ips...) {
		a := proactor.IPAddress(proactor.TCP, ip, port)
		h, _, err := s.l.Sockets().Listen(a, &proactor.SocketOptions{Backlog: 1})
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { _ = s.l.Sockets().CloseFD(h) })
		f := s.quiet()
		c := Connect(s.l, To(a), f, Options{})
		s.Until("the backlog is full", func() bool { return c.State() == Connected })
	}
}

func quiet(t *testing.T) *scene {
	return newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}))
}

// Addresses that do not answer are tried side by side, 250 ms apart, families
// taking turns; the first connection wins, the others are taken back.
func TestRace(t *testing.T) {
	s := quiet(t)
	s.deaf(80, "2001:db8::1", "10.0.0.1")
	server := s.quiet()
	winner := proactor.IPAddress(proactor.TCP, addrs("2001:db8::2")[0], 80)
	if _, err := Listen([]*loop.Loop{s.l}, winner, server, ListenOptions{}); err != nil {
		t.Fatal(err)
	}
	names := known{"host": addrs("2001:db8::1", "2001:db8::2", "10.0.0.1", "10.0.0.2")}
	f := s.plant("client")
	handles, began := s.l.Backend().Stats().Handles, s.l.Now()
	c := Connect(s.l, Destination{host: "host", port: 80}, f, Options{Resolver: names})
	s.Until("connected", func() bool { return c.State() == Connected })
	if took := s.l.Now() - began; took < 500*time.Millisecond || took > 510*time.Millisecond {
		t.Errorf("it took %v, want 2 × 250 ms: the third address, after one of the other family", took)
	}
	if f.peers[0] != winner {
		t.Errorf("connected to %v, want %v", f.peers[0], winner)
	}
	s.expect("client start", "client connecting", "client build", "client made")
	s.Until("accepted", func() bool { return len(server.made) == 1 })
	if got := s.l.Backend().Stats().Handles; got != handles+2 {
		t.Errorf("%d handles more, want the two ends of the connection", got-handles)
	}
	c.Disconnect()
	s.Until("lost", func() bool { return c.State() == Idle })
}

// An address that fails makes room for the next at once, and the end of all
// names each.
func TestRaceOfRefusals(t *testing.T) {
	s := quiet(t)
	names := known{"host": addrs("10.0.0.1", "2001:db8::1", "10.0.0.2")}
	f := s.plant("client")
	began, ended := s.l.Now(), time.Duration(0)
	f.onFailed = func(*Connector) { ended = s.l.Now() }
	c := Connect(s.l, Destination{host: "host", port: 80}, f, Options{Resolver: names})
	s.Until("failed", func() bool { return c.State() == Idle })
	if took := ended - began; took > 10*time.Millisecond {
		t.Errorf("it took %v", took)
	}
	var e *transport.ConnError
	err := f.errs[0]
	if !errors.As(err, &e) || e.Kind != transport.Refused || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("failed with %v", err)
	}
	for _, ip := range names["host"] {
		if !strings.Contains(err.Error(), proactor.IPAddress(proactor.TCP, ip, 80).String()) {
			t.Errorf("%q does not name %v", err, ip)
		}
	}
	s.expect("client start", "client connecting", "client failed: refused", "client stop")
}

// A negative delay leaves each address to its own failure.
func TestNoRace(t *testing.T) {
	s := quiet(t)
	s.deaf(80, "10.0.0.1")
	s.listenAt("10.0.0.2:80")
	names := known{"host": addrs("10.0.0.1", "10.0.0.2")}
	f := s.plant("client")
	began := s.l.Now()
	c := Connect(s.l, Destination{host: "host", port: 80}, f, Options{Resolver: names, AttemptDelay: -1, ConnectTimeout: -1})
	s.Until("connected", func() bool { return c.State() == Connected })
	if took := s.l.Now() - began; took < 100*time.Second {
		t.Errorf("connected after %v: before the kernel had given up the first address", took)
	}
	c.Disconnect()
	s.Until("lost", func() bool { return c.State() == Idle })
}

func (s *scene) listenAt(text string) *Port {
	s.Helper()
	a, err := proactor.ParseAddress("tcp", text)
	if err != nil {
		s.Fatal(err)
	}
	p, err := Listen([]*loop.Loop{s.l}, a, s.quiet(), ListenOptions{})
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// Whatever ends an attempt takes all of its addresses back, and the timeout
// tells of those that had failed before.
func TestEndOfARace(t *testing.T) {
	s := quiet(t)
	s.deaf(80, "10.0.0.1", "10.0.0.2", "10.0.0.4")
	names := known{"host": addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")}
	before := s.l.Backend().Stats()
	handles := before.Handles
	f := s.plant("client")
	c := Connect(s.l, Destination{host: "host", port: 80}, f, Options{Resolver: names})
	s.Until("failed", func() bool { return c.State() == Idle })
	err := f.errs[0]
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.Is(err, syscall.ECONNREFUSED) || kindOf(err) != "timed out" {
		t.Errorf("failed with %v", err)
	}
	for _, end := range []func(){func() { c.StopConnecting() }, c.Disconnect} {
		c.Connect()
		s.Pass(s.l, 600*time.Millisecond)
		if got := s.l.Backend().Stats().Handles; got != handles+3 {
			t.Errorf("%d addresses are being tried, want 3", got-handles)
		}
		end()
		s.Until("failed", func() bool { return c.State() == Idle })
		if kind := kindOf(f.errs[len(f.errs)-1]); kind != "aborted" {
			t.Errorf("failed: %s", kind)
		}
		if stats := s.l.Backend().Stats(); stats.Handles != handles || stats.Ops != before.Ops {
			t.Errorf("%d handles and %d operations are left", stats.Handles-handles, stats.Ops-before.Ops)
		}
	}
}

// A connection that comes from an address goes to the same family only.
func TestRaceFromAnAddress(t *testing.T) {
	s := quiet(t)
	s.listenAt("10.0.0.2:80")
	names := known{"host": addrs("2001:db8::1", "10.0.0.2"), "six": addrs("2001:db8::1")}
	f := s.plant("client")
	local := proactor.IPAddress(proactor.TCP, addrs("10.0.0.9")[0], 0)
	c := Connect(s.l, Destination{host: "host", port: 80}, f, Options{Resolver: names, Local: local})
	s.Until("connected", func() bool { return c.State() == Connected })
	c.Disconnect()
	s.Until("lost", func() bool { return c.State() == Idle })
	c = Connect(s.l, Destination{host: "six", port: 80}, f, Options{Resolver: names, Local: local})
	s.Until("failed", func() bool { return c.State() == Idle })
	if err := f.errs[1]; !errors.Is(err, ErrNoAddress) {
		t.Errorf("failed with %v", err)
	}
}

func TestInterleave(t *testing.T) {
	for _, c := range []struct{ from, want string }{
		{"", ""},
		{"10.0.0.1", "10.0.0.1"},
		{"::1 ::2 ::3 10.0.0.1 10.0.0.2", "::1 10.0.0.1 ::2 10.0.0.2 ::3"},
		{"10.0.0.1 10.0.0.2 ::1", "10.0.0.1 ::1 10.0.0.2"},
		{"10.0.0.1 ::ffff:10.0.0.2 ::1 ::2 ::3", "10.0.0.1 ::1 ::ffff:10.0.0.2 ::2 ::3"},
	} {
		if got := interleave(addrs(strings.Fields(c.from)...)); !slices.Equal(got, addrs(strings.Fields(c.want)...)) {
			t.Errorf("%s: %v, want %s", c.from, got, c.want)
		}
	}
}

// Whatever goes wrong, and whenever the user gives up, an attempt has one end,
// and leaves nothing.
func TestRacesOnBadNetworks(t *testing.T) {
	made, failed := 0, 0
	backends.Seeds(t, 300, sim.Options{}, func(w *backends.World, seed uint64) {
		s := newScene(w)
		names := known{"host": addrs("10.0.0.1", "2001:db8::1", "10.0.0.2", "2001:db8::2", "10.0.0.3")}
		for i, ip := range names["host"] {
			if seed>>i&1 == 0 {
				continue
			}
			a := proactor.IPAddress(proactor.TCP, ip, 80)
			_, _ = Listen([]*loop.Loop{s.l}, a, s.quiet(), ListenOptions{}) // EMFILE: one listener less
		}
		f := s.plant("client")
		c := Connect(s.l, Destination{host: "host", port: 80}, f, Options{Resolver: names})
		for i := range 6 {
			if i%2 == 1 {
				s.Pass(s.l, time.Duration(seed%7)*100*time.Millisecond)
				_ = c.StopConnecting()
			}
			s.Until("decided", func() bool { return c.State() != Connecting })
			c.Disconnect()
			s.Until("ended", func() bool { return c.State() == Idle })
			_ = c.Connect()
		}
		c.Disconnect()
		s.Until("ended", func() bool { return c.State() == Idle })
		begun := 0
		for _, e := range s.events {
			switch {
			case e == "client connecting":
				begun++
			case strings.HasPrefix(e, "client failed"):
				failed++
				begun--
			case strings.HasPrefix(e, "client connector lost"):
				made++
				begun--
			}
		}
		if begun != 0 {
			s.Fatalf("seed %d: %d attempts without an end: %v", seed, begun, s.events)
		}
		s.TakeTroubles()
	})
	if made == 0 || failed == 0 {
		t.Errorf("%d connections, %d failures: too easy", made, failed)
	}
}

// won runs a connector until one of its addresses has answered and the others
// are being taken back.
func (s *scene) won(names known, f *plant, o Options) *Connector {
	s.Helper()
	o.Resolver = names
	c := Connect(s.l, Destination{host: "host", port: 80}, f, o)
	s.Until("one has answered", func() bool { return c.race.winner != 0 || c.State() == Connected || c.State() == Idle })
	if c.race.winner == 0 || c.phase != dialing {
		s.Fatalf("no address is being taken back: %v", c)
	}
	return c
}

// Who stops an attempt while all but the winner are being taken back gets no
// connection, and nothing of the winner is left.
func TestStopOfARaceThatIsWon(t *testing.T) {
	s := quiet(t)
	s.deaf(80, "10.0.0.1")
	s.listenAt("10.0.0.2:80")
	f, handles := s.plant("client"), s.l.Backend().Stats().Handles
	c := s.won(known{"host": addrs("10.0.0.1", "10.0.0.2")}, f, Options{})
	if c.timer.Active() {
		t.Error("the attempt may still time out, though it is connected")
	}
	if err := c.StopConnecting(); err != nil {
		t.Fatal(err)
	}
	s.Until("failed and closed", func() bool { return c.State() == Idle && s.l.Backend().Stats().Handles == handles })
	s.expect("client start", "client connecting", "client failed: aborted", "client stop")
}

// A Connect during a wait ends the wait, also where the attempt has no time limit.
func TestConnectEndsTheWait(t *testing.T) {
	s := quiet(t)
	s.deaf(80, "10.0.0.1")
	f := s.plant("client")
	c := Connect(s.l, To(proactor.IPAddress(proactor.TCP, addrs("10.0.0.1")[0], 80)), f, Options{ConnectTimeout: -1})
	stop := func() {
		s.Pass(s.l, time.Second)
		if err := c.StopConnecting(); err != nil {
			t.Fatalf("%v, %v", c, err)
		}
		s.Until("stopped", func() bool { return c.State() == Idle })
	}
	stop()
	if err := c.ConnectAfter(100 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(); err != nil {
		t.Fatal(err)
	}
	stop()
	if kind := kindOf(f.errs[1]); kind != "aborted" {
		t.Errorf("the attempt has ended: %s", kind)
	}
}

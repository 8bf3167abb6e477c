package twisted

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// A wire is what the connections of a case run on.
type wire string

const (
	tcp4 wire = "tcp4"
	tcp6 wire = "tcp6"
	unix wire = "unix" // by a path
)

// A scene is a world with one loop, and a record of what happened on it.
type scene struct {
	*backends.World
	l      *loop.Loop
	wire   wire
	events []string
	dir    string // of unix sockets; made at the first use
	names  int    // unix sockets named so far
}

func newScene(w *backends.World, on wire) *scene {
	return &scene{World: w, l: w.Loop(), wire: on}
}

// each runs a case on every backend, over IPv4.
func each(t *testing.T, f func(s *scene)) {
	backends.Each(t, func(w *backends.World) { f(newScene(w, tcp4)) })
}

// eachOn runs a case on every backend, over each of the wires.
func eachOn(t *testing.T, wires []wire, f func(s *scene)) {
	for _, on := range wires {
		t.Run(string(on), func(t *testing.T) {
			backends.Each(t, func(w *backends.World) { f(newScene(w, on)) })
		})
	}
}

// eachTCP is eachOn both versions of IP.
func eachTCP(t *testing.T, f func(s *scene)) { eachOn(t, []wire{tcp4, tcp6}, f) }

// eachStream is eachOn every kind of plain stream.
func eachStream(t *testing.T, f func(s *scene)) { eachOn(t, []wire{tcp4, tcp6, unix}, f) }

// harmlessSeeds is how many simulated networks eachHostile tries.
const harmlessSeeds = 8

// eachHostile is eachStream, and then once more where nothing fits: over IPv4
// on the real backends with tiny limits, and on simulated networks that cut,
// delay and starve in every way that a program must not notice.
func eachHostile(t *testing.T, f func(s *scene)) {
	eachStream(t, f)
	t.Run("hostile", func(t *testing.T) {
		backends.EachHostile(t, func(w *backends.World) { f(newScene(w, tcp4)) })
		for seed := range uint64(harmlessSeeds) {
			t.Run(fmt.Sprintf("sim, seed %d", seed), func(t *testing.T) {
				f(newScene(backends.Simulate(t, sim.Options{Seed: seed, Harmless: true}), tcp4))
			})
		}
	})
}

// address returns an address to listen at: any port of the loopback, or a unix
// socket that is not there yet.
func (s *scene) address() proactor.Address {
	s.Helper()
	switch s.wire {
	case tcp6:
		return proactor.IPAddress(proactor.TCP, netip.IPv6Loopback(), 0)
	case unix:
		if s.dir == "" {
			dir, err := os.MkdirTemp("", "m") // t.TempDir's may be too long for a socket
			if err != nil {
				s.Fatal(err)
			}
			s.dir = dir
			s.Cleanup(func() { _ = os.RemoveAll(dir) })
		}
		s.names++
		return proactor.UnixAddress(filepath.Join(s.dir, fmt.Sprint(s.names)))
	}
	return s.Address()
}

func (s *scene) note(format string, args ...any) {
	s.events = append(s.events, fmt.Sprintf(format, args...))
}

// expect compares what happened, and forgets it.
func (s *scene) expect(want ...string) {
	s.Helper()
	if !slices.Equal(s.events, want) {
		s.Fatalf("events\n  %s\nwant\n  %s", strings.Join(s.events, "\n  "), strings.Join(want, "\n  "))
	}
	s.events = nil
}

func (s *scene) has(event string) bool { return slices.Contains(s.events, event) }

// await turns the loop until something has happened.
func (s *scene) await(event string) {
	s.Helper()
	s.Until(event, func() bool { return s.has(event) })
}

// turns lets so many turns pass, for what must not happen in them.
func (s *scene) turns(n int) {
	s.Helper()
	for range n {
		s.Turn()
	}
}

// pass lets some time pass in which something might happen that must not.
func (s *scene) pass() {
	s.Helper()
	d := 20 * time.Millisecond
	if s.Net != nil {
		d = 5 * time.Second
	}
	s.Pass(s.l, d)
}

// done reports whether a future has its result.
func done[T any](f *loop.Future[T]) bool {
	select {
	case <-f.Done():
		return true
	default:
		return false
	}
}

// result turns the loop until a future has its result.
func result[T any](s *scene, f *loop.Future[T]) (T, error) {
	s.Helper()
	s.Until("the future is completed", func() bool { return done(f) })
	return f.Wait(s.Context())
}

// panics checks that so many panics were reported, and nothing else.
func (s *scene) panics(n int) {
	s.Helper()
	all := s.TakeTroubles()
	for _, t := range all {
		if t.Kind != loop.Panicked || len(t.Stack) == 0 {
			s.Errorf("reported %v", t)
		}
	}
	if len(all) != n {
		s.Fatalf("%d troubles, want %d panics: %v", len(all), n, all)
	}
}

// endedBy checks that a panic with value was reported and is how p ended, once.
func (s *scene) endedBy(p *talker, value any) {
	s.Helper()
	var e *transport.PanicError
	if !errors.As(p.err, &e) || e.Value != value || kindOf(p.err) != "panicked" || p.lost != 1 {
		s.Errorf("%s was lost %d times, %v; want once, by the panic %q", p.name, p.lost, p.err, value)
	}
	s.panics(1)
	s.idle()
}

// listen makes a port on the scene's loop.
func (s *scene) listen(f connector.Factory) *connector.Port {
	s.Helper()
	return s.listenWith(f, connector.ListenOptions{})
}

func (s *scene) listenWith(f connector.Factory, o connector.ListenOptions) *connector.Port {
	s.Helper()
	p, err := connector.Listen([]*loop.Loop{s.l}, s.address(), f, o)
	if err != nil {
		s.Fatal(err)
	}
	return p
}

// connect begins to connect to an address on the scene's loop.
func (s *scene) connect(to proactor.Address, f connector.ClientFactory) *connector.Connector {
	return connector.Connect(s.l, connector.To(to), f, connector.Options{})
}

// deadEnd returns an address at which nobody listens.
func (s *scene) deadEnd() proactor.Address {
	s.Helper()
	p := s.listen(s.silent("nobody"))
	if _, err := result(s, p.StopListening()); err != nil {
		s.Fatal(err)
	}
	return p.Addr()
}

// stop stops a port and waits for it.
func (s *scene) stop(p *connector.Port) {
	s.Helper()
	if _, err := result(s, p.StopListening()); err != nil {
		s.Fatal(err)
	}
}

// pair connects the two plants' protocols and forgets what has happened.
func (s *scene) pair(server, client *plant) (*talker, *talker) {
	s.Helper()
	return s.pairWith(server, client, nil)
}

func (s *scene) pairWith(server, client *plant, o *transport.Options) (*talker, *talker) {
	s.Helper()
	p := s.listenWith(server, connector.ListenOptions{Transport: o})
	connector.Connect(s.l, connector.To(p.Addr()), client, connector.Options{Transport: o})
	s.Until("both are connected", func() bool {
		return len(server.made) == 1 && server.made[0].t != nil && len(client.made) == 1 && client.made[0].t != nil
	})
	s.stop(p)
	s.events = nil
	return server.made[0], client.made[0]
}

// bothLost turns the loop until both have lost their connection.
func (s *scene) bothLost(a, b *talker) {
	s.Helper()
	s.Until("both are lost", func() bool { return a.err != nil && b.err != nil })
}

// idle turns the loop until it has nothing left to serve, and checks that it
// holds no operation, no handle and, where time is virtual, no timer: the next
// wait then lasts as long as it may.
func (s *scene) idle() {
	s.Helper()
	s.Until("nothing is left on the loop", func() bool {
		stats := s.l.Backend().Stats()
		return s.l.Members() == 0 && stats.Ops == 0 && stats.Handles == 0
	})
	if s.Net == nil || s.Net.Faults().Rate(sim.EarlyReturn) > 0 {
		return
	}
	s.turns(2)
	start := s.Net.Now()
	if err := s.l.Iterate(time.Hour); err != nil {
		s.Fatal(err)
	}
	if waited := s.Net.Now() - start; waited != time.Hour {
		s.Errorf("a timer is left: it ended the wait after %v", waited)
	}
}

package connector

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// wide returns a scene with further loops, the scene's own being the last: the
// clients' one.
func wide(w *backends.World, n int, o loop.Options) (*scene, []*loop.Loop) {
	loops := make([]*loop.Loop, n)
	for i := range loops {
		loops[i] = w.LoopWith(o)
	}
	return newScene(w), loops
}

// where counts a plant's connections by their loops.
func (f *plant) where() map[*loop.Loop]int {
	at := map[*loop.Loop]int{}
	for _, p := range f.made {
		if p.t != nil {
			at[p.t.Loop()]++
		}
	}
	return at
}

// Connections go round the loops, work there, and end there.
func TestHandOver(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s, loops := wide(w, 3, loop.Options{})
		server := s.quiet()
		server.talker.onData = func(p *talker) { p.t.Write(p.got); p.got = nil }
		p, err := Listen(loops, s.Address(), server, ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		const n = 9
		clients := make([]*plant, n)
		for i := range clients {
			clients[i] = s.quiet()
			clients[i].talker.onMade = func(p *talker) { p.t.Write([]byte("hello")) }
			Connect(s.l, To(p.Addr()), clients[i], Options{})
		}
		s.Until("all have their answer", func() bool {
			for _, c := range clients {
				if len(c.made) != 1 || string(c.made[0].got) != "hello" {
					return false
				}
			}
			return true
		})
		for _, l := range loops {
			if got := server.where()[l]; got != n/3 {
				s.Errorf("%d connections on loop %s, want %d", got, l.Name(), n/3)
			}
		}
		peers := map[proactor.Address]bool{}
		for _, talk := range server.made {
			peers[talk.t.RemoteAddr()] = true
			if talk.t.LocalAddr() != p.Addr() {
				s.Errorf("a connection is at %v, the port at %v", talk.t.LocalAddr(), p.Addr())
			}
		}
		for _, c := range clients {
			if !peers[c.made[0].t.LocalAddr()] {
				s.Errorf("no server connection with peer %v", c.made[0].t.LocalAddr())
			}
		}
		drained := p.Drain()
		for _, c := range clients {
			c.made[0].t.LoseConnection()
		}
		if err := result(s, drained); err != nil || p.Conns() != 0 {
			s.Errorf("Drain: %v, %d connections", err, p.Conns())
		}
	})
}

// A loop whose queue of calls is full leaves connections where they were
// accepted.
func TestHandOverToAFullLoop(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s, loops := wide(w, 2, loop.Options{Calls: 1})
		server := s.quiet()
		p, err := Listen(loops, s.Address(), server, ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		var fill func()
		fill = func() { loops[1].Call(fill) } // whenever it runs, it is there again
		loops[1].Call(fill)
		clients := []*plant{s.dial(p.Addr()), s.dial(p.Addr()), s.dial(p.Addr()), s.dial(p.Addr())}
		s.Until("all are served", func() bool {
			for _, c := range clients {
				if c.talking() != 1 {
					return false
				}
			}
			return server.talking() == len(clients)
		})
		if at := server.where(); at[loops[0]] != len(clients) {
			s.Errorf("%d of %d connections stayed", at[loops[0]], len(clients))
		}
	})
}

// A loop that has no handles left refuses what it is given, and no descriptor
// is lost.
func TestHandOverToALoopWithoutHandles(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Handles: 3})
	s, loops := wide(w, 2, loop.Options{})
	server := s.quiet()
	p, err := Listen(loops, s.Address(), server, ListenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hoard := make([]proactor.Handle, 3)
	for i := range hoard {
		if hoard[i], err = loops[1].Sockets().Stream(p.Addr(), nil); err != nil {
			t.Fatal(err)
		}
	}
	a, b := s.dial(p.Addr()), s.dial(p.Addr())
	s.Until("one is served, one refused", func() bool {
		return server.talking() == 1 && a.talking()+b.talking() == 1 && len(a.errs)+len(b.errs) == 1 && p.Conns() == 1
	})
	for _, h := range hoard {
		if err := loops[1].Sockets().CloseFD(h); err != nil {
			t.Error(err)
		}
	}
}

// When another loop has stopped, its turn is taken by the listener's.
func TestHandOverToALoopThatStopped(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s, loops := wide(w, 2, loop.Options{})
		server := s.quiet()
		p, err := Listen(loops, s.Address(), server, ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		loops[1].Stop()
		s.Until("stopped", func() bool { return loops[1].Err() != nil })
		a, b := s.dial(p.Addr()), s.dial(p.Addr())
		s.Until("both are served", func() bool { return server.talking() == 2 && a.talking() == 1 && b.talking() == 1 })
		drained := p.Drain()
		p.AbortConnections()
		if err := result(s, drained); err != nil {
			s.Error(err)
		}
	})
}

// A connection that is on its way to another loop when the port stops is
// refused there.
func TestStopListeningDuringAHandOver(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s, loops := wide(w, 2, loop.Options{})
		server := s.plant("server")
		p, err := Listen(loops, s.Address(), server, ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		a, b := s.dial(p.Addr()), s.dial(p.Addr())
		for p.Conns() < 2 { // the second loop does not turn
			for _, l := range []*loop.Loop{s.l, loops[0]} {
				if err := l.Iterate(time.Millisecond); err != nil {
					s.Fatal(err)
				}
			}
		}
		stopped := p.StopListening()
		s.Until("one is refused", func() bool { return done(stopped) && p.Conns() == 1 && len(a.errs)+len(b.errs) == 1 })
		s.expect("server start", "server build", "server made", "server stop")
	})
}

// With ReusePort every loop has a listener of its own; a port that somebody
// has without it is busy.
func TestReusePort(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s, loops := wide(w, 2, loop.Options{})
		taken := s.listen(s.quiet())
		if _, err := Listen(loops, taken.Addr(), s.quiet(), ListenOptions{ReusePort: true}); !errors.Is(err, syscall.EADDRINUSE) {
			s.Fatalf("Listen on a busy port: %v", err)
		}
		server := s.plant("server")
		p, err := Listen(loops, s.Address(), server, ListenOptions{ReusePort: true})
		if err != nil {
			s.Fatal(err)
		}
		const n = 32
		clients := make([]*plant, n)
		for i := range clients {
			clients[i] = s.dial(p.Addr())
		}
		s.Until("all are served", func() bool { return server.talking() == n })
		at := server.where()
		if at[loops[0]] == 0 || at[loops[1]] == 0 { // by a hash: 1 in 2^31 runs puts them all in one place
			s.Errorf("the loops have %d and %d of %d", at[loops[0]], at[loops[1]], n)
		}
		if err := result(s, p.StopListening()); err != nil {
			s.Fatal(err)
		}
		late := s.dial(p.Addr())
		s.Until("refused", func() bool { return len(late.errs) == 1 })
		if err := p.Start(); err != nil {
			s.Fatalf("Start again: %v", err)
		}
		drained := p.Drain()
		p.AbortConnections()
		if err := result(s, drained); err != nil || server.Users() != 0 {
			s.Errorf("Drain: %v, %d users", err, server.Users())
		}
	})
}

// A loop that has no handle for a listener of its own leaves the connections to
// the others, and that is reported.
func TestReusePortWithoutHandles(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Handles: 4})
	s, loops := wide(w, 2, loop.Options{})
	var hoard []proactor.Handle
	for range 4 {
		h, err := loops[1].Sockets().Stream(s.Address(), nil)
		if err != nil {
			t.Fatal(err)
		}
		hoard = append(hoard, h)
	}
	server := s.quiet()
	p, err := Listen(loops, s.Address(), server, ListenOptions{ReusePort: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Until("it is reported", func() bool { return len(s.Troubles) == 1 })
	if x := s.TakeTroubles()[0]; x.Kind != loop.AcceptFailed {
		t.Errorf("reported %v", x)
	}
	a, b := s.dial(p.Addr()), s.dial(p.Addr())
	s.Until("both are served", func() bool { return a.talking()+b.talking() == 2 && server.where()[loops[0]] == 2 })
	s.wait(p.StopListening())
	for _, h := range hoard {
		if err := loops[1].Sockets().CloseFD(h); err != nil {
			t.Error(err)
		}
	}
}

// One loop of several stops, also the port's own: whatever is left is
// accounted for.
func TestLoopsOfAPortStopOneByOne(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
			backends.Each(t, func(w *backends.World) {
				s, loops := wide(w, 3, loop.Options{})
				server := s.plant("server")
				p, err := Listen(loops, s.Address(), server, ListenOptions{ReusePort: reuse})
				if err != nil {
					s.Fatal(err)
				}
				for range 6 {
					s.dial(p.Addr())
				}
				s.Until("all are served", func() bool { return server.talking() == 6 })
				for _, i := range order {
					loops[i].Stop()
					s.Until("stopped", func() bool { return loops[i].Err() != nil })
				}
				if p.Conns() != 0 || p.Listening() || server.Users() != 0 {
					s.Errorf("order %v: %d connections, listening %v, %d users", order, p.Conns(), p.Listening(), server.Users())
				}
			})
		}
	}
}

// A program's loops run on goroutines of their own, and Shutdown waits on
// another.
func TestShutdown(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		for _, n := range []int{1, 3} {
			shutdown(w, n)
		}
	})
}

// running is a port on loops that run.
type running struct {
	w     *backends.World
	loops []*loop.Loop
	port  *Port
	ends  sync.WaitGroup
}

func run(w *backends.World, n int, f Factory) *running {
	r := &running{w: w}
	for range n {
		r.loops = append(r.loops, loop.New(w.Open(), loop.Options{}))
	}
	var err error
	if r.port, err = Listen(r.loops, w.Address(), f, ListenOptions{}); err != nil {
		w.Fatal(err)
	}
	for _, l := range r.loops {
		r.ends.Go(func() {
			if err := l.Run(); err != nil {
				w.Error(err)
			}
		})
	}
	return r
}

func (r *running) stop() {
	for _, l := range r.loops {
		l.Stop()
	}
	r.ends.Wait()
}

func shutdown(w *backends.World, n int) {
	var mu sync.Mutex
	made := 0
	server := FactoryFunc(func(proactor.Address) protocol { return &counted{mu: &mu, n: &made} })
	r := run(w, n, server)
	defer r.stop()
	s := newScene(w) // the clients' loop is the test's own
	clients := []*plant{s.dial(r.port.Addr()), s.dial(r.port.Addr()), s.dial(r.port.Addr())}
	s.Until("all are served", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return made == len(clients) && clients[0].talking()+clients[1].talking()+clients[2].talking() == len(clients)
	})
	inside := make(chan error, 1)
	r.loops[0].Call(func() { inside <- r.port.Shutdown(context.Background()) })
	if err := <-inside; err != loop.ErrOnLoop {
		w.Errorf("Shutdown on the loop: %v, want ErrOnLoop", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	over := make(chan error, 2)
	go func() { over <- r.port.Shutdown(ctx) }()
	err := <-over
	if !errors.Is(err, context.DeadlineExceeded) || r.port.Conns() != 0 {
		w.Errorf("Shutdown: %v, %d connections left", err, r.port.Conns())
	}
	s.Until("all are lost", func() bool { return len(clients[0].errs)+len(clients[1].errs)+len(clients[2].errs) == 3 })
	if err := r.port.Shutdown(context.Background()); err != nil {
		w.Errorf("Shutdown of a closed port: %v", err)
	}
}

// Shutdown without hurry ends when the last connection has.
func TestShutdownWaits(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		var mu sync.Mutex
		made := 0
		r := run(w, 2, FactoryFunc(func(proactor.Address) protocol { return &counted{mu: &mu, n: &made} }))
		defer r.stop()
		s := newScene(w)
		a, b := s.dial(r.port.Addr()), s.dial(r.port.Addr())
		s.Until("connected", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return made == 2 && a.talking()+b.talking() == 2
		})
		over := make(chan error, 1)
		go func() { over <- r.port.Shutdown(context.Background()) }()
		testenv.Eventually(w, backends.Patience, "the port is closed", func() bool { return !r.port.Listening() })
		select {
		case err := <-over:
			w.Fatalf("Shutdown did not wait: %v", err)
		default:
		}
		a.made[0].t.LoseConnection()
		b.made[0].t.LoseConnection()
		var err error
		s.Until("shut down", func() bool {
			select {
			case err = <-over:
				return true
			default:
				return false
			}
		})
		if err != nil || r.port.Conns() != 0 {
			w.Errorf("Shutdown: %v, %d connections", err, r.port.Conns())
		}
		r.stop()
		if err := r.port.Shutdown(context.Background()); err != loop.ErrStopped {
			w.Errorf("Shutdown on stopped loops: %v", err)
		}
	})
}

// Wildcard ports tell each connection the address that it was accepted at.
func TestWildcardPort(t *testing.T) {
	each(t, func(s *scene) {
		server := s.quiet()
		p, err := Listen([]*loop.Loop{s.l}, proactor.IPAddress(proactor.TCP, netip.IPv4Unspecified(), 0), server, ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		want := proactor.IPAddress(proactor.TCP, here, p.Addr().Port())
		s.dial(want)
		s.Until("served", func() bool { return server.talking() == 1 })
		if got := server.made[0].t.LocalAddr(); got != want {
			s.Errorf("accepted at %v, want %v", got, want)
		}
	})
}

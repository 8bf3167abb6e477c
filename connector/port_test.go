package connector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// result returns a completed future's error.
func result(s *scene, f *loop.Future[struct{}]) error {
	s.Helper()
	s.wait(f)
	_, err := f.Wait(context.Background())
	return err
}

// dial connects a quiet client, and returns its plant.
func (s *scene) dial(to proactor.Address) *plant {
	f := s.quiet()
	Connect(s.l, To(to), f, Options{})
	return f
}

// talking returns how many of a plant's connections live.
func (f *plant) talking() int {
	n := 0
	for _, p := range f.made {
		if p.t != nil && p.err == nil {
			n++
		}
	}
	return n
}

// A factory on three ports starts with the first and stops with the last.
func TestFactoryCountsItsPorts(t *testing.T) {
	each(t, func(s *scene) {
		f := s.plant("server")
		a := s.listen(f)
		s.expect("server start")
		b, c := s.listen(f), s.listen(f)
		for _, p := range []*Port{b, a} {
			if err := result(s, p.StopListening()); err != nil {
				s.Fatal(err)
			}
		}
		s.expect()
		if err := result(s, c.StopListening()); err != nil {
			s.Fatal(err)
		}
		s.expect("server stop")
	})
}

func TestStopListening(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		client := s.dial(p.Addr())
		s.Until("connected", func() bool { return server.talking() == 1 && client.talking() == 1 })
		s.events = nil
		if p.Loop() != s.l || p.Factory() != Factory(server) || p.String() != fmt.Sprintf("port at %v, listening", p.Addr()) {
			s.Errorf("%v", p)
		}
		first, second := p.StopListening(), p.StopListening()
		if p.String() != fmt.Sprintf("port at %v, closed", p.Addr()) {
			s.Errorf("%v", p)
		}
		if first != second {
			s.Error("two stops in a turn have two results")
		}
		if done(first) || p.Listening() {
			s.Errorf("inside StopListening: completed %v, listening %v", done(first), p.Listening())
		}
		if err := p.Start(); err != ErrNotIdle {
			s.Errorf("Start of a port that stops: %v", err)
		}
		stopped := false
		first.Then(func(struct{}, error) {
			s.note("completed")
			again, err := Listen([]*loop.Loop{s.l}, p.Addr(), s.quiet(), ListenOptions{})
			if err != nil {
				s.Fatalf("the number is not free: %v", err)
			}
			again.StopListening().Then(func(struct{}, error) { stopped = true })
		})
		s.Until("stopped twice", func() bool { return stopped })
		s.expect("server stop", "completed")
		if f := p.StopListening(); !done(f) || result(s, f) != nil {
			s.Error("the stop of a closed port is not a completed future")
		}
		if server.talking() != 1 || client.talking() != 1 {
			s.Error("the connection ended with the port")
		}
		if err := p.Start(); err != nil {
			s.Fatal(err)
		}
		if err := p.Start(); err != ErrNotIdle {
			s.Errorf("Start of a port that listens: %v", err)
		}
		s.dial(p.Addr())
		s.Until("another connection", func() bool { return server.talking() == 2 && p.Conns() == 2 })
		s.expect("server start", "server build", "server made")
	})
}

func TestBusyPort(t *testing.T) {
	each(t, func(s *scene) {
		p := s.listen(s.quiet())
		f := s.plant("second")
		_, err := Listen([]*loop.Loop{s.l}, p.Addr(), f, ListenOptions{})
		var e *transport.ConnError
		if !errors.Is(err, syscall.EADDRINUSE) || !errors.As(err, &e) || e.Op != "listen" || e.Addr != p.Addr() {
			s.Fatalf("Listen on a busy port: %v", err)
		}
		s.expect() // the factory was not started
		if f.Users() != 0 {
			s.Error("the factory is counted")
		}
		if err := result(s, p.StopListening()); err != nil {
			s.Fatal(err)
		}
		if _, err := Listen([]*loop.Loop{s.l}, p.Addr(), f, ListenOptions{}); err != nil {
			s.Fatal(err)
		}
		if err := p.Start(); !errors.Is(err, syscall.EADDRINUSE) || p.Listening() {
			s.Fatalf("Start on a busy port: %v", err)
		}
	})
}

// No BuildProtocol comes once StopListening has returned, however many
// connections are waiting.
func TestStopListeningFromTheFirstOfMany(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		var stopped *loop.Future[struct{}]
		server.onBuild = func() transport.Protocol {
			stopped = p.StopListening()
			return &server.talker
		}
		clients := make([]*plant, 8)
		for i := range clients {
			clients[i] = s.dial(p.Addr())
		}
		s.Until("all are decided", func() bool {
			live, over := 0, 0
			for _, c := range clients {
				live += c.talking()
				over += len(c.errs)
			}
			return live == 1 && over == 7 && stopped != nil && done(stopped)
		})
		s.expect("server start", "server build", "server made", "server stop")
		if p.Conns() != 1 {
			s.Errorf("%d connections, want 1", p.Conns())
		}
	})
}

// A factory that refuses, or panics, costs one connection.
func TestServerThatDoesNotBuild(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		builds := 0
		server.onBuild = func() transport.Protocol {
			switch builds++; builds {
			case 1:
				return nil
			case 2:
				panic("boom")
			}
			talker := server.talker
			return &talker
		}
		for range 2 {
			c := s.dial(p.Addr())
			s.Until("refused", func() bool { return len(c.errs) == 1 })
		}
		c := s.dial(p.Addr())
		s.Until("connected", func() bool { return c.talking() == 1 && s.has("server made") })
		s.expect("server start", "server build", "server build", "server build", "server made")
		s.panics(1)
		if p.Conns() != 1 {
			s.Errorf("%d connections, want 1", p.Conns())
		}
	})
}

// A panic in the server's ConnectionMade or ConnectionLost ends that connection
// and is counted.
func TestServerProtocolThatPanics(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		server.talker.onMade = func(*talker) { panic("boom") }
		server.talker.onLost = func(*talker) { panic("boom") }
		p := s.listen(server)
		c := s.dial(p.Addr())
		s.Until("lost", func() bool { return len(c.errs) == 1 && p.Conns() == 0 })
		s.expect("server start", "server build", "server made", "server lost: panicked")
		s.panics(2)
		if err := result(s, p.Drain()); err != nil {
			s.Error(err)
		}
	})
}

func TestFactoryThatPanicsInStartAndStop(t *testing.T) {
	each(t, func(s *scene) {
		boom := errors.New("boom")
		f := s.plant("server")
		f.OnStart = func() { panic(boom) }
		addr := s.deadEnd()
		_, err := Listen([]*loop.Loop{s.l}, addr, f, ListenOptions{})
		if !errors.Is(err, boom) || f.Users() != 0 {
			s.Fatalf("Listen: %v, %d users", err, f.Users())
		}
		f.OnStart = nil
		p, err := Listen([]*loop.Loop{s.l}, addr, f, ListenOptions{})
		if err != nil {
			s.Fatalf("the port is not free after a failed start: %v", err)
		}
		f.OnStop = func() { panic(boom) }
		if err := result(s, p.StopListening()); !errors.Is(err, boom) {
			s.Errorf("StopListening: %v", err)
		}
		f.OnStop = nil
		if err := p.Start(); err != nil {
			s.Fatalf("Start after a failed stop: %v", err)
		}
		s.panics(2)
	})
}

// A port that its loop takes along stops its factory, as one that is stopped.
func TestPortEndsWithItsLoop(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		c := s.dial(p.Addr())
		s.Until("connected", func() bool { return server.talking() == 1 && c.talking() == 1 })
		s.events = nil
		drained := p.Drain()
		s.l.Stop()
		s.Turn()
		s.expect("server stop", "server lost: stopped")
		if p.Listening() || p.Conns() != 0 || !done(drained) {
			s.Errorf("listening %v, %d connections, drained %v", p.Listening(), p.Conns(), done(drained))
		}
		if err := p.Start(); err != loop.ErrStopped {
			s.Errorf("Start on a loop that has stopped: %v", err)
		}
	})
}

func TestDrain(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		c := s.dial(p.Addr())
		s.Until("connected", func() bool { return server.talking() == 1 && c.talking() == 1 })
		first, second := p.Drain(), p.Drain()
		s.wait(p.StopListening())
		if done(first) || done(second) {
			s.Fatal("drained while there is a connection")
		}
		if err := p.Start(); err != ErrNotIdle {
			s.Errorf("Start while it drains: %v", err)
		}
		c.made[0].t.LoseConnection()
		for _, f := range []*loop.Future[struct{}]{first, second, p.Drain()} {
			if err := result(s, f); err != nil {
				s.Error(err)
			}
		}
		if p.Conns() != 0 {
			s.Errorf("%d connections", p.Conns())
		}
		if err := p.Start(); err != nil {
			s.Errorf("Start after a Drain: %v", err)
		}
	})
}

func TestAbortConnections(t *testing.T) {
	each(t, func(s *scene) {
		server := s.plant("server")
		p := s.listen(server)
		a, b := s.dial(p.Addr()), s.dial(p.Addr())
		s.Until("connected", func() bool { return server.talking() == 2 && a.talking() == 1 && b.talking() == 1 })
		s.events = nil
		p.AbortConnections()
		s.expect() // nothing from inside
		s.Until("lost", func() bool { return p.Conns() == 0 && len(a.errs) == 1 && len(b.errs) == 1 })
		s.expect("server lost: aborted", "server lost: aborted")
		if !p.Listening() || !errors.Is(a.errs[0], syscall.ECONNRESET) {
			s.Errorf("listening %v, the peer was told %v", p.Listening(), a.errs[0])
		}
	})
}

func TestUnixPort(t *testing.T) {
	each(t, func(s *scene) {
		path := filepath.Join(s.TempDir(), "socket")
		if s.Net != nil {
			path = "/run/socket" // not a file of this machine
		}
		for _, name := range []string{path, fmt.Sprintf("@connector-test-%d", os.Getpid())} {
			server := s.quiet()
			addr := proactor.UnixAddress(name)
			o := ListenOptions{ReusePort: true, Socket: &proactor.SocketOptions{Backlog: 9}}
			p, err := Listen([]*loop.Loop{s.l}, addr, server, o)
			if err != nil {
				s.Fatal(err)
			}
			c := s.dial(addr)
			s.Until("connected", func() bool { return server.talking() == 1 && c.talking() == 1 })
			if c.peers[0] != addr || server.made[0].t.LocalAddr() != addr {
				s.Errorf("built for %v, served at %v", c.peers[0], server.made[0].t.LocalAddr())
			}
			s.wait(p.StopListening())
			if err := p.Start(); err != nil {
				s.Errorf("Start again: %v", err)
			}
			s.wait(p.StopListening())
		}
	})
}

// A callback that takes the loop's goroutine away, in the middle of a
// connection's beginning, leaves no account open.
func TestGoexitInBuildProtocol(t *testing.T) {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults})
	s := newScene(w)
	server, client := s.plant("server"), s.plant("client")
	p := s.listen(server)
	server.onBuild = func() transport.Protocol { runtime.Goexit(); return nil }
	Connect(s.l, To(p.Addr()), client, Options{})
	gone := make(chan struct{})
	go func() { // the loop has not turned: it may be this goroutine's
		defer close(gone)
		for s.l.Iterate(-1) == nil {
		}
		t.Error("Iterate went on after a Goexit")
	}()
	<-gone
	if p.Conns() != 0 || server.Users() != 0 || client.Users() != 0 || s.l.Err() != loop.ErrGoexit {
		t.Errorf("%d connections, %d and %d users, %v", p.Conns(), server.Users(), client.Users(), s.l.Err())
	}
	if len(client.errs) != 1 || !errors.Is(client.errs[0], loop.ErrGoexit) {
		t.Errorf("the client was told %v", client.errs)
	}
	w.TakeTroubles()
}

//go:build unix

package twisted

import (
	"errors"
	"maps"
	"os"
	"syscall"
	"testing"
	"time"

	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/sim"
	"mobius/test/backends"
)

// limit changes how many descriptors the process may have, until the test ends.
func (s *scene) limit(change func(l *syscall.Rlimit)) {
	s.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
		s.Fatal(err)
	}
	few := old
	change(&few)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &few); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			s.Error(err)
		}
	})
}

// exhaust takes all descriptors that are left but so many. The returned
// function gives them back.
func (s *scene) exhaust(spare int) func() {
	s.Helper()
	s.limit(func(l *syscall.Rlimit) { l.Cur = 256 })
	var files []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if err != nil {
			break
		}
		files = append(files, f)
	}
	for range spare {
		_ = files[0].Close()
		files = files[1:]
	}
	back := func() {
		for _, f := range files {
			_ = f.Close()
		}
		files = nil
	}
	s.Cleanup(back)
	return back
}

// The process has no descriptor left: a client does not hang but is closed at
// once, and no protocol is built for it. Later ones are served.
func TestCase108OutOfDescriptors(t *testing.T) {
	refused := func(s *scene, server *plant, p *connector.Port, back func()) {
		first, second := s.silent("first"), s.silent("second")
		s.connect(p.Addr(), first)
		s.Until("the client is told", func() bool { return len(first.errs) == 1 })
		if len(server.peers) != 0 {
			s.Error("a protocol was built")
		}
		back()
		s.connect(p.Addr(), second)
		s.Until("served", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		s.acceptReported(s.TakeTroubles(), syscall.EMFILE)
	}
	t.Run("sim", func(t *testing.T) {
		// The port, what it waits with, and one client: there is no room for a server.
		s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults, Handles: 3}), tcp4)
		server := s.silent("server")
		p, other := s.listen(server), s.listen(s.silent("other"))
		refused(s, server, p, func() { s.stop(other) })
	})
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w, tcp4)
		server := s.silent("server")
		p := s.listen(server)
		refused(s, server, p, s.exhaust(1))
	})
}

// The reserve that Refuse needs is one descriptor, however often it is used,
// also if there was nothing to refuse or it failed.
func TestCase109OneReserve(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w, tcp4)
		p, err := s.l.Sockets().Stream(s.deadEnd(), nil)
		if err != nil {
			s.Fatal(err)
		}
		h, _, err := s.l.Sockets().Listen(s.Address(), nil)
		if err != nil {
			s.Fatal(err)
		}
		before := testenv.Descriptors()
		for range 5 {
			if n, err := s.l.Sockets().Refuse(h, 10); n != 0 || err != nil {
				s.Errorf("Refuse of nobody: %d, %v", n, err)
			}
			if n, err := s.l.Sockets().Refuse(p, 10); n != 0 || err == nil {
				s.Errorf("Refuse of what does not listen: %d, %v", n, err)
			}
			if now := testenv.Descriptors(); !maps.Equal(now, before) {
				s.Errorf("descriptors %v, were %v", now, before)
			}
		}
	})
}

// Without a reserve nobody can be refused: that is an error, and the reserve is
// there again when there are descriptors again.
func TestCase111NoReserve(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w, tcp4)
		h, at, err := s.l.Sockets().Listen(s.Address(), nil)
		if err != nil {
			s.Fatal(err)
		}
		client := s.silent("client")
		s.connect(at, client)
		s.Until("connected", func() bool { return len(client.made) == 1 })
		before := len(testenv.Descriptors())
		var old syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			s.Fatal(err)
		}
		s.limit(func(l *syscall.Rlimit) { l.Cur = 4 }) // less than there are: not even the reserve can be opened again
		for range 2 {
			if n, err := s.l.Sockets().Refuse(h, 10); n != 0 || !errors.Is(err, syscall.EMFILE) {
				s.Errorf("Refuse: %d, %v, want EMFILE", n, err)
			}
		}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old); err != nil {
			s.Fatal(err)
		}
		if n, err := s.l.Sockets().Refuse(h, 10); n != 1 || err != nil {
			s.Errorf("Refuse: %d, %v, want the one client", n, err)
		}
		s.Until("the client is told", func() bool { return len(client.errs) == 1 })
		if after := len(testenv.Descriptors()); after != before-1 { // without the client's
			s.Errorf("%d descriptors, were %d with the client", after, before)
		}
	})
}

// What is reported of a shortage is reported once the recovery is over: the
// reserve is back, and cannot fall to whoever writes the log.
func TestCase112ReportedAfterRecovery(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		var opened []error
		l := loop.New(w.Open(), loop.Options{Report: func(loop.Trouble) {
			f, err := os.Open(os.DevNull)
			if err == nil {
				_ = f.Close()
			}
			opened = append(opened, err)
		}})
		s := &scene{World: w, l: l, wire: tcp4}
		p := s.listen(s.silent("server"))
		client := s.silent("client")
		back := s.exhaust(1)
		s.connect(p.Addr(), client) // takes the last one
		s.Until("reported", func() bool {
			if err := l.Iterate(10 * time.Millisecond); err != nil {
				s.Fatal(err)
			}
			return len(opened) > 0
		})
		back()
		if !errors.Is(opened[0], syscall.EMFILE) {
			s.Errorf("a file could be opened at the report (%v): where is the reserve?", opened[0])
		}
		if err := l.Close(); err != nil {
			s.Error(err)
		}
		if len(client.errs) != 1 {
			s.Errorf("the client was told %v", client.errs)
		}
	})
}

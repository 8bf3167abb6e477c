package twisted

import (
	"errors"
	"syscall"
	"testing"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// listening returns the descriptor, the test's own, of a socket that listens,
// and its address.
func (s *scene) listening() (int, proactor.Address) {
	s.Helper()
	h, at, err := s.l.Sockets().Listen(s.address(), nil)
	s.try(err)
	fd, err := s.l.Sockets().Detach(h)
	s.try(err)
	s.Cleanup(func() { s.closeOwn(fd) })
	return fd, at
}

// closeOwn closes a descriptor of the test's, when the loop may have ended.
func (s *scene) closeOwn(fd int) {
	if s.Net != nil {
		_ = s.Net.CloseFile(fd)
	} else {
		_ = syscall.Close(fd)
	}
}

func (s *scene) adoptPort(fd int, f connector.Factory) *connector.Port {
	s.Helper()
	p, err := connector.Adopt([]*loop.Loop{s.l}, fd, f, connector.ListenOptions{})
	s.try(err)
	return p
}

func TestAdoptedPortServes(t *testing.T) {
	eachStream(t, func(s *scene) {
		fd, at := s.listening()
		server, client := s.silent("server"), s.silent("client")
		p := s.adoptPort(fd, server)
		if p.Addr() != at {
			s.Errorf("at %v, want %v", p.Addr(), at)
		}
		s.connect(at, client)
		s.Until("both are connected", func() bool { return len(server.made) == 1 && len(client.made) == 1 && client.made[0].t != nil })
		s.stop(p)
		client.made[0].t.LoseConnection()
		s.bothLost(server.made[0], client.made[0])
		if err := p.Start(); err != connector.ErrAdopted {
			s.Errorf("a second start: %v", err)
		}
		s.idle()
	})
}

func TestCase329WhatCannotBeAdopted(t *testing.T) {
	each(t, func(s *scene) {
		a, _ := s.streams()
		listener, _ := s.listening()
		f := s.silent("nobody")
		for what, c := range map[string]struct {
			fd   int
			want error
			port bool
		}{
			"no descriptor":               {-1, syscall.EBADF, true},
			"a connection as a port":      {a, syscall.EINVAL, true},
			"a listener as a connection":  {listener, syscall.EINVAL, false},
			"no descriptor, a connection": {-1, syscall.EBADF, false},
		} {
			var err error
			if c.port {
				_, err = connector.Adopt([]*loop.Loop{s.l}, c.fd, f, connector.ListenOptions{})
			} else {
				_, err = connector.AdoptConnection(s.l, c.fd, f, nil)
			}
			var e *transport.ConnError
			if !errors.Is(err, c.want) || !errors.As(err, &e) || e.Op != "adopt" {
				s.Errorf("%s: %v, want %v", what, err, c.want)
			}
		}
		s.idle()
		p := s.adoptPort(listener, f) // it is still what it was
		s.stop(p)
	})
}

func TestAdoptionOfAPipe(t *testing.T) {
	each(t, func(s *scene) {
		if s.Net != nil {
			return // all its descriptors are sockets
		}
		var fds [2]int
		s.try(syscall.Pipe(fds[:]))
		defer syscall.Close(fds[0])
		defer syscall.Close(fds[1])
		f := s.silent("nobody")
		if _, err := connector.Adopt([]*loop.Loop{s.l}, fds[0], f, connector.ListenOptions{}); !errors.Is(err, syscall.ENOTSOCK) {
			s.Errorf("as a port: %v", err)
		}
		if _, err := connector.AdoptConnection(s.l, fds[0], f, nil); !errors.Is(err, syscall.ENOTSOCK) {
			s.Errorf("as a connection: %v", err)
		}
		s.idle()
	})
}

func TestCase331StopClosesOurCopyOnly(t *testing.T) {
	each(t, func(s *scene) {
		fd, at := s.listening()
		first, second := s.silent("first"), s.silent("second")
		s.stop(s.adoptPort(fd, first))
		p := s.adoptPort(fd, second) // the other holder
		client := s.silent("client")
		s.connect(at, client)
		s.Until("the other holder has accepted", func() bool {
			return len(second.made) == 1 && len(client.made) == 1 && client.made[0].t != nil
		})
		if len(first.made) != 0 {
			s.Error("the port that was stopped has accepted")
		}
		s.stop(p)
		client.made[0].t.LoseConnection()
		s.bothLost(second.made[0], client.made[0])
		s.idle()
	})
}

func TestCase333FactoryBuildsNothingForAnAdoptedConnection(t *testing.T) {
	each(t, func(s *scene) {
		a, _ := s.streams()
		nothing := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return nil })
		c, err := connector.AdoptConnection(s.l, a, nothing, nil)
		if c != nil || !errors.Is(err, connector.ErrNoProtocol) {
			s.Errorf("%v, %v", c, err)
		}
		s.idle()
	})
}

func TestAdoptedConnectionTalks(t *testing.T) {
	each(t, func(s *scene) {
		a, b := s.streams()
		plants := [2]*plant{s.silent("a"), s.silent("b")}
		for i, fd := range []int{a, b} {
			c, err := connector.AdoptConnection(s.l, fd, plants[i], nil)
			s.try(err)
			if c.Loop() != s.l || plants[i].made[0].t != c {
				s.Errorf("transport %v of %v", c, plants[i].made[0].t)
			}
		}
		plants[0].made[0].t.LoseConnection() // shutdown(2) reaches all holders
		s.bothLost(plants[0].made[0], plants[1].made[0])
		s.idle()
	})
}

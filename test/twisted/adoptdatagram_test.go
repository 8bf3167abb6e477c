package twisted

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/datagram"
)

// bound returns the descriptor, the test's own, of a datagram socket, and its
// address.
func (s *scene) bound(at proactor.Address) (int, proactor.Address) {
	s.Helper()
	h, local, err := s.l.Sockets().Packet(at, nil)
	s.try(err)
	fd, err := s.l.Sockets().Detach(h)
	s.try(err)
	s.Cleanup(func() { s.closeOwn(fd) })
	return fd, local
}

// adoptBox starts a mailbox on a datagram socket.
func (s *scene) adoptBox(name string, fd int) *mailbox {
	s.Helper()
	m := &mailbox{s: s, name: name}
	_, err := datagram.Adopt(s.l, fd, m, nil)
	s.try(err)
	return m
}

// eachDatagram runs a case on every kind of datagram socket, with an address to
// bind at.
func eachDatagram(t *testing.T, f func(s *scene, at proactor.Address)) {
	eachUDP(t, func(s *scene, at string) { f(s, s.parse("udp", at)) })
	t.Run("unixgram", func(t *testing.T) {
		eachOn(t, []wire{unix}, func(s *scene) { f(s, s.parse("unixgram", s.address().Path())) })
	})
}

// Whoever else has the socket of an adopted port receives by it when the port
// has stopped.
func TestCase332StopClosesOurCopyOfADatagramSocketOnly(t *testing.T) {
	eachDatagram(t, func(s *scene, at proactor.Address) {
		fd, local := s.bound(at)
		a := s.adoptBox("a", fd)
		if a.addr() != local || !a.port.Listening() {
			s.Errorf("adopted at %v, want %v", a.addr(), local)
		}
		if at.IsUnix() {
			at = s.parse("unixgram", s.address().Path())
		}
		c := &mailbox{s: s, name: "c"}
		_, err := datagram.Listen(s.l, at, c, nil)
		s.try(err)
		c.post("one", local)
		s.await(`a got "one"`)
		a.post("two", a.from)
		s.await(`c got "two"`)
		_, err = result(s, a.port.StopListening())
		s.try(err)
		if err := a.port.Start(); !errors.Is(err, transport.ErrAdopted) {
			s.Errorf("a second start: %v", err)
		}
		s.events = nil
		b := s.adoptBox("b", fd) // the other holder
		c.post("three", local)
		s.await(`b got "three"`)
		for _, m := range []*mailbox{b, c} {
			_, err = result(s, m.port.StopListening())
			s.try(err)
		}
		s.expect("b started", `b got "three"`, "b stopped", "c stopped")
		s.idle()
	})
}

// A socket that has a peer is adopted with it.
func TestAdoptedDatagramSocketIsConnected(t *testing.T) {
	eachUDP(t, func(s *scene, at string) {
		if s.Net != nil {
			return // its handles are no descriptors
		}
		a, b := s.box("a", "udp", at), s.box("b", "udp", at)
		_, err := result(s, a.port.Connect(b.addr()))
		s.try(err)
		local := a.addr()
		fd, err := s.l.Sockets().Duplicate(int(a.port.Handle().Index()))
		s.try(err)
		s.Cleanup(func() { s.closeOwn(fd) })
		_, err = result(s, a.port.StopListening())
		s.try(err)
		again := s.adoptBox("again", fd)
		if again.addr() != local || again.port.RemoteAddr() != b.addr() {
			s.Errorf("from %v to %v, want %v and %v", again.addr(), again.port.RemoteAddr(), local, b.addr())
		}
		s.try(again.port.Write([]byte("x")))
		s.await(`b got "x"`)
	})
}

func TestCase329WhatIsNoDatagramSocket(t *testing.T) {
	each(t, func(s *scene) {
		a, _ := s.streams()
		listener, _ := s.listening()
		refused := func(what string, fd int, want error) {
			s.Helper()
			m := &mailbox{s: s, name: what}
			p, err := datagram.Adopt(s.l, fd, m, nil)
			var e *transport.ConnError
			if p != nil || !errors.Is(err, want) || !errors.As(err, &e) || e.Op != "adopt" || m.port != nil {
				s.Errorf("%s: %v, %v; want %v", what, p, err, want)
			}
		}
		refused("no descriptor", -1, syscall.EBADF)
		refused("a connection", a, syscall.EPROTONOSUPPORT)
		refused("a listener", listener, syscall.EPROTONOSUPPORT)
		if s.Net == nil {
			var fds [2]int
			s.try(syscall.Pipe(fds[:]))
			defer syscall.Close(fds[0])
			defer syscall.Close(fds[1])
			refused("a pipe", fds[0], syscall.ENOTSOCK)
		}
		s.idle()
		fd, _ := s.bound(s.parse("udp", "127.0.0.1:0"))
		s.l.Stop()
		s.Until("the loop ends", func() bool { return s.l.Err() == loop.ErrStopped })
		refused("a good one, too late", fd, loop.ErrStopped)
	})
}

// A datagram port's start and end are logged, as a stream port's are: where,
// and for whom.
func TestCase279DatagramPortsAreLogged(t *testing.T) {
	eachDatagram(t, func(s *scene, at proactor.Address) {
		j := s.logged()
		p, err := datagram.Listen(s.l, at, &labelled{mailbox{s: s, name: "a"}}, nil)
		s.try(err)
		local := p.LocalAddr()
		if n := len(j.all()); n != 1 {
			s.Errorf("logged %q at the start, want one line", j.all())
		}
		_, err = result(s, p.StopListening())
		s.try(err)
		lines := j.all()
		if len(lines) != 2 {
			s.Fatalf("logged %q, want two lines", lines)
		}
		for i, want := range []string{"a port starts", "a port is closed"} {
			if !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "address="+local.String()) ||
				!strings.Contains(lines[i], "protocol=the label") {
				s.Errorf("line %d is %q, want %q with address and protocol", i, lines[i], want)
			}
		}
	})
}

// A labelled is a mailbox with a log prefix.
type labelled struct{ mailbox }

func (*labelled) LogPrefix() string { return "the label" }

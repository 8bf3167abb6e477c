//go:build linux

package load

import "golang.org/x/sys/unix"

// A stream is a connection that asks for its own bytes back.
type stream struct {
	queue
	fd     int
	secure *secure // over TLS, or nil
	from   uint64  // where it begins in the pattern
	sent   uint64  // bytes
	want   uint64  // bytes that are to be sent
	got    uint64  // bytes
	full   bool    // the socket takes no more for now
	slow   bool    // it floods, and hardly reads
	open   bool
}

func newStream(e *engine, i int) (*stream, error) {
	s := &stream{queue: newQueue(i, e.spec.Depth), from: e.pattern.start(i), open: true}
	s.slow = e.spec.Mode == Slow && i == e.spec.Conns
	var err error
	if e.spec.Network == "tls" {
		if s.secure, err = dialSecure(e.spec); err == nil {
			s.fd = s.secure.fd
		}
	} else {
		s.fd, err = dial(e.spec, unix.SOCK_STREAM)
	}
	if err != nil {
		return nil, err
	}
	if err := e.watch(s.fd, i); err != nil {
		unix.Close(s.fd)
		return nil, err
	}
	return s, nil
}

func (s *stream) next(e *engine) error {
	s.due++
	if s.slow {
		s.want = 1 << 62
		return s.flush(e)
	}
	return s.ask(e)
}

// ask starts the requests that there is room for.
func (s *stream) ask(e *engine) error {
	n := s.room(e)
	if n <= 0 {
		return nil
	}
	s.start(e, n)
	s.want += uint64(n) * uint64(e.spec.Size)
	return s.flush(e)
}

// flush sends what the socket takes.
func (s *stream) flush(e *engine) error {
	if s.secure.behind() {
		if err := s.secure.push(); err != nil {
			return errClosed(s.id, err)
		}
		s.full = s.secure.behind()
	}
	for s.sent < s.want && !s.full {
		p := e.pattern.at(s.from+s.sent, s.want-s.sent)
		n, err := s.transmit(p)
		if err != nil {
			return errClosed(s.id, err)
		}
		if n >= 0 {
			s.sent += uint64(n)
		}
		s.full = n < len(p) || s.secure.behind()
	}
	return nil
}

func (s *stream) transmit(p []byte) (int, error) {
	if s.secure != nil {
		return s.secure.transmit(p)
	}
	return transmit(s.fd, p)
}

func (s *stream) receive(p []byte) (int, error) {
	if s.secure != nil {
		return s.secure.receive(p)
	}
	return receive(s.fd, p)
}

func (s *stream) ready(e *engine, events uint32) error {
	if events&unix.EPOLLOUT != 0 && s.full {
		s.full = false
		if err := s.flush(e); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 || s.slow {
		return nil
	}
	for {
		n, err := s.read(e, e.buf)
		if err != nil {
			return err
		}
		if n == 0 || n < len(e.buf) && s.secure == nil {
			return nil // the next bytes are told of (epoll(7), edge-triggered)
		}
	}
}

// read reads once, checks, and asks again where an answer is whole.
func (s *stream) read(e *engine, p []byte) (int, error) {
	n, err := s.receive(p)
	if n < 0 {
		return 0, nil
	}
	if err != nil || n == 0 {
		return 0, errClosed(s.id, err)
	}
	e.res.Bad += e.pattern.wrong(p[:n], s.from+s.got)
	s.got += uint64(n)
	if s.slow {
		return n, nil
	}
	if s.got > s.sent {
		e.res.Bad += s.got - s.sent // more than was asked for
		s.got = s.sent
	}
	now := e.now()
	e.progress = now
	if e.measuring {
		e.res.Bytes += uint64(n)
	}
	s.finish(e, now, int64(s.got/uint64(e.spec.Size)))
	return n, s.ask(e)
}

// sweep lets the slow one read a little.
func (s *stream) sweep(e *engine) error {
	if !s.slow || e.stopping {
		return nil
	}
	_, err := s.read(e, e.buf[:4<<10])
	return err
}

// end closes. What was sent and did not come back is bad.
func (s *stream) end(e *engine) {
	if !s.open {
		return
	}
	s.open = false
	if !s.slow {
		e.res.Bad += s.sent - s.got
		s.queue.end(e, s.finished)
	}
	unix.Close(s.fd)
}

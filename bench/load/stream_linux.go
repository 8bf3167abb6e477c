//go:build linux

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// A stream is a connection that asks for its own bytes back.
//
// In a closed loop it sends Depth requests at once, and again when all of them
// are answered. In an open loop it sends each request when it is due, unless
// Depth requests are in flight: then as soon as one of those is answered.
type stream struct {
	id, fd   int
	from     uint64  // where it begins in the pattern
	sent     uint64  // bytes
	want     uint64  // bytes that are to be sent
	got      uint64  // bytes
	due      int64   // requests that were due
	started  int64   // requests that were sent, or are to be
	finished int64   // requests that were answered
	times    []int64 // when the last Depth requests were started
	full     bool    // the socket takes no more for now
	slow     bool    // it floods, and hardly reads
	open     bool
}

func newStream(e *engine, i int) (*stream, error) {
	fd, err := dial(e.spec, unix.SOCK_STREAM, false)
	if err != nil {
		return nil, err
	}
	s := &stream{id: i, fd: fd, from: e.pattern.start(i), times: make([]int64, e.spec.Depth), open: true}
	s.slow = e.spec.Mode == Slow && i == e.spec.Conns
	if err := e.watch(fd, i); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// waits reports whether answers are missing.
func (s *stream) waits() bool { return !s.slow && s.got < s.want }

func (s *stream) next(e *engine) error {
	s.due++
	if s.slow {
		s.want = 1 << 62
		return s.flush(e)
	}
	if e.spec.Rate == 0 {
		return s.ask(e, int64(e.spec.Depth))
	}
	if s.started-s.finished < int64(e.spec.Depth) {
		return s.ask(e, 1)
	}
	return nil
}

// ask starts n requests.
func (s *stream) ask(e *engine, n int64) error {
	now := e.now()
	for range n {
		s.times[s.started%int64(len(s.times))] = now
		s.started++
	}
	s.want += uint64(n) * uint64(e.spec.Size)
	return s.flush(e)
}

// flush sends what the socket takes.
func (s *stream) flush(e *engine) error {
	for s.sent < s.want && !s.full {
		p := e.pattern.at(s.from+s.sent, s.want-s.sent)
		n, err := transmit(s.fd, p)
		if err != nil {
			return errClosed(s.id, err)
		}
		if n >= 0 {
			s.sent += uint64(n)
		}
		s.full = n < len(p)
	}
	return nil
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
		if n < len(e.buf) {
			return nil // the next bytes are told of (epoll(7), edge-triggered)
		}
	}
}

// read reads once, checks, and asks again where an answer is whole.
func (s *stream) read(e *engine, p []byte) (int, error) {
	n, err := receive(s.fd, p)
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
	return n, s.finish(e, now)
}

// finish counts the requests that are whole now.
func (s *stream) finish(e *engine, now int64) error {
	whole := int64(s.got / uint64(e.spec.Size))
	for s.finished < whole {
		first := s.finished
		at := s.times[first%int64(len(s.times))]
		for s.finished < whole && s.times[s.finished%int64(len(s.times))] == at {
			if e.spec.Rate > 0 {
				e.answeredDue(now, s.number(e, s.finished))
			}
			s.finished++
		}
		e.answered(now, at, s.finished-first)
	}
	if e.stopping || e.spec.Mode == Idle {
		return nil
	}
	if e.spec.Rate > 0 {
		for s.started < s.due && s.started-s.finished < int64(e.spec.Depth) {
			if err := s.ask(e, 1); err != nil {
				return err
			}
		}
		return nil
	}
	if s.finished == s.started {
		return s.ask(e, int64(e.spec.Depth))
	}
	return nil
}

// number returns which of all requests of an open loop the stream's i-th is.
func (s *stream) number(e *engine, i int64) int64 { return i*int64(len(e.clients)) + int64(s.id) }

// sweep lets the slow one read a little.
func (s *stream) sweep(e *engine) error {
	if !s.slow || e.stopping {
		return nil
	}
	_, err := s.read(e, e.buf[:4<<10])
	return err
}

// end closes. What was sent and did not come back is bad, and what was due and
// was never answered has the age that it has got.
func (s *stream) end(e *engine) {
	if !s.open {
		return
	}
	s.open = false
	if !s.slow {
		e.res.Bad += s.sent - s.got
	}
	if e.corrected != nil {
		now := e.now()
		for i := s.finished; i < s.due; i++ {
			e.corrected.Record(time.Duration(now-e.dueAt(s.number(e, i))), 1)
		}
	}
	unix.Close(s.fd)
}

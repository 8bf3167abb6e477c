//go:build linux

package load

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A secure is a connection over TLS by crypto/tls, on a descriptor that never waits.
// What it writes is queued, and goes out by push.
type secure struct {
	fd   int
	conn *tls.Conn
	out  []byte       // what the socket is still to take
	wait func() error // called where there is nothing to read; nil: then reading ends with an error that is temporary
}

// newSecure trusts whomever it meets: what is measured is not the trust. A session is
// never resumed, so that each handshake is a whole one.
func newSecure(fd int, wait func() error) *secure {
	s := &secure{fd: fd, wait: wait}
	s.conn = tls.Client((*secureSocket)(s), &tls.Config{InsecureSkipVerify: true})
	return s
}

// dialSecure connects, and waits for the handshake.
func dialSecure(spec *Spec) (*secure, error) {
	fd, err := dial(spec, unix.SOCK_STREAM)
	if err != nil {
		return nil, err
	}
	until := time.Now().Add(spec.patience())
	s := newSecure(fd, func() error { return readable(fd, time.Until(until)) })
	if err := errors.Join(s.conn.Handshake(), s.push()); err != nil {
		unix.Close(fd)
		return nil, err
	}
	s.wait = nil
	return s, nil
}

// readable waits until there is something to read.
func readable(fd int, patience time.Duration) error {
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds()))
	if n == 0 && err == nil {
		return os.ErrDeadlineExceeded
	}
	if err == unix.EINTR {
		return nil
	}
	return os.NewSyscallError("poll", err)
}

// behind reports whether the socket is still to take something.
func (s *secure) behind() bool { return s != nil && len(s.out) > 0 }

// push sends what the socket takes.
func (s *secure) push() error {
	for s.behind() {
		n, err := transmit(s.fd, s.out)
		if n < 0 || err != nil {
			return err
		}
		s.out = s.out[:copy(s.out, s.out[n:])]
	}
	return nil
}

// transmit takes p, unless the socket is behind; -1 means that it is.
func (s *secure) transmit(p []byte) (int, error) {
	if s.behind() {
		return -1, nil
	}
	n, err := s.conn.Write(p)
	return n, errors.Join(err, s.push())
}

// receive reads some of a record; -1 means that there is none that is whole.
func (s *secure) receive(p []byte) (int, error) {
	n, err := s.conn.Read(p)
	switch {
	case n > 0:
		return n, nil
	case err == errNothing:
		return -1, nil
	case err == io.EOF:
		return 0, nil
	}
	return 0, err
}

// goodbye says it, and does not wait.
func (s *secure) goodbye() {
	_ = s.conn.Close()
	_ = s.push()
}

// A secureSocket is what crypto/tls sees of it.
type secureSocket secure

// Read reads what there is.
func (s *secureSocket) Read(p []byte) (int, error) {
	for {
		if err := (*secure)(s).push(); err != nil {
			return 0, err
		}
		n, err := receive(s.fd, p)
		switch {
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		case n > 0:
			return n, nil
		case s.wait == nil:
			return 0, errNothing
		}
		if err := s.wait(); err != nil {
			return 0, err
		}
	}
}

// Write queues p.
func (s *secureSocket) Write(p []byte) (int, error) {
	s.out = append(s.out, p...)
	return len(p), nil
}

// Close leaves the descriptor to its owner.
func (s *secureSocket) Close() error { return nil }

// The addresses are nobody's business, and deadlines the engine's.

func (s *secureSocket) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *secureSocket) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *secureSocket) SetDeadline(time.Time) error      { return nil }
func (s *secureSocket) SetReadDeadline(time.Time) error  { return nil }
func (s *secureSocket) SetWriteDeadline(time.Time) error { return nil }

// errNothing says that no record is whole. Since it calls itself temporary, the
// tls.Conn goes on where it was at the next Read (crypto/tls conn.go,
// readRecordOrCCS).
var errNothing net.Error = nothing{}

type nothing struct{}

func (nothing) Error() string   { return "no record is whole" }
func (nothing) Timeout() bool   { return false }
func (nothing) Temporary() bool { return true }

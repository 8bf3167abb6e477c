//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Accepted makes a handle of fd, which was accepted on listener e and is
// O_NONBLOCK and CLOEXEC. The peer's address is read from raw, or asked of the
// kernel if raw is nil and wantPeer is set. ok is false if the peer is gone
// already, so that there is no address: then fd is closed, and counted in
// PeerGone.
func (s *Sockets) Accepted(e *Entry, fd int, raw *RawAddr, wantPeer bool) (h proactor.Handle, peer proactor.Address, ok bool) {
	if raw == nil && wantPeer {
		raw = &s.raw
		if getpeername(fd, raw) != nil {
			return s.peerGone(fd)
		}
	}
	if raw != nil {
		if peer = s.Address(raw, e.Network); !peer.IsValid() {
			return s.peerGone(fd)
		}
	}
	if finishAccepted(fd, e.listener) != nil {
		return s.peerGone(fd) // options of a dead connection cannot be set (EINVAL on BSDs)
	}
	s.table.used(fd)
	c := s.Open(fd, Stream, e.Network)
	c.Domain = e.Domain
	return c.Handle(), peer, true
}

// Acceptable reports whether fd may be a connection that listener e has just
// accepted: it has the listener's address and belongs to no open handle.
func (s *Sockets) Acceptable(e *Entry, fd int) bool {
	if at := s.entries.At(uint32(fd)); at != nil && at.handle.Load() != 0 {
		return false
	}
	own, err := unix.Getsockname(fd)
	if err != nil {
		return false
	}
	listener, err := unix.Getsockname(int(e.Handle().Index()))
	return err == nil && samePort(own, listener)
}

func samePort(a, b unix.Sockaddr) bool {
	switch x := a.(type) {
	case *unix.SockaddrInet4:
		if y, ok := b.(*unix.SockaddrInet6); ok {
			return x.Port == y.Port
		}
		y, ok := b.(*unix.SockaddrInet4)
		return ok && x.Port == y.Port
	case *unix.SockaddrInet6:
		y, ok := b.(*unix.SockaddrInet6)
		return ok && x.Port == y.Port
	case *unix.SockaddrUnix:
		y, ok := b.(*unix.SockaddrUnix)
		return ok && x.Name == y.Name
	}
	return false
}

func (s *Sockets) peerGone(fd int) (proactor.Handle, proactor.Address, bool) {
	unix.Close(fd)
	s.PeerGone++
	return 0, proactor.Address{}, false
}

// Refuse implements proactor.Sockets. The reserve descriptor is given up for
// the time of the call, so that accept(2) has a number to use.
func (s *Sockets) Refuse(h proactor.Handle, limit int) (int, error) {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return 0, proactor.ErrClosed
	case e.Kind != Listener:
		return 0, unix.EINVAL // as accept(2) answers
	}
	if s.reserve >= 0 {
		unix.Close(s.reserve)
		s.reserve = -1
	}
	n := 0
	var err error
	for n < limit {
		var fd int
		fd, err = Accept(int(h.Index()), &s.raw)
		if err == unix.ECONNABORTED || err == unix.EINTR {
			continue
		}
		if err != nil {
			break
		}
		if e.Network == proactor.TCP {
			_ = resetOnClose(fd) // else it ends with a FIN, which is no worse than nothing
		}
		unix.Close(fd)
		n++
		s.Refused++
	}
	if fd, rerr := openReserve(); rerr == nil {
		s.reserve = fd
	}
	if err == unix.EAGAIN {
		err = nil
	}
	return n, err
}

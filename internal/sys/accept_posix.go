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

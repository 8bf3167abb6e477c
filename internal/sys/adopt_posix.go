//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"math"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Adopt implements proactor.Sockets.
func (s *Sockets) Adopt(fd int) (proactor.Handle, error) {
	if s.closed {
		return 0, proactor.ErrClosed
	}
	if !numbers(fd) {
		return 0, unix.EBADF
	}
	if e := s.entries.At(uint32(fd)); e != nil && e.Handle() != 0 {
		return 0, unix.EEXIST // it is this backend's already
	}
	mode, err := setFlags(fd)
	if err != nil {
		return 0, err
	}
	kind, network, domain, err := classify(fd)
	if err != nil {
		return 0, err
	}
	if network == proactor.TCP {
		// EINVAL is a dead connection's answer on BSDs; reading tells its end.
		if err := setBool(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, true); err != nil && err != unix.EINVAL {
			return 0, err
		}
	}
	if s.Places != nil && kind == Stream {
		if e, err := s.newStream(fd, domain, network); err == nil {
			return e.Handle(), nil
		} // else it stays the descriptor that it is
	}
	e := s.Open(fd, kind, network)
	e.Domain = uint8(domain)
	e.NoRead, e.NoWrite = mode == unix.O_WRONLY, mode == unix.O_RDONLY
	e.joins = network == proactor.UDP && receivesSegments(fd) == proactor.On
	return e.Handle(), nil
}

// setFlags makes fd O_NONBLOCK and CLOEXEC, asking first: descriptors that
// come from another backend are. It returns the access mode (O_ACCMODE).
func setFlags(fd int) (mode int, err error) {
	fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	mode = fl & unix.O_ACCMODE
	if err == nil && fl&unix.O_NONBLOCK == 0 {
		err = unix.SetNonblock(fd, true)
	}
	if err != nil {
		return mode, err
	}
	fl, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	if err == nil && fl&unix.FD_CLOEXEC == 0 {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFD, fl|unix.FD_CLOEXEC)
	}
	return mode, err
}

// classify finds out what fd is. Sockets of other families and types than
// those of this package are refused with EPROTONOSUPPORT.
func classify(fd int) (kind Kind, network proactor.Network, domain int, err error) {
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err == unix.ENOTSOCK {
		return Other, proactor.NoNetwork, 0, nil
	}
	if err == nil {
		domain, err = socketDomain(fd)
	}
	if err != nil {
		return Other, proactor.NoNetwork, 0, err
	}
	networks := map[[2]int]proactor.Network{
		{unix.AF_INET, unix.SOCK_STREAM}: proactor.TCP, {unix.AF_INET6, unix.SOCK_STREAM}: proactor.TCP,
		{unix.AF_INET, unix.SOCK_DGRAM}: proactor.UDP, {unix.AF_INET6, unix.SOCK_DGRAM}: proactor.UDP,
		{unix.AF_UNIX, unix.SOCK_STREAM}: proactor.Unix, {unix.AF_UNIX, unix.SOCK_DGRAM}: proactor.Unixgram,
	}
	network, ok := networks[[2]int{domain, typ}]
	switch {
	case !ok:
		return Other, proactor.NoNetwork, 0, unix.EPROTONOSUPPORT
	case typ == unix.SOCK_DGRAM:
		return Datagram, network, domain, nil
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err == nil && listens != 0 {
		return Listener, network, domain, nil
	}
	return Stream, network, domain, nil
}

// Detach implements proactor.Sockets. A unix listener's file stays, and is
// its new owner's to remove.
func (s *Sockets) Detach(h proactor.Handle) (int, error) {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return -1, proactor.ErrClosed
	case e.Busy != 0:
		return -1, proactor.ErrBusy
	case e.Kind == Child:
		return -1, proactor.ErrUnsupported // nobody else could wait for it
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return -1, err
	}
	if e.listener != nil {
		e.listener.leave()
	}
	s.Table.close(e)
	if place, is := placed(h); is {
		s.Places.Remove(place)
	}
	return fd, nil
}

// Number implements proactor.Sockets. Any goroutine.
func (s *Sockets) Number(h proactor.Handle) (int, error) {
	if s.Lookup(h) == nil {
		return -1, proactor.ErrClosed
	}
	if _, is := placed(h); is {
		return -1, proactor.ErrUnsupported
	}
	return int(h.Index()), nil
}

// Duplicate implements proactor.Sockets.
func (s *Sockets) Duplicate(fd int) (int, error) {
	if !numbers(fd) {
		return -1, unix.EBADF
	}
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// Discard implements proactor.Sockets.
func (s *Sockets) Discard(fd int) error {
	if !numbers(fd) {
		return unix.EBADF
	}
	return unix.Close(fd)
}

// numbers reports whether fd may number a descriptor. Of one that is wider the
// kernel sees the lower half, which may be another's.
func numbers(fd int) bool { return fd >= 0 && int64(fd) <= math.MaxInt32 }

//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"context"
	"net/netip"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Sockets implements proactor.Sockets for a backend that has descriptors; the
// backend embeds it and calls Init. All methods are for the loop's goroutine,
// except Token, TryWrite and LookupHost.
type Sockets struct {
	Table

	// PeerGone and Refused count as proactor.Stats says.
	PeerGone, Refused uint64

	// Places, if not nil, is where streams are kept from now on: those made, and
	// those adopted, as long as there is room. The backend's to set.
	Places Places

	began   bool // Init was called
	closed  bool
	reserve int // a descriptor to give up when there are none left; -1 if there is none
	zones   zones
	table   fdTable
	raw     RawAddr // scratch
}

var _ proactor.Sockets = (*Sockets)(nil)

// Init prepares s and takes the reserve descriptor that Refuse needs.
func (s *Sockets) Init() error {
	fd, err := openReserve()
	s.reserve, s.began = fd, true
	if err != nil {
		s.reserve = -1
	}
	return err
}

// CloseAll closes every handle, busy or not, and the reserve descriptor if Init
// was called. The backend calls it when the kernel works on none of them any
// more. Nothing can be opened or adopted afterwards.
func (s *Sockets) CloseAll() {
	s.closed = true
	s.Each(func(e *Entry) {
		e.Busy = 0
		s.closeEntry(e)
	})
	if s.began && s.reserve >= 0 {
		unix.Close(s.reserve)
		s.reserve = -1
	}
}

// Domain returns the natural address family of an address: AF_INET for the
// wildcard.
func Domain(a proactor.Address) int {
	switch {
	case a.IsUnix():
		return unix.AF_UNIX
	case a.IP().Is6():
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// Stream implements proactor.Sockets.
func (s *Sockets) Stream(remote proactor.Address, o *proactor.SocketOptions) (proactor.Handle, error) {
	if s.closed {
		return 0, proactor.ErrClosed
	}
	if remote.Kind() != proactor.TCP && remote.Kind() != proactor.Unix {
		return 0, unix.EPROTONOSUPPORT
	}
	if o == nil {
		o = &proactor.SocketOptions{}
	}
	domain := Domain(remote)
	fd, err := newSocket(domain, unix.SOCK_STREAM)
	if err != nil {
		return 0, err
	}
	if err = applyNew(fd, domain, remote.Kind(), o); err == nil && o.FreeBind {
		err = setFreeBind(fd, domain)
	}
	if err == nil && o.Local.IsValid() {
		err = s.bindLocal(fd, domain, o.Local)
	}
	var e *Entry
	if err == nil {
		e, err = s.newStream(fd, domain, remote.Kind())
	}
	if err != nil {
		unix.Close(fd)
		return 0, err
	}
	return e.Handle(), nil
}

func (s *Sockets) bindLocal(fd, domain int, local proactor.Address) error {
	if Domain(local) != domain && (local.IsUnix() || local.IP().IsValid()) {
		return unix.EAFNOSUPPORT
	}
	if err := s.raw.Set(local, domain); err != nil {
		return err
	}
	if !local.IsUnix() {
		if err := setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, true); err != nil {
			return err
		}
		if local.Port() == 0 {
			if err := lateLocalPort(fd); err != nil {
				return err
			}
		}
	}
	return bind(fd, &s.raw)
}

// Names implements proactor.Sockets.
func (s *Sockets) Names(h proactor.Handle) (local, remote proactor.Address, err error) {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return local, remote, proactor.ErrClosed
	case e.Kind == Other:
		return local, remote, nil
	case e.listener != nil:
		return e.listener.address, remote, nil
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return local, remote, err
	}
	defer s.Return(h, fd)
	if err = getsockname(fd, &s.raw); err != nil {
		return local, remote, err
	}
	local = s.Address(&s.raw, e.Network)
	if e.Kind == Listener || getpeername(fd, &s.raw) != nil {
		return local, remote, nil // not connected: no peer
	}
	return local, s.Address(&s.raw, e.Network), nil
}

// Address reads a raw address, which is of the given network.
func (s *Sockets) Address(r *RawAddr, network proactor.Network) proactor.Address {
	return r.address(network, &s.zones)
}

// SetOptions implements proactor.Sockets.
func (s *Sockets) SetOptions(h proactor.Handle, o *proactor.SocketOptions) error {
	e := s.Lookup(h)
	if e == nil {
		return proactor.ErrClosed
	}
	if o == nil || e.Kind == Other {
		return nil
	}
	if e.listener != nil {
		e.listener.remember(o)
	}
	if err := e.segments(o); err != nil {
		return err
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return err
	}
	defer s.Return(h, fd)
	return applyLive(fd, int(e.Domain), e.Network, o)
}

// Shutdown implements proactor.Sockets.
func (s *Sockets) Shutdown(h proactor.Handle) error {
	if s.Lookup(h) == nil {
		return proactor.ErrClosed
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return err
	}
	defer s.Return(h, fd)
	return unix.Shutdown(fd, unix.SHUT_WR)
}

// Reset implements proactor.Sockets.
func (s *Sockets) Reset(h proactor.Handle) error {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return proactor.ErrClosed
	case e.Network != proactor.TCP:
		return nil
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return err
	}
	defer s.Return(h, fd)
	return resetOnClose(fd)
}

// CloseFD implements proactor.Sockets.
func (s *Sockets) CloseFD(h proactor.Handle) error {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return proactor.ErrClosed
	case e.Busy != 0:
		return proactor.ErrBusy
	}
	s.closeEntry(e)
	return nil
}

// closeEntry ends e's generation and closes its descriptor. What close(2)
// answers is of no use: the number is free in any case (close(2), NOTES).
func (s *Sockets) closeEntry(e *Entry) {
	h := e.Handle()
	l, file, left := e.listener, e.file, e.child
	s.Table.close(e)
	if l != nil {
		l.closing()
	}
	file.remove()
	if place, is := placed(h); is {
		s.Places.Remove(place)
	} else {
		unix.Close(int(h.Index()))
	}
	if left != nil {
		left.leave()
	}
}

// LookupHost implements proactor.Sockets. Any goroutine.
func (s *Sockets) LookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	return lookupHost(ctx, host)
}

//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"cmp"
	"errors"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// defaultBacklog is what Listen asks for; the kernel cuts it to its somaxconn.
const defaultBacklog = 4096

// A listener is what is known of a listening socket that Listen made.
type listener struct {
	network proactor.Network
	options proactor.SocketOptions // for what accept does not pass on
	address proactor.Address       // what it is bound to
	file    socketFile             // of a unix listener with a path
	shared  bool                   // it counts in sharedPorts
}

// remember keeps live changes for connections accepted later.
func (l *listener) remember(o *proactor.SocketOptions) {
	to := &l.options
	to.Delay = cmp.Or(o.Delay, to.Delay)
	to.KeepAlive = cmp.Or(o.KeepAlive, to.KeepAlive)
	to.KeepAliveInterval = cmp.Or(o.KeepAliveInterval, to.KeepAliveInterval)
	to.KeepAliveCount = cmp.Or(o.KeepAliveCount, to.KeepAliveCount)
	to.UserTimeout = cmp.Or(o.UserTimeout, to.UserTimeout)
	to.NotSentLowat = cmp.Or(o.NotSentLowat, to.NotSentLowat)
	to.SendBuffer = cmp.Or(o.SendBuffer, to.SendBuffer)
	to.RecvBuffer = cmp.Or(o.RecvBuffer, to.RecvBuffer)
}

// closing gives back what the listener holds beside its descriptor. It runs
// before the descriptor is closed: a successor must not find the file and lose
// it.
func (l *listener) closing() {
	l.file.remove()
	l.leave()
}

// leave takes the listener out of sharedPorts.
func (l *listener) leave() {
	if l.shared {
		l.shared = false
		sharedPorts.leave(l.address)
	}
}

// Listen implements proactor.Sockets.
//
// The wildcard is one IPv6 socket that takes IPv4 as well (IPV6_V6ONLY off),
// or 0.0.0.0 where there is no IPv6; its Address says which. [::] and 0.0.0.0
// are one family alone, unless o.V6Only is Off.
func (s *Sockets) Listen(local proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	if s.closed {
		return 0, proactor.Address{}, proactor.ErrClosed
	}
	if o == nil {
		o = &proactor.SocketOptions{}
	}
	var fd int
	var err error
	l := &listener{network: local.Kind(), options: *o}
	l.options.Control = nil // not for connections
	domain := Domain(local)
	switch {
	case local.Kind() == proactor.Unix:
		fd, err = s.listenUnix(local, o, l)
	case local.Kind() != proactor.TCP:
		return 0, proactor.Address{}, unix.EPROTONOSUPPORT
	case local.IP().IsValid():
		fd, err = s.listenTCP(local, domain, o, l)
	default:
		domain = unix.AF_INET6
		if fd, err = s.listenTCP(local, domain, o, l); noIPv6(err) && o.V6Only != proactor.On {
			domain = unix.AF_INET
			fd, err = s.listenTCP(proactor.IPAddress(proactor.TCP, ip4Any, local.Port()), domain, o, l)
		}
	}
	if err != nil {
		return 0, proactor.Address{}, err
	}
	s.table.begin()
	e := s.Open(fd, Listener, l.network)
	e.Domain, e.listener = uint8(domain), l
	return e.Handle(), l.address, nil
}

func noIPv6(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EADDRNOTAVAIL) ||
		errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOPROTOOPT) || errors.Is(err, unix.EINVAL)
}

// listenTCP returns a listening socket; l.address is what it is bound to.
func (s *Sockets) listenTCP(local proactor.Address, domain int, o *proactor.SocketOptions, l *listener) (int, error) {
	if o.ReusePort && local.Port() != 0 {
		return s.listenShared(local, domain, o, l)
	}
	fd, err := s.boundTCP(local, domain, o, nil)
	if err != nil {
		return -1, err
	}
	if o.ReusePort {
		// The kernel has just chosen a port that was free: share it from here.
		return s.shareNew(fd, local, domain, o, l)
	}
	return s.listening(fd, local, o, l)
}

// boundTCP returns a bound socket with all options set.
func (s *Sockets) boundTCP(local proactor.Address, domain int, o *proactor.SocketOptions, before func(int) error) (int, error) {
	fd, err := newSocket(domain, unix.SOCK_STREAM)
	if err != nil {
		return -1, err
	}
	if domain == unix.AF_INET6 {
		err = setBool(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, onlyIPv6(local, o))
	}
	if err == nil && o.FreeBind {
		err = setFreeBind(fd, domain)
	}
	if err == nil {
		// Old connections of the port in TIME_WAIT shall not keep it; a live
		// listener does nonetheless, seen at bind(2) or at listen(2).
		err = setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, true)
	}
	if err == nil && before != nil {
		err = before(fd)
	}
	if err == nil {
		err = s.bindNew(fd, domain, local, o)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// bindNew sets a new IP socket's options and binds it.
func (s *Sockets) bindNew(fd, domain int, local proactor.Address, o *proactor.SocketOptions) error {
	err := applyNew(fd, domain, local.Kind(), o)
	if err == nil {
		err = s.raw.Set(local, domain)
	}
	if err == nil {
		err = bind(fd, &s.raw)
	}
	return err
}

// listening lets the world in, and reads back the address. It closes fd if
// that fails.
func (s *Sockets) listening(fd int, local proactor.Address, o *proactor.SocketOptions, l *listener) (int, error) {
	backlog := o.Backlog
	if backlog <= 0 {
		backlog = defaultBacklog
	}
	err := unix.Listen(fd, backlog)
	if err == nil {
		err = getsockname(fd, &s.raw)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	l.address = s.Address(&s.raw, l.network)
	if local.Kind() == proactor.TCP && !local.IP().IsValid() {
		l.address = local.WithPort(l.address.Port()) // both families, not [::]
	}
	return fd, nil
}

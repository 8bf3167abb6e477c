//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Packet implements proactor.Sockets. As with Listen the wildcard is one IPv6
// socket that takes IPv4 as well, or 0.0.0.0 where there is no IPv6.
func (s *Sockets) Packet(local proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address, error) {
	if s.closed {
		return 0, proactor.Address{}, proactor.ErrClosed
	}
	if o == nil {
		o = &proactor.SocketOptions{}
	}
	var fd int
	var err error
	var file socketFile
	domain := Domain(local)
	switch {
	case local.Kind() == proactor.Unixgram:
		var lock directoryLock
		fd, lock, err = s.unixSocket(local, unix.SOCK_DGRAM, o, &file)
		lock.release()
	case local.Kind() != proactor.UDP:
		return 0, proactor.Address{}, unix.EPROTONOSUPPORT
	case local.IP().IsValid():
		fd, err = s.boundUDP(local, domain, o)
	default:
		domain = unix.AF_INET6
		if fd, err = s.boundUDP(local, domain, o); noIPv6(err) && o.V6Only != proactor.On {
			domain = unix.AF_INET
			fd, err = s.boundUDP(proactor.IPAddress(proactor.UDP, ip4Any, local.Port()), domain, o)
		}
	}
	if err == nil {
		err = getsockname(fd, &s.raw)
	}
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		file.remove()
		return 0, proactor.Address{}, err
	}
	bound := s.Address(&s.raw, local.Kind())
	if local.Kind() == proactor.UDP && !local.IP().IsValid() && domain == unix.AF_INET6 {
		bound = local.WithPort(bound.Port()) // both families, not [::]
	}
	e := s.Open(fd, Datagram, local.Kind())
	e.Domain, e.file = uint8(domain), file
	e.joins = local.Kind() == proactor.UDP && o.SegmentedReceive == proactor.On
	return e.Handle(), bound, nil
}

// boundUDP returns a bound datagram socket with all options set, -1 if that fails.
func (s *Sockets) boundUDP(local proactor.Address, domain int, o *proactor.SocketOptions) (int, error) {
	fd, err := newSocket(domain, unix.SOCK_DGRAM)
	if err != nil {
		return -1, err
	}
	if domain == unix.AF_INET6 {
		err = setBool(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, onlyIPv6(local, o))
	}
	membersOnly(fd, domain)
	if err == nil && o.ReusePort {
		// Both: some systems give each of such sockets a copy of a multicast with
		// the one, some with the other (Twisted's listenMultiple).
		if err = setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, true); err == nil {
			err = setBool(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, true)
		}
	}
	if err == nil && o.FreeBind {
		err = setFreeBind(fd, domain)
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

// onlyIPv6 says whether a socket for local shall take IPv6 alone.
func onlyIPv6(local proactor.Address, o *proactor.SocketOptions) bool {
	if o.V6Only == proactor.Unset {
		return local.IP().IsValid()
	}
	return o.V6Only == proactor.On
}

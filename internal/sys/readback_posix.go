//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// Options implements proactor.Sockets.
func (s *Sockets) Options(h proactor.Handle) (o proactor.SocketOptions, err error) {
	e := s.Lookup(h)
	if e == nil {
		return o, proactor.ErrClosed
	}
	if e.Network == proactor.NoNetwork {
		return o, nil
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return o, err
	}
	defer s.Return(h, fd)
	if o.SendBuffer, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF); err == nil {
		o.RecvBuffer, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	}
	if err != nil {
		return o, err
	}
	switch e.Network {
	case proactor.TCP:
		o.Delay = opposite(switched(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY))
		tcpOptions(fd, &o)
	case proactor.UDP:
		s.udpOptions(fd, int(e.Domain), &o)
	default:
		o.RecvCredentials = recvsCredentials(fd)
	}
	if e.Domain == unix.AF_INET6 {
		o.V6Only = switched(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	}
	return o, nil
}

// switched reads back an option that is on or off; Unset if there is none.
func switched(fd, level, option int) proactor.Switch {
	v, err := unix.GetsockoptInt(fd, level, option)
	switch {
	case err != nil:
		return proactor.Unset
	case v != 0:
		return proactor.On
	}
	return proactor.Off
}

func opposite(s proactor.Switch) proactor.Switch {
	switch s {
	case proactor.On:
		return proactor.Off
	case proactor.Off:
		return proactor.On
	}
	return s
}

// udpOptions reads back what only UDP has. Of a socket for both families it
// reads what counts for IPv6, to which the other was set as well.
func (s *Sockets) udpOptions(fd, domain int, o *proactor.SocketOptions) {
	n := &ip4Options
	if domain == unix.AF_INET6 {
		n = &ip6Options
	}
	o.Broadcast = switched(fd, unix.SOL_SOCKET, unix.SO_BROADCAST)
	if v, err := unix.GetsockoptInt(fd, n.level, n.ttl); err == nil {
		o.TTL = v
	}
	if v, err := getSmall(fd, n.level, n.multicastTTL); err == nil {
		o.MulticastTTL = v
		if v == 0 {
			o.MulticastTTL = -1
		}
	}
	if v, err := getSmall(fd, n.level, n.multicastLoop); err == nil {
		o.MulticastLoop = proactor.Off
		if v != 0 {
			o.MulticastLoop = proactor.On
		}
	}
	o.MulticastInterface = multicastInterface(fd, domain)
	o.RecvTTL = switched(fd, n.level, n.recvTTL)
	o.RecvLocal = switched(fd, n.level, n.recvLocal)
	if n.recvClass != 0 {
		o.RecvTrafficClass = switched(fd, n.level, n.recvClass)
	}
	o.SegmentedReceive = receivesSegments(fd)
}

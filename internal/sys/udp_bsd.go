//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"runtime"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

var ip4Options = familyOptions{
	level: unix.IPPROTO_IP, ttl: unix.IP_TTL, multicastTTL: unix.IP_MULTICAST_TTL, multicastLoop: unix.IP_MULTICAST_LOOP,
	recvTTL: unix.IP_RECVTTL, recvClass: systemOptions[runtime.GOOS].recvTOS, recvLocal: unix.IP_RECVDSTADDR,
}

// small reports whether an option is a byte: IPv4's multicast options are
// (ip(4)), IPv6's are not.
func small(level int) bool { return level == unix.IPPROTO_IP }

func setSmall(fd, level, option, value int) error {
	if small(level) {
		return unix.SetsockoptByte(fd, level, option, byte(min(value, 255)))
	}
	return unix.SetsockoptInt(fd, level, option, value)
}

func getSmall(fd, level, option int) (int, error) {
	v, err := unix.GetsockoptInt(fd, level, option)
	if small(level) {
		v &= 0xff // the kernel has written one byte
	}
	return v, err
}

// setInterface4 chooses the interface for multicasts by its address (ip(4)).
func setInterface4(fd int, name string) error {
	i, err := interfaceBy(name)
	if err != nil {
		return err
	}
	return unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, i.ip4)
}

func setSegmentedReceive(_ int, on bool) error {
	if on {
		return proactor.ErrUnsupported
	}
	return nil
}

func receivesSegments(int) proactor.Switch { return proactor.Unset }

func recvsCredentials(int) proactor.Switch { return proactor.Unset }

// membersOnly does nothing: it is so.
func membersOnly(int, int) {}

// member joins or leaves a group. Those of one source are not to be had on all
// of these systems.
func member(fd int, join bool, m *membership) error {
	if m.hasSource {
		return proactor.ErrUnsupported
	}
	if m.is4 {
		option := unix.IP_DROP_MEMBERSHIP
		if join {
			option = unix.IP_ADD_MEMBERSHIP
		}
		return unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, option, &unix.IPMreq{Multiaddr: m.group.in4.Addr, Interface: m.ip4})
	}
	option := unix.IPV6_LEAVE_GROUP
	if join {
		option = unix.IPV6_JOIN_GROUP
	}
	return unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, option, &unix.IPv6Mreq{Multiaddr: m.group.in6.Addr, Interface: uint32(m.index)})
}

// PeerCredentials implements proactor.Sockets: each of these systems has
// another way.
func (s *Sockets) PeerCredentials(h proactor.Handle) (proactor.Credentials, error) {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return proactor.Credentials{}, proactor.ErrClosed
	case e.Network != proactor.Unix && e.Network != proactor.Unixgram:
		return proactor.Credentials{}, unix.EOPNOTSUPP
	}
	return peerCredentials(int(h.Index()))
}

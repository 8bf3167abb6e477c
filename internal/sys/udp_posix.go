//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"net/netip"
	"strconv"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// familyOptions are the numbers that options of one address family have.
type familyOptions struct {
	level, ttl, multicastTTL, multicastLoop int
	recvTTL, recvClass, recvLocal           int // recvClass is 0 where there is none
}

// ip6Options are the same everywhere (RFC 3493, RFC 3542).
var ip6Options = familyOptions{
	level: unix.IPPROTO_IPV6, ttl: unix.IPV6_UNICAST_HOPS,
	multicastTTL: unix.IPV6_MULTICAST_HOPS, multicastLoop: unix.IPV6_MULTICAST_LOOP,
	recvTTL: unix.IPV6_RECVHOPLIMIT, recvClass: unix.IPV6_RECVTCLASS, recvLocal: unix.IPV6_RECVPKTINFO,
}

// applyUDP sets those options of o that are not zero. A socket for both
// families gets those of both: what fails for IPv4 there may be a socket that
// takes IPv6 only.
func applyUDP(fd, domain int, o *proactor.SocketOptions) error {
	if o.Broadcast != proactor.Unset {
		if err := setBool(fd, unix.SOL_SOCKET, unix.SO_BROADCAST, o.Broadcast == proactor.On); err != nil {
			return err
		}
	}
	if o.SegmentedReceive != proactor.Unset {
		if err := setSegmentedReceive(fd, o.SegmentedReceive == proactor.On); err != nil {
			return err
		}
	}
	if domain != unix.AF_INET6 {
		return applyFamily(fd, &ip4Options, o, setInterface4)
	}
	if err := applyFamily(fd, &ip6Options, o, setInterface6); err != nil {
		return err
	}
	if switched(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY) == proactor.Off {
		// Not every system has IPv4's options on such sockets.
		_ = applyFamily(fd, &ip4Options, o, setInterface4)
	}
	return nil
}

// applyFamily sets the options that each family has its own numbers for.
func applyFamily(fd int, n *familyOptions, o *proactor.SocketOptions, setInterface func(int, string) error) (err error) {
	if o.TTL > 0 {
		err = unix.SetsockoptInt(fd, n.level, n.ttl, o.TTL)
	}
	if err == nil && o.MulticastTTL != 0 {
		err = setSmall(fd, n.level, n.multicastTTL, max(0, o.MulticastTTL))
	}
	if err == nil && o.MulticastLoop != proactor.Unset {
		on := 0
		if o.MulticastLoop == proactor.On {
			on = 1
		}
		err = setSmall(fd, n.level, n.multicastLoop, on)
	}
	if err == nil && o.MulticastInterface != "" {
		err = setInterface(fd, o.MulticastInterface)
	}
	for _, sw := range [...]struct {
		to     proactor.Switch
		option int
	}{{o.RecvTrafficClass, n.recvClass}, {o.RecvTTL, n.recvTTL}, {o.RecvLocal, n.recvLocal}} {
		switch {
		case err != nil || sw.to == proactor.Unset:
		case sw.option == 0:
			err = proactor.ErrUnsupported
		default:
			err = setBool(fd, n.level, sw.option, sw.to == proactor.On)
		}
	}
	return err
}

func setInterface6(fd int, name string) error {
	i, err := interfaceBy(name)
	if err != nil {
		return err
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, i.index)
}

// multicastInterface reads the choice back: IPv4's as an address, which is all
// that the kernel tells, IPv6's as an index.
func multicastInterface(fd, domain int) string {
	if domain == unix.AF_INET6 {
		if i, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF); err == nil && i != 0 {
			return strconv.Itoa(i)
		}
		return ""
	}
	if a, err := unix.GetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF); err == nil && a != [4]byte{} {
		return netip.AddrFrom4(a).String()
	}
	return ""
}

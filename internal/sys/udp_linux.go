//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

var ip4Options = familyOptions{
	level: unix.IPPROTO_IP, ttl: unix.IP_TTL, multicastTTL: unix.IP_MULTICAST_TTL, multicastLoop: unix.IP_MULTICAST_LOOP,
	recvTTL: unix.IP_RECVTTL, recvClass: unix.IP_RECVTOS, recvLocal: unix.IP_PKTINFO,
}

// setSmall sets an option that is a byte on some systems.
func setSmall(fd, level, option, value int) error {
	return unix.SetsockoptInt(fd, level, option, value)
}

func getSmall(fd, level, option int) (int, error) { return unix.GetsockoptInt(fd, level, option) }

// setInterface4 chooses the interface for multicasts (ip(7), IP_MULTICAST_IF).
func setInterface4(fd int, name string) error {
	i, err := interfaceBy(name)
	if err != nil {
		return err
	}
	m := unix.IPMreqn{Ifindex: int32(i.index), Address: i.ip4} // the address becomes the source, and can be read back
	return unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &m)
}

func setSegmentedReceive(fd int, on bool) error {
	err := setBool(fd, unix.SOL_UDP, unix.UDP_GRO, on)
	if err == unix.ENOPROTOOPT {
		return proactor.ErrUnsupported // before Linux 5.0
	}
	return err
}

func receivesSegments(fd int) proactor.Switch { return switched(fd, unix.SOL_UDP, unix.UDP_GRO) }

func recvsCredentials(fd int) proactor.Switch { return switched(fd, unix.SOL_SOCKET, unix.SO_PASSCRED) }

// membersOnly has a socket get what is sent to the groups that it has joined
// itself, as elsewhere, and not what is sent to those of all others of this host
// (ip(7), IP_MULTICAST_ALL). IPv6 has that since Linux 4.20.
func membersOnly(fd, domain int) {
	_ = setBool(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, false)
	if domain == unix.AF_INET6 {
		_ = setBool(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, false)
	}
}

// groupSourceReq is struct group_source_req, of which struct group_req is the
// front (<linux/in.h>, RFC 3678).
type groupSourceReq struct {
	index  uint32
	_      uint32
	group  [128]byte // struct sockaddr_storage
	source [128]byte
}

const groupReqSize = 8 + 128

// member joins or leaves a group.
func member(fd int, join bool, m *membership) error {
	var r groupSourceReq
	r.index = uint32(m.index)
	copyRaw(&r.group, &m.group)
	option, size := unix.MCAST_LEAVE_GROUP, uintptr(groupReqSize)
	switch {
	case m.hasSource:
		copyRaw(&r.source, &m.source)
		size = unsafe.Sizeof(r)
		if option = unix.MCAST_LEAVE_SOURCE_GROUP; join {
			option = unix.MCAST_JOIN_SOURCE_GROUP
		}
	case join:
		option = unix.MCAST_JOIN_GROUP
	}
	level := unix.IPPROTO_IPV6
	if m.is4 {
		level = unix.IPPROTO_IP
	}
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&r)), size, 0)
	if e != 0 {
		return e
	}
	return nil
}

func copyRaw(to *[128]byte, from *RawAddr) {
	copy(to[:], unsafe.Slice((*byte)(unsafe.Pointer(&from.Any)), from.Len))
}

// PeerCredentials implements proactor.Sockets.
func (s *Sockets) PeerCredentials(h proactor.Handle) (proactor.Credentials, error) {
	e := s.Lookup(h)
	switch {
	case e == nil:
		return proactor.Credentials{}, proactor.ErrClosed
	case e.Network != proactor.Unix && e.Network != proactor.Unixgram:
		return proactor.Credentials{}, unix.EOPNOTSUPP
	}
	fd, err := s.Borrow(h)
	if err != nil {
		return proactor.Credentials{}, err
	}
	defer s.Return(h, fd)
	c, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return proactor.Credentials{}, err
	}
	if c.Pid == 0 {
		return proactor.Credentials{}, unix.ENOTCONN // nobody: uid and gid are -1
	}
	return proactor.Credentials{PID: int(c.Pid), UID: c.Uid, GID: c.Gid}, nil
}

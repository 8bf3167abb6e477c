//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package netconn

import (
	"net"
	"strconv"
	"syscall"

	"mobius/proactor"
)

// What flags of a read datagram say (recvmsg(2)).
const (
	truncated        = syscall.MSG_TRUNC
	controlTruncated = syscall.MSG_CTRUNC
)

// A sender6 sends on one socket, and keeps the memory of the addresses.
type sender6 struct {
	is6  bool // the socket's family
	in4  syscall.SockaddrInet4
	in6  syscall.SockaddrInet6
	unix syscall.SockaddrUnix
}

func (s *sender6) init(fd int) {
	sa, err := syscall.Getsockname(fd)
	_, s.is6 = sa.(*syscall.SockaddrInet6)
	s.is6 = s.is6 && err == nil
}

// send sends one datagram, without waiting.
func (s *sender6) send(fd int, p, oob []byte, to proactor.Address) error {
	sa, err := s.address(to)
	if err != nil {
		return err
	}
	for {
		switch {
		case len(oob) > 0 || sa == nil:
			_, err = syscall.SendmsgN(fd, p, oob, sa, 0)
		default:
			err = syscall.Sendto(fd, p, 0, sa)
		}
		if err != syscall.EINTR {
			return err
		}
	}
}

// sendBeside sends bytes with what goes beside the first of them, without waiting.
func sendBeside(fd int, p, oob []byte) (int, error) {
	for {
		if n, err := syscall.SendmsgN(fd, p, oob, nil, 0); err != syscall.EINTR {
			return n, err
		}
	}
}

// rights writes as many of files to oob as it has room for (SCM_RIGHTS, unix(7)), and
// returns how many bytes and descriptors those are.
func rights(oob []byte, files []int) (n, k int) {
	for k < len(files) && syscall.CmsgSpace(4*(k+1)) <= len(oob) {
		k++
	}
	if k > 0 {
		n = copy(oob, syscall.UnixRights(files[:k]...))
	}
	return n, k
}

// address returns to as the kernel has it, nil if it is not valid.
func (s *sender6) address(to proactor.Address) (syscall.Sockaddr, error) {
	switch {
	case !to.IsValid():
		return nil, nil
	case to.IsUnix():
		s.unix.Name = to.Path()
		return &s.unix, nil
	case s.is6:
		s.in6.Port, s.in6.Addr, s.in6.ZoneId = int(to.Port()), to.IP().As16(), zone(to.IP().Zone())
		return &s.in6, nil
	case to.IP().Is6():
		return nil, &net.AddrError{Err: "non-IPv4 address", Addr: to.IP().String()}
	}
	s.in4.Port, s.in4.Addr = int(to.Port()), to.IP().As4()
	return &s.in4, nil
}

// zone returns the number of a zone, 0 if there is none.
func zone(name string) uint32 {
	if name == "" {
		return 0
	}
	if n, err := strconv.ParseUint(name, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(name); err == nil {
		return uint32(i.Index)
	}
	return 0
}

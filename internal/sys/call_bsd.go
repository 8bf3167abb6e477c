//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// newSocket returns a socket, O_NONBLOCK and CLOEXEC. Not every system takes
// the flags in socket(2), so they are set after it, with forks held off.
func newSocket(domain, typ int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(domain, typ, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	return finishSocket(fd)
}

// finishSocket makes fd non-blocking and free of SIGPIPE, or closes it.
func finishSocket(fd int) (int, error) {
	err := unix.SetNonblock(fd, true)
	if err == nil {
		err = noSIGPIPE(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func bind(fd int, r *RawAddr) error { return unix.Bind(fd, r.addr) }

// Connect starts connecting fd to r: nil, EINPROGRESS, or the reason why not.
func Connect(fd int, r *RawAddr) error { return unix.Connect(fd, r.addr) }

// Accept takes one connection off listener fd, O_NONBLOCK and CLOEXEC, with its
// peer's address in from. EAGAIN means that none is waiting.
func Accept(fd int, from *RawAddr) (int, error) {
	syscall.ForkLock.RLock()
	n, addr, err := unix.Accept(fd)
	if err == nil {
		unix.CloseOnExec(n)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	from.addr = addr
	return finishSocket(n)
}

func getsockname(fd int, r *RawAddr) (err error) {
	r.addr, err = unix.Getsockname(fd)
	return err
}

func getpeername(fd int, r *RawAddr) (err error) {
	r.addr, err = unix.Getpeername(fd)
	return err
}

// socketDomain returns the address family of a socket, which its name tells.
func socketDomain(fd int) (int, error) {
	addr, err := unix.Getsockname(fd)
	switch addr.(type) {
	case *unix.SockaddrInet4:
		return unix.AF_INET, nil
	case *unix.SockaddrInet6:
		return unix.AF_INET6, nil
	case *unix.SockaddrUnix:
		return unix.AF_UNIX, nil
	}
	if err == nil {
		err = unix.EAFNOSUPPORT
	}
	return 0, err
}

// openReserve returns a descriptor that stands for nothing, to be given up in
// an emergency.
func openReserve() (int, error) {
	return unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

//go:build linux

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below are made directly because package unix's forms allocate an
// address each. None of them can wait: every descriptor is non-blocking.

// newSocket returns a plain socket (for TCP never MPTCP, which cannot be
// spliced or reset in the same way), O_NONBLOCK and CLOEXEC.
func newSocket(domain, typ int) (int, error) {
	return unix.Socket(domain, typ|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

func bind(fd int, r *RawAddr) error {
	return addressCall(unix.SYS_BIND, fd, r)
}

// Connect starts connecting fd to r: nil, EINPROGRESS, or the reason why not.
func Connect(fd int, r *RawAddr) error {
	return addressCall(unix.SYS_CONNECT, fd, r)
}

func addressCall(trap uintptr, fd int, r *RawAddr) error {
	_, _, e := unix.Syscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&r.Any)), uintptr(r.Len))
	if e != 0 {
		return e
	}
	return nil
}

// Accept takes one connection off listener fd, O_NONBLOCK and CLOEXEC, with its
// peer's address in from. EAGAIN means that none is waiting.
func Accept(fd int, from *RawAddr) (int, error) {
	from.Reset()
	n, _, e := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&from.Any)),
		uintptr(unsafe.Pointer(&from.Len)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, e
	}
	return int(n), nil
}

func getsockname(fd int, r *RawAddr) error {
	return nameCall(unix.SYS_GETSOCKNAME, fd, r)
}

func getpeername(fd int, r *RawAddr) error {
	return nameCall(unix.SYS_GETPEERNAME, fd, r)
}

func nameCall(trap uintptr, fd int, r *RawAddr) error {
	r.Reset()
	_, _, e := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&r.Any)), uintptr(unsafe.Pointer(&r.Len)))
	if e != 0 {
		return e
	}
	return nil
}

// socketDomain returns the address family of a socket.
func socketDomain(fd int) (int, error) {
	return unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
}

// openReserve returns a descriptor that stands for nothing, to be given up in
// an emergency.
func openReserve() (int, error) {
	return unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

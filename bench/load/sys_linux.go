//go:build linux

package load

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls below are raw: the scheduler is not told, since there is
// nothing else to run in this process. Each waits for sweepEvery at most.

// wait waits for events for as long as d.
func (e *engine) wait(d time.Duration) (int, error) {
	ts := unix.NsecToTimespec(int64(d))
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(e.poll), uintptr(unsafe.Pointer(&e.events[0])),
		uintptr(len(e.events)), uintptr(unsafe.Pointer(&ts)), 0, 0)
	if errno == unix.ENOSYS { // before Linux 5.11
		n, _, errno = unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(e.poll), uintptr(unsafe.Pointer(&e.events[0])),
			uintptr(len(e.events)), uintptr(d/time.Millisecond), 0, 0)
	}
	switch errno {
	case 0:
		return int(n), nil
	case unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("load: epoll_pwait2: %w", os.NewSyscallError("epoll_pwait2", errno))
}

// receive reads into p without waiting; -1 means that there is nothing.
func receive(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
			unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return -1, nil
		default:
			return 0, os.NewSyscallError("recvfrom", errno)
		}
	}
}

// transmit writes p without waiting, and returns what was taken of it; -1
// means that there is no room.
func transmit(fd int, p []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
		case unix.EAGAIN:
			return -1, nil
		default:
			return 0, os.NewSyscallError("sendto", errno)
		}
	}
}

// sockaddr returns a Spec's address as the kernel wants it.
func sockaddr(spec *Spec) (family int, sa unix.Sockaddr, err error) {
	if spec.Network == "unix" {
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: spec.Address}, nil
	}
	ap, err := netip.ParseAddrPort(spec.Address)
	if err != nil {
		return 0, nil, err
	}
	if ap.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}, nil
}

// dial returns a connected socket that never waits. The connecting itself does.
func dial(spec *Spec, kind int) (int, error) {
	family, sa, err := sockaddr(spec)
	if err != nil {
		return -1, err
	}
	fd, err := unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	limit := unix.NsecToTimeval(int64(spec.patience()))
	if err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit); err == nil { // of connect(2), too
		err = connect(fd, sa, time.Now().Add(spec.patience()))
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if err == nil && (spec.Network == "tcp" || spec.Network == "tls") {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// connect is connect(2), which a signal interrupts where a time limit is set
// (signal(7)): asked again, Linux goes on waiting for the same connection.
func connect(fd int, sa unix.Sockaddr, until time.Time) error {
	for {
		switch err := unix.Connect(fd, sa); {
		case err == unix.EINPROGRESS || err == unix.EAGAIN: // what a time limit ends with, of TCP and of unix
			return errors.New("it was not accepted in time")
		case err != unix.EINTR || time.Now().After(until):
			return os.NewSyscallError("connect", err)
		}
	}
}

// watch has epoll tell of fd, to client i, whenever something changes.
func (e *engine) watch(fd, i int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(i)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(e.poll, unix.EPOLL_CTL_ADD, fd, &ev))
}

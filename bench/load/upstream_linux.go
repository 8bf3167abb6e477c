//go:build linux

package load

import (
	"net/netip"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Upstream echoes on a TCP address until the process ends: what a proxy that
// is measured stands in front of. It is one thread on epoll, as cheap as it
// gets, so that it is not what is measured.
func Upstream(address string) error {
	runtime.LockOSThread()
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	l, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(l)
	_ = unix.SetsockoptInt(l, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err := unix.Bind(l, &unix.SockaddrInet4{Addr: ap.Addr().As4(), Port: int(ap.Port())}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(l, 4096); err != nil {
		return os.NewSyscallError("listen", err)
	}
	u := &upstream{listener: l, late: map[int32][]byte{}}
	if u.engine.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	defer unix.Close(u.engine.poll)
	u.engine.buf = make([]byte, chunk)
	if err := u.engine.watch(l, l); err != nil {
		return err
	}
	for {
		n, err := u.engine.wait(10 * sweepEvery)
		if err != nil {
			return err
		}
		for i := range n {
			if ev := u.engine.events[i]; int(ev.Fd) == l {
				u.behind = true
			} else {
				u.echo(ev.Fd)
			}
		}
		if u.behind {
			u.accept()
		}
	}
}

// An upstream keeps, beside the epoll, what a connection's peer does not take
// yet. It reads no more from that connection until it is taken.
type upstream struct {
	engine   engine
	listener int
	late     map[int32][]byte
	behind   bool // there may be connections to accept
}

// accept takes all connections that there are. Only EAGAIN says that there are
// none; after any other error, such as EMFILE, it is asked again in the next
// turn, since the listener's edge has been and gone.
func (u *upstream) accept() {
	for {
		fd, _, err := unix.Accept4(u.listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			u.behind = err != unix.EAGAIN
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if u.engine.watch(fd, fd) != nil {
			unix.Close(fd)
		}
	}
}

func (u *upstream) echo(fd int32) {
	if late := u.late[fd]; len(late) > 0 {
		n, err := transmit(int(fd), late)
		if err != nil {
			u.close(fd)
			return
		}
		if late = late[max(n, 0):]; len(late) > 0 {
			u.late[fd] = late
			return
		}
		delete(u.late, fd)
	}
	for {
		n, err := receive(int(fd), u.engine.buf)
		if n < 0 {
			return
		}
		if err != nil || n == 0 {
			u.close(fd)
			return
		}
		took, err := transmit(int(fd), u.engine.buf[:n])
		if err != nil {
			u.close(fd)
			return
		}
		if took < n {
			u.late[fd] = append([]byte(nil), u.engine.buf[max(took, 0):n]...)
			return
		}
		if n < len(u.engine.buf) {
			return
		}
	}
}

func (u *upstream) close(fd int32) {
	delete(u.late, fd)
	unix.Close(int(fd))
}

//go:build linux

package load

import (
	"os"

	"golang.org/x/sys/unix"
)

// sources is from how many addresses a caller connects, 127.0.0.1 and up, so
// that it does not run out of ports while closed connections are remembered.
const sources = 64

// A caller connects, asks once, closes, and begins again.
type caller struct {
	id, fd int
	calls  int
	began  int64 // when this call did
	sent   bool
	got    int
}

func newCaller(_ *engine, i int) (*caller, error) { return &caller{id: i, fd: -1}, nil }

func (c *caller) waits() bool { return c.fd >= 0 }

// next connects.
func (c *caller) next(e *engine) error {
	c.began, c.sent, c.got = e.now(), false, 0
	family, sa, err := sockaddr(e.spec)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	c.fd = fd
	if to, ok := sa.(*unix.SockaddrInet4); ok && to.Addr[0] == 127 {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		c.calls++
		from := &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + (c.id+c.calls)%sources)}}
		if err := unix.Bind(fd, from); err != nil {
			return os.NewSyscallError("bind", err)
		}
	}
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if err := unix.Connect(fd, sa); err != nil && err != unix.EINPROGRESS {
		return errClosed(c.id, os.NewSyscallError("connect", err))
	}
	return e.watch(fd, c.id)
}

func (c *caller) ready(e *engine, events uint32) error {
	pos := e.pattern.start(c.id)
	if !c.sent && events&unix.EPOLLOUT != 0 {
		if errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
			return errClosed(c.id, os.NewSyscallError("connect", unix.Errno(errno)))
		}
		c.sent = true
		if n, err := transmit(c.fd, e.pattern.at(pos, uint64(e.spec.Size))); err != nil || n != e.spec.Size {
			return errClosed(c.id, err)
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	n, err := receive(c.fd, e.buf)
	if n < 0 {
		return nil
	}
	if err != nil || n == 0 {
		return errClosed(c.id, err)
	}
	e.res.Bad += e.pattern.wrong(e.buf[:n], pos+uint64(c.got))
	c.got += n
	if e.measuring {
		e.res.Bytes += uint64(n)
	}
	if c.got < e.spec.Size {
		return nil
	}
	e.res.Bad += uint64(c.got - e.spec.Size)
	unix.Close(c.fd)
	c.fd = -1
	e.answered(e.now(), c.began, 1)
	if e.stopping {
		return nil
	}
	return c.next(e)
}

func (c *caller) end(e *engine) {
	if c.fd < 0 {
		return
	}
	if c.sent {
		e.res.Bad += uint64(e.spec.Size - c.got)
	}
	unix.Close(c.fd)
	c.fd = -1
}

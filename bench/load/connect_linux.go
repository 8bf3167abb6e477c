//go:build linux

package load

import (
	"errors"
	"iter"
	"os"

	"golang.org/x/sys/unix"
)

// sources is from how many addresses a caller connects, 127.0.0.1 and up, so
// that it does not run out of ports while closed connections are remembered.
const sources = 64

// A caller connects, asks once, closes, and begins again. Over TLS it shakes hands
// before, and says goodbye.
type caller struct {
	queue
	fd     int
	calls  int
	sent   bool // it is connected, and asks, or shakes hands to ask
	got    int
	secure *secure    // over TLS, or nil
	hands  *handshake // while they are shaken
}

// A handshake is a coroutine, since crypto/tls waits where it reads.
type handshake struct {
	goOn func() (struct{}, bool) // to be called when there may be something to read
	stop func()
	err  error // how it has ended
}

func newCaller(_ *engine, i int) (*caller, error) { return &caller{queue: newQueue(i, 1), fd: -1}, nil }

func (c *caller) next(e *engine) error {
	c.due++
	return c.call(e)
}

// call connects, if it is to.
func (c *caller) call(e *engine) error {
	if c.room(e) <= 0 {
		return nil
	}
	c.start(e, 1)
	c.sent, c.got = false, 0
	if err := c.connect(e); err != nil {
		return errClosed(c.id, err)
	}
	return e.watch(c.fd, c.id)
}

// connect begins to.
func (c *caller) connect(e *engine) error {
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
		return os.NewSyscallError("connect", err)
	}
	return nil
}

func (c *caller) ready(e *engine, events uint32) error {
	if !c.sent && events&unix.EPOLLOUT != 0 {
		if errno, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err == nil && errno != 0 {
			return errClosed(c.id, os.NewSyscallError("connect", unix.Errno(errno)))
		}
		c.sent = true
		if e.spec.Mode == Handshake {
			c.shake()
		} else if err := c.ask(e); err != nil {
			return err
		}
	}
	if c.hands != nil {
		if shaken, err := c.shaken(); !shaken || err != nil {
			return err
		}
		if err := c.ask(e); err != nil {
			return err
		}
	}
	for c.fd >= 0 {
		n, err := c.receive(e.buf)
		if n < 0 {
			return nil
		}
		if err != nil || n == 0 {
			return errClosed(c.id, err)
		}
		if err := c.take(e, e.buf[:n]); err != nil || c.secure == nil {
			return err // what comes later is told of
		}
	}
	return nil
}

// ask asks, once.
func (c *caller) ask(e *engine) (err error) {
	p, n := e.pattern.at(e.pattern.start(c.id), uint64(e.spec.Size)), 0
	if c.secure != nil {
		n, err = c.secure.transmit(p)
	} else {
		n, err = transmit(c.fd, p)
	}
	if err != nil || n != len(p) {
		return errClosed(c.id, err)
	}
	return nil
}

func (c *caller) receive(p []byte) (int, error) {
	if c.secure != nil {
		return c.secure.receive(p)
	}
	return receive(c.fd, p)
}

// shake prepares the handshake.
func (c *caller) shake() {
	h := &handshake{}
	h.goOn, h.stop = iter.Pull(func(yield func(struct{}) bool) {
		c.secure = newSecure(c.fd, func() error {
			if !yield(struct{}{}) {
				return errors.New("the load has ended")
			}
			return nil
		})
		h.err = errors.Join(c.secure.conn.Handshake(), c.secure.push())
	})
	c.hands = h
}

// shaken goes on with it, and reports whether it is over.
func (c *caller) shaken() (bool, error) {
	h := c.hands
	if _, more := h.goOn(); more {
		return false, nil
	}
	c.hands, c.secure.wait = nil, nil
	if h.err != nil {
		return true, errClosed(c.id, h.err)
	}
	return true, nil
}

// take reads some of the answer, and hangs up after the last of it.
func (c *caller) take(e *engine, p []byte) error {
	e.res.Bad += e.pattern.wrong(p, e.pattern.start(c.id)+uint64(c.got))
	c.got += len(p)
	if e.measuring {
		e.res.Bytes += uint64(len(p))
	}
	if c.got < e.spec.Size {
		return nil
	}
	e.res.Bad += uint64(c.got - e.spec.Size)
	c.hangUp()
	c.finish(e, e.now(), c.started)
	return c.call(e)
}

// hangUp closes. Over TLS it says goodbye, and does not wait.
func (c *caller) hangUp() {
	if c.hands != nil {
		c.hands.stop()
	}
	if c.secure != nil {
		c.secure.goodbye()
	}
	unix.Close(c.fd)
	c.fd, c.secure, c.hands = -1, nil, nil
}

func (c *caller) end(e *engine) {
	if c.fd >= 0 {
		if c.sent {
			e.res.Bad += uint64(e.spec.Size - c.got)
		}
		c.hangUp()
	}
	c.queue.end(e, c.finished)
}

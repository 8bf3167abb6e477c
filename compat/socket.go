package compat

import (
	"errors"
	"fmt"
	"net"
	"time"

	"mobius/proactor"
	"mobius/transport"
)

// numberer is a backend whose handles have numbers.
type numberer interface {
	Number(h proactor.Handle) (int, error)
}

// numberOf returns the number of a handle's descriptor, which stays the
// backend's.
func (el *eventLoop) numberOf(h proactor.Handle) (int, error) {
	n, ok := el.l.Sockets().(numberer)
	if !ok {
		return -1, ErrUnsupportedOp
	}
	return n.Number(h)
}

func (el *eventLoop) duplicate(h proactor.Handle) (int, error) {
	fd, err := el.numberOf(h)
	if err != nil {
		return -1, err
	}
	return el.l.Sockets().Duplicate(fd)
}

func (el *eventLoop) number(h proactor.Handle) int {
	fd, err := el.numberOf(h)
	if err != nil {
		return -1
	}
	return fd
}

// set applies what can be changed.
func (el *eventLoop) set(h proactor.Handle, o *proactor.SocketOptions) error {
	err := el.l.Sockets().SetOptions(h, o)
	if errors.Is(err, proactor.ErrClosed) {
		return net.ErrClosed
	}
	return err
}

func setBuffer(what string, size int) error {
	if size <= 0 {
		return fmt.Errorf("compat: %s(%d), want 1 or more", what, size)
	}
	return nil
}

// Fd returns the descriptor's number; see [Socket].
func (c *conn) Fd() int { return c.el.number(c.t.Handle()) }

// Dup returns a duplicate of the descriptor; see [Socket].
func (c *conn) Dup() (int, error) { return c.el.duplicate(c.t.Handle()) }

// SetReadBuffer sets SO_RCVBUF.
func (c *conn) SetReadBuffer(size int) error {
	if err := setBuffer("SetReadBuffer", size); err != nil {
		return err
	}
	return c.el.set(c.t.Handle(), &proactor.SocketOptions{RecvBuffer: size})
}

// SetWriteBuffer sets SO_SNDBUF.
func (c *conn) SetWriteBuffer(size int) error {
	if err := setBuffer("SetWriteBuffer", size); err != nil {
		return err
	}
	return c.el.set(c.t.Handle(), &proactor.SocketOptions{SendBuffer: size})
}

// SetLinger makes Close an abort, or not; see [Socket].
func (c *conn) SetLinger(secs int) error {
	c.rst = secs == 0
	return nil
}

// SetNoDelay sets TCP_NODELAY.
func (c *conn) SetNoDelay(noDelay bool) error {
	t, ok := transport.As[transport.TCPTransport](c.t)
	if !ok {
		return ErrUnsupportedOp
	}
	return t.SetNoDelay(noDelay)
}

// SetKeepAlivePeriod sets TCP_KEEPIDLE and TCP_KEEPINTVL.
func (c *conn) SetKeepAlivePeriod(d time.Duration) error {
	return c.SetKeepAlive(true, d, d, 0)
}

// SetKeepAlive sets keep-alive; a cnt of 0 leaves the kernel's.
func (c *conn) SetKeepAlive(enabled bool, idle, intvl time.Duration, cnt int) error {
	switch {
	case c.t.LocalAddr().Kind() != proactor.TCP:
		return ErrUnsupportedOp
	case !enabled:
		return c.el.set(c.t.Handle(), &proactor.SocketOptions{KeepAlive: -1})
	case idle <= 0 || intvl <= 0 || cnt < 0:
		return fmt.Errorf("compat: SetKeepAlive(%v, %v, %d), want more than 0", idle, intvl, cnt)
	}
	return c.el.set(c.t.Handle(), &proactor.SocketOptions{KeepAlive: idle, KeepAliveInterval: intvl, KeepAliveCount: cnt})
}

// Fd returns the socket's number.
func (c *packet) Fd() int { return c.el.number(c.s.port.Handle()) }

// Dup returns a duplicate of the socket.
func (c *packet) Dup() (int, error) { return c.el.duplicate(c.s.port.Handle()) }

// SetReadBuffer sets SO_RCVBUF of the socket.
func (c *packet) SetReadBuffer(size int) error {
	if err := setBuffer("SetReadBuffer", size); err != nil {
		return err
	}
	return c.el.set(c.s.port.Handle(), &proactor.SocketOptions{RecvBuffer: size})
}

// SetWriteBuffer sets SO_SNDBUF of the socket.
func (c *packet) SetWriteBuffer(size int) error {
	if err := setBuffer("SetWriteBuffer", size); err != nil {
		return err
	}
	return c.el.set(c.s.port.Handle(), &proactor.SocketOptions{SendBuffer: size})
}

// SetLinger is TCP's.
func (c *packet) SetLinger(int) error { return ErrUnsupportedOp }

// SetNoDelay is TCP's.
func (c *packet) SetNoDelay(bool) error { return ErrUnsupportedOp }

// SetKeepAlivePeriod is TCP's.
func (c *packet) SetKeepAlivePeriod(time.Duration) error { return ErrUnsupportedOp }

// SetKeepAlive is TCP's.
func (c *packet) SetKeepAlive(bool, time.Duration, time.Duration, int) error { return ErrUnsupportedOp }

// Dup returns a duplicate of the listening socket, the caller's (dup(2)). It is
// an error if there are several.
func (g Engine) Dup() (int, error) {
	if err := g.Validate(); err != nil {
		return -1, err
	}
	if len(g.eng.listeners) > 1 {
		return -1, ErrUnsupportedOp
	}
	return g.eng.dup(g.eng.listeners[0])
}

// DupListener is [Engine.Dup] for the listener that was given as network and
// address.
func (g Engine) DupListener(network, address string) (int, error) {
	if err := g.Validate(); err != nil {
		return -1, err
	}
	for _, n := range g.eng.listeners {
		if n.network == network && n.address == address {
			return g.eng.dup(n)
		}
	}
	return -1, ErrInvalidNetworkAddress
}

// dup returns a duplicate of a listener's socket.
func (e *engine) dup(n *listener) (int, error) {
	el := e.loops[0]
	fd, failed := -1, error(nil)
	err := e.on(el.l, func() {
		if n.port != nil {
			fd, failed = el.duplicate(n.port.Handle())
			return
		}
		fd, failed = el.duplicate(n.packets[0].port.Handle())
	})
	return fd, errors.Join(err, failed)
}

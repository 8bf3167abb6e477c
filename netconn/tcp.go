package netconn

import (
	"net"
	"time"

	"mobius/proactor"
)

// A TCPConn is a TCP connection, with the methods of a net.TCPConn.
type TCPConn struct{ Conn }

// SetNoDelay sets whether small writes are sent at once (TCP_NODELAY, tcp(7)),
// the default.
func (c *TCPConn) SetNoDelay(on bool) error {
	return c.sockopt(func(fd int) error { return setNoDelay(fd, on) })
}

// SetKeepAlive turns probes of an idle peer on or off (SO_KEEPALIVE, socket(7)).
func (c *TCPConn) SetKeepAlive(on bool) error {
	return c.sockopt(func(fd int) error { return setKeepAlive(fd, on) })
}

// SetKeepAlivePeriod sets the time before the first probe and between probes,
// rounded up to seconds (TCP_KEEPIDLE, TCP_KEEPINTVL, tcp(7)).
func (c *TCPConn) SetKeepAlivePeriod(d time.Duration) error {
	return c.option(&proactor.SocketOptions{KeepAlive: d})
}

// SetKeepAliveConfig sets everything about probes, as net.TCPConn's does: 0 is a
// default, 15 s and 9 probes, and negative values leave what is.
func (c *TCPConn) SetKeepAliveConfig(config net.KeepAliveConfig) error {
	if !config.Enable {
		return c.SetKeepAlive(false)
	}
	o := proactor.SocketOptions{}
	keepAlive(&o, 0, config)
	return c.option(&o)
}

// SetLinger sets what Close does with bytes that the kernel has taken and not
// sent: sec < 0, the default, has them sent, 0 discards them and resets the
// connection, more has them discarded after that time (SO_LINGER, socket(7)).
func (c *TCPConn) SetLinger(sec int) error {
	return c.sockopt(func(fd int) error { return setLinger(fd, sec) })
}

// MultipathTCP reports that multipath TCP is not used.
func (c *TCPConn) MultipathTCP() (bool, error) { return false, c.closing() }

// option sets options that are not spelt alike on all systems: the backend
// knows how.
func (c *Conn) option(o *proactor.SocketOptions) error {
	return c.sockopt(func(int) (err error) {
		done := make(chan struct{})
		if c.l.Insist(func() {
			err = c.l.Sockets().SetOptions(c.h, o)
			close(done)
		}) != nil {
			return errStopped
		}
		<-done
		return inCall("setsockopt", err)
	})
}

// sockopt calls f with the descriptor's number, and makes what it returns
// package net's error.
func (c *Conn) sockopt(f func(fd int) error) error {
	if err := c.with(f); err != nil {
		return c.opError("set", err)
	}
	return nil
}

// SetReadBuffer sets how many bytes the kernel keeps that the loop has not
// received (SO_RCVBUF, socket(7)).
func (c *Conn) SetReadBuffer(bytes int) error {
	if err := c.with(func(fd int) error { return setReceiveBuffer(fd, bytes) }); err != nil {
		return c.setError(err)
	}
	return nil
}

// SetWriteBuffer sets how many bytes the kernel takes that it has not sent
// (SO_SNDBUF, socket(7)).
func (c *Conn) SetWriteBuffer(bytes int) error {
	if err := c.with(func(fd int) error { return setSendBuffer(fd, bytes) }); err != nil {
		return c.setError(err)
	}
	return nil
}

// CloseRead ends the receiving side: what has arrived may still be read, then
// comes io.EOF (shutdown(2), SHUT_RD).
func (c *Conn) CloseRead() error {
	err := c.with(shutdownRead)
	if err != nil {
		return c.opError("close", err)
	}
	r := &c.r
	r.mu.Lock()
	r.shut = true
	r.w.wake()
	r.mu.Unlock()
	return nil
}

// CloseWrite ends the sending side: the peer reads what was written, then
// io.EOF (shutdown(2), SHUT_WR). A Write that is under way fails.
func (c *Conn) CloseWrite() error {
	if err := c.with(shutdownWrite); err != nil {
		return c.opError("close", err)
	}
	w := &c.w
	w.mu.Lock()
	w.shut = true
	w.mu.Unlock()
	return nil
}

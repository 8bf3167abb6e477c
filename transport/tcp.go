package transport

import (
	"net"
	"time"

	"mobius/proactor"
)

// A TCPTransport can change the options of its TCP connection: Twisted's
// ITCPTransport. It is an ability of transports. Its methods return
// net.ErrClosed after the loss, and proactor.ErrUnsupported if the connection
// is not one of TCP. Loop goroutine.
type TCPTransport interface {
	// NoDelay reports whether small writes are sent at once, without waiting
	// for others to join them (TCP_NODELAY, tcp(7)); the default.
	NoDelay() (bool, error)

	// SetNoDelay sets it.
	SetNoDelay(on bool) error

	// KeepAlive returns the idle time before the first probe of the peer, a
	// negative one if there is none (SO_KEEPALIVE, socket(7); TCP_KEEPIDLE,
	// tcp(7)).
	KeepAlive() (time.Duration, error)

	// SetKeepAlive sets it, and the time between probes to the same; 0 is the
	// default, 15 s, negative means none. It is rounded up to seconds.
	SetKeepAlive(idle time.Duration) error
}

// defaultKeepAlive is that of proactor.SocketOptions.
const defaultKeepAlive = 15 * time.Second

// NoDelay implements [TCPTransport].
func (c *Conn) NoDelay() (bool, error) {
	o, err := c.options()
	return err == nil && o.Delay != proactor.On, err
}

// SetNoDelay implements [TCPTransport].
func (c *Conn) SetNoDelay(on bool) error {
	o := proactor.SocketOptions{Delay: proactor.On}
	if on {
		o.Delay = proactor.Off
	}
	return c.setOptions(&o)
}

// KeepAlive implements [TCPTransport].
func (c *Conn) KeepAlive() (time.Duration, error) {
	o, err := c.options()
	return o.KeepAlive, err
}

// SetKeepAlive implements [TCPTransport].
func (c *Conn) SetKeepAlive(idle time.Duration) error {
	if idle == 0 {
		idle = defaultKeepAlive
	}
	return c.setOptions(&proactor.SocketOptions{KeepAlive: idle})
}

// tunable returns why TCP's options cannot be had, nil if they can.
func (c *Conn) tunable() error {
	c.check()
	switch {
	case c.state == dead:
		return net.ErrClosed
	case c.local.Kind() != proactor.TCP && c.remote.Kind() != proactor.TCP:
		return proactor.ErrUnsupported
	}
	return nil
}

func (c *Conn) options() (proactor.SocketOptions, error) {
	if err := c.tunable(); err != nil {
		return proactor.SocketOptions{}, err
	}
	return c.l.Sockets().Options(c.recv.Handle)
}

func (c *Conn) setOptions(o *proactor.SocketOptions) error {
	if err := c.tunable(); err != nil {
		return err
	}
	return c.l.Sockets().SetOptions(c.recv.Handle, o)
}

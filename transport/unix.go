package transport

import (
	"net"

	"mobius/proactor"
)

// A UNIXTransport knows who its peer is: it is an ability of transports. Loop
// goroutine.
type UNIXTransport interface {
	// PeerCredentials says who made the other end, as the kernel has it: for a
	// server who has connected, for a client who listens (SO_PEERCRED, unix(7)).
	// It returns net.ErrClosed after the loss, and proactor.ErrUnsupported if
	// the connection is not one of unix sockets.
	PeerCredentials() (proactor.Credentials, error)
}

// PeerCredentials implements [UNIXTransport].
func (c *Conn) PeerCredentials() (proactor.Credentials, error) {
	c.check()
	switch {
	case c.state == dead:
		return proactor.Credentials{}, net.ErrClosed
	case !c.isUnix():
		return proactor.Credentials{}, proactor.ErrUnsupported
	}
	return c.l.Sockets().PeerCredentials(c.recv.Handle)
}

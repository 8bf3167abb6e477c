package endpoint

import (
	"context"
	"net"
	"strconv"

	"mobius"
	"mobius/loop"
)

// A TCPClient connects to a host by TCP: to a name, whose addresses are tried
// by Happy Eyeballs (RFC 8305), or to a numeric address. (Twisted's
// HostnameEndpoint, TCP4ClientEndpoint and TCP6ClientEndpoint.)
type TCPClient struct {
	Reactor Reactor
	Host    string // a name, which is looked up by each Connect, or an IP address, with %zone if need be
	Port    uint16
	Options mobius.ConnectOptions
}

// Connect implements [Client].
func (c TCPClient) Connect(ctx context.Context, f mobius.Factory) *mobius.Future[mobius.Protocol] {
	to, err := mobius.ParseDestination("tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))))
	if err != nil {
		return failed[mobius.Protocol](c.Reactor, &mobius.ConnError{Op: "connect", Kind: mobius.Failed, Err: err})
	}
	return dial(ctx, c.Reactor, to, f, c.Options)
}

// String returns the description.
func (c TCPClient) String() string {
	d := Description{Type: "tcp"}.With("host", c.Host).With("port", strconv.Itoa(int(c.Port)))
	return withConnect(d, &c.Options).String()
}

// A UNIXClient connects to a unix stream socket. (Twisted's
// UNIXClientEndpoint.)
type UNIXClient struct {
	Reactor Reactor
	Path    string // @name is an abstract one
	Options mobius.ConnectOptions
}

// Connect implements [Client].
func (c UNIXClient) Connect(ctx context.Context, f mobius.Factory) *mobius.Future[mobius.Protocol] {
	to, err := mobius.ParseDestination("unix", c.Path)
	if err != nil {
		return failed[mobius.Protocol](c.Reactor, &mobius.ConnError{Op: "connect", Kind: mobius.Failed, Err: err})
	}
	return dial(ctx, c.Reactor, to, f, c.Options)
}

// String returns the description.
func (c UNIXClient) String() string {
	return withConnect(Description{Type: "unix"}.With("path", c.Path), &c.Options).String()
}

// A TCPServer listens by TCP. (Twisted's TCP4ServerEndpoint and
// TCP6ServerEndpoint.)
type TCPServer struct {
	Reactor Reactor
	Addr    mobius.Address // without an IP address: all of this host's, IPv4 and IPv6
	Options mobius.ListenOptions
}

// Listen implements [Server].
func (s TCPServer) Listen(f mobius.Factory) *mobius.Future[Port] {
	return listen(s.Reactor, s.Addr, f, s.Options)
}

// String returns the description.
func (s TCPServer) String() string {
	d := Description{Type: "tcp"}.With("port", strconv.Itoa(int(s.Addr.Port())))
	if ip := s.Addr.IP(); ip.IsValid() {
		d = d.With("interface", ip.String())
	}
	return withListen(d, &s.Options).String()
}

// A UNIXServer listens at a unix stream socket. (Twisted's UNIXServerEndpoint.)
type UNIXServer struct {
	Reactor Reactor
	Path    string // @name is an abstract one
	Options mobius.ListenOptions
}

// Listen implements [Server].
func (s UNIXServer) Listen(f mobius.Factory) *mobius.Future[Port] {
	addr, err := mobius.ParseAddress("unix", s.Path)
	if err != nil {
		return failed[Port](s.Reactor, err)
	}
	return listen(s.Reactor, addr, f, s.Options)
}

// String returns the description.
func (s UNIXServer) String() string {
	d := Description{Type: "unix"}.With("address", s.Path)
	if o := s.Options.Socket; o != nil && o.Mode != 0 {
		d = d.With("mode", strconv.FormatUint(uint64(o.Mode), 8))
	}
	return withListen(d, &s.Options).String()
}

func listen(r Reactor, addr mobius.Address, f mobius.Factory, o mobius.ListenOptions) *mobius.Future[Port] {
	p, err := r.Listen(addr, f, o)
	if err != nil {
		return failed[Port](r, err)
	}
	return loop.Completed[Port](p.Loop(), p, nil)
}

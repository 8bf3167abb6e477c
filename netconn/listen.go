package netconn

import (
	"context"
	"net"
	"syscall"
	"time"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
)

// A ListenConfig listens, on a reactor. Its fields mean what those of a
// net.ListenConfig do.
type ListenConfig struct {
	Reactor *mobius.Reactor // runs, or will; needed
	Options Options         // limits of the listener and its connections
	Backlog int             // connections that the kernel keeps; default 4096, cut by its somaxconn

	// Control, if not nil, is called on the socket before it is bound, perhaps on
	// a loop's goroutine: it must not block.
	Control func(network, address string, c syscall.RawConn) error

	// KeepAlive is the time between probes of the connections, negative for none,
	// unless KeepAliveConfig is enabled; 0: 15 s.
	KeepAlive       time.Duration
	KeepAliveConfig net.KeepAliveConfig
}

// Listen listens at an address, of the network "tcp", "tcp4", "tcp6" or
// "unix". Of a name's addresses it takes the first that is IPv4, as package net
// does. The error is a *net.OpError.
func Listen(r *mobius.Reactor, network, address string) (net.Listener, error) {
	return (&ListenConfig{Reactor: r}).Listen(context.Background(), network, address)
}

// Listen is [Listen]; ctx bounds looking the address up. The listener is a
// *Listener.
func (lc *ListenConfig) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	p, at, err := lc.resolve(ctx, network, address)
	if err == nil && p.kind != proactor.TCP && p.kind != proactor.Unix {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	n := &Listener{reactor: lc.Reactor, o: lc.Options.resolved(), over: make(chan struct{})}
	n.network, n.serveFunc, n.errand = p.kind.String(), n.serve, new(errand)
	n.init()
	o := lc.options(p, at)
	o.Backlog = lc.Backlog
	n.l = lc.Reactor.Loops()[0]
	if e := lc.Reactor.On(n.l, func() { err = n.start(at, o) }); e != nil {
		err = e
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: at.net, Err: inCall("bind", err)}
	}
	return n, nil
}

// resolve returns where to listen.
func (lc *ListenConfig) resolve(ctx context.Context, network, address string) (parsed, target, error) {
	p, all, err := resolve(ctx, nil, network, address, true)
	if err != nil {
		return p, target{}, err
	}
	for _, t := range all {
		if t.addr.IP().Is4() {
			return p, t, nil
		}
	}
	return p, all[0], nil
}

// options returns the socket's.
func (lc *ListenConfig) options(p parsed, at target) *proactor.SocketOptions {
	o := &proactor.SocketOptions{}
	keepAlive(o, lc.KeepAlive, lc.KeepAliveConfig)
	if lc.Control != nil {
		name := p.kind.String()
		switch {
		case p.isUnix():
		case p.family == '4' || at.addr.IP().Is4():
			name += "4"
		default:
			name += "6"
		}
		o.Control = &control{func(fd int) error { return lc.Control(name, at.net.String(), bare(fd)) }}
	}
	return o
}

// ListenPacket returns a datagram socket that is bound to an address, of the
// network "udp", "udp4", "udp6" or "unixgram": a *UDPConn or a *UnixgramConn. The
// error is a *net.OpError.
func ListenPacket(r *mobius.Reactor, network, address string) (net.PacketConn, error) {
	return (&ListenConfig{Reactor: r}).ListenPacket(context.Background(), network, address)
}

// ListenPacket is [ListenPacket]; ctx bounds looking the address up.
func (lc *ListenConfig) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	p, at, err := lc.resolve(ctx, network, address)
	if err == nil && !isPacket(at.addr) {
		err = net.UnknownNetworkError(network)
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	l := lc.Reactor.NextLoop()
	o := lc.options(p, at)
	var c net.PacketConn
	if e := lc.Reactor.On(l, func() { c, err = listenPacket(l, at, o, lc.Options.resolved()) }); e != nil {
		err = e
	}
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: at.net, Err: inCall("bind", err)}
	}
	return c, nil
}

func listenPacket(l *loop.Loop, at target, so *proactor.SocketOptions, o *Options) (net.PacketConn, error) {
	if l.Ending() {
		return nil, errStopped
	}
	h, local, err := l.Sockets().Packet(at.addr, so)
	if err != nil {
		return nil, err
	}
	return newPacket(l, h, local.NetAddr(), nil, o).(net.PacketConn), nil
}

// start makes the socket and begins to accept. Loop goroutine.
func (n *Listener) start(at target, o *proactor.SocketOptions) error {
	if n.l.Ending() {
		return loop.ErrStopped
	}
	h, local, err := n.l.Sockets().Listen(at.addr, o)
	if err != nil {
		return err
	}
	n.b, n.h, n.local = n.l.Backend(), h, local.NetAddr()
	if local.IsUnix() || local.IP().IsValid() && !local.IP().IsUnspecified() {
		n.host = n.local
	}
	e := (*listenerEvents)(n)
	n.k = wakingOf(n.l)
	n.op = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: e, Addr: &n.peer}
	n.member.Owner = e
	n.l.Join(&n.member)
	n.l.Submit(&n.op)
	return nil
}

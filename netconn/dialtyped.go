package netconn

import (
	"context"
	"net"
	"net/netip"

	"mobius/proactor"
)

// DialTCP is DialContext for a TCP address, as net.Dialer's: laddr takes the
// place of LocalAddr, and is nothing if it is the zero AddrPort. The network is
// "tcp", "tcp4" or "tcp6". No raddr is an error; package net dials this host.
func (d *Dialer) DialTCP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*TCPConn, error) {
	var local net.Addr
	if laddr.IsValid() {
		local = net.TCPAddrFromAddrPort(laddr)
	}
	c, err := d.dialKind(ctx, proactor.TCP, network, local, raddr.IsValid(), raddr.String())
	t, _ := c.(*TCPConn)
	return t, err
}

// DialUDP is DialTCP for UDP: the network is "udp", "udp4" or "udp6".
func (d *Dialer) DialUDP(ctx context.Context, network string, laddr, raddr netip.AddrPort) (*UDPConn, error) {
	var local net.Addr
	if laddr.IsValid() {
		local = net.UDPAddrFromAddrPort(laddr)
	}
	c, err := d.dialKind(ctx, proactor.UDP, network, local, raddr.IsValid(), raddr.String())
	u, _ := c.(*UDPConn)
	return u, err
}

// DialUnix is DialTCP for a unix stream, of the network "unix"; laddr may be nil.
// Datagrams, "unixgram", are another type here: DialContext.
func (d *Dialer) DialUnix(ctx context.Context, network string, laddr, raddr *net.UnixAddr) (*UnixConn, error) {
	var local net.Addr
	if laddr != nil {
		local = laddr
	}
	to := ""
	if raddr != nil {
		to = raddr.Name
	}
	c, err := d.dialKind(ctx, proactor.Unix, network, local, raddr != nil, to)
	u, _ := c.(*UnixConn)
	return u, err
}

// dialKind dials a network of one kind. known tells that there is an address.
func (d *Dialer) dialKind(
	ctx context.Context, kind proactor.Network, network string, local net.Addr, known bool, to string,
) (net.Conn, error) {
	var wrong error
	if p, err := parseNetwork(network); err != nil || p.kind != kind {
		wrong = net.UnknownNetworkError(network)
	} else if !known {
		wrong = &net.AddrError{Err: "missing address"}
	}
	if wrong != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Source: local, Err: wrong}
	}
	here := *d
	here.LocalAddr = local
	return here.DialContext(ctx, network, to)
}

package netconn

import (
	"net"
	"net/netip"

	"mobius/proactor"
)

// A UDPConn is a UDP socket, with the methods of a net.UDPConn.
type UDPConn struct{ PacketConn }

// ReadFromUDP is ReadFrom.
func (c *UDPConn) ReadFromUDP(p []byte) (int, *net.UDPAddr, error) {
	n, from, err := c.ReadFrom(p)
	a, _ := from.(*net.UDPAddr)
	return n, a, err
}

// ReadFromUDPAddrPort is ReadFrom without an allocation.
func (c *UDPConn) ReadFromUDPAddrPort(p []byte) (int, netip.AddrPort, error) {
	n, _, _, from, err := c.next(p, nil)
	if err != nil {
		return 0, netip.AddrPort{}, c.opError("read", c.remote, err)
	}
	return n, addrPort(from), nil
}

// ReadMsgUDP reads one datagram with its ancillary data, in the kernel's form,
// and recvmsg(2)'s flags.
func (c *UDPConn) ReadMsgUDP(p, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, from, err := c.next(p, oob)
	if err != nil {
		return 0, 0, 0, nil, c.opError("read", c.remote, err)
	}
	addr, _ = sender(from).(*net.UDPAddr)
	return n, oobn, flags, addr, nil
}

// ReadMsgUDPAddrPort is ReadMsgUDP without an allocation.
func (c *UDPConn) ReadMsgUDPAddrPort(p, oob []byte) (n, oobn, flags int, addr netip.AddrPort, err error) {
	n, oobn, flags, from, err := c.next(p, oob)
	if err != nil {
		return 0, 0, 0, addr, c.opError("read", c.remote, err)
	}
	return n, oobn, flags, addrPort(from), nil
}

// WriteToUDP is WriteTo.
func (c *UDPConn) WriteToUDP(p []byte, addr *net.UDPAddr) (int, error) {
	return c.WriteTo(p, addr)
}

// WriteToUDPAddrPort is WriteTo without an allocation.
func (c *UDPConn) WriteToUDPAddrPort(p []byte, addr netip.AddrPort) (int, error) {
	n, err := c.writeTo(p, nil, proactor.IPAddress(proactor.UDP, addr.Addr(), addr.Port()))
	if err != nil {
		return n, c.opError("write", net.UDPAddrFromAddrPort(addr), err)
	}
	return n, nil
}

// WriteMsgUDP sends one datagram with ancillary data; addr must be nil on a
// connection that was dialed.
func (c *UDPConn) WriteMsgUDP(p, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	var to netip.AddrPort
	if addr != nil {
		to = addr.AddrPort()
	}
	return c.WriteMsgUDPAddrPort(p, oob, to)
}

// WriteMsgUDPAddrPort is WriteMsgUDP.
func (c *UDPConn) WriteMsgUDPAddrPort(p, oob []byte, addr netip.AddrPort) (n, oobn int, err error) {
	to := proactor.Address{}
	if addr.IsValid() {
		to = proactor.IPAddress(proactor.UDP, addr.Addr(), addr.Port())
	}
	if c.remote != nil && !addr.IsValid() {
		n, err = c.sendTo(p, oob, to)
	} else {
		n, err = c.writeTo(p, oob, to)
	}
	if err != nil {
		return 0, 0, c.opError("write", c.remote, err)
	}
	return n, len(oob), nil
}

// A UnixgramConn is a unix datagram socket.
type UnixgramConn struct{ PacketConn }

// ReadMsgUnix reads one datagram with its ancillary data, descriptors among it,
// which are the caller's then.
func (c *UnixgramConn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	n, oobn, flags, from, err := c.next(p, oob)
	if err != nil {
		return 0, 0, 0, nil, c.opError("read", c.remote, err)
	}
	addr, _ = sender(from).(*net.UnixAddr)
	return n, oobn, flags, addr, nil
}

// WriteMsgUnix sends one datagram with ancillary data; addr must be nil on a
// connection that was dialed.
func (c *UnixgramConn) WriteMsgUnix(p, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	if addr == nil && c.remote != nil {
		n, err = c.sendTo(p, oob, proactor.Address{})
	} else {
		n, err = c.writeTo(p, oob, proactor.FromNetAddr(addr))
	}
	if err != nil {
		return 0, 0, c.opError("write", c.remote, err)
	}
	return n, len(oob), nil
}

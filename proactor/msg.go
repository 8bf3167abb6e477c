package proactor

import "net/netip"

// A Msg is what travels beside the bytes of a datagram, or of a unix stream.
// The owner keeps it unchanged while the op that names it is active.
//
// What is common has fields, the same on every system. Control is for the
// rest, in the kernel's own form.
type Msg struct {
	// Control is ancillary data in the kernel's cmsg(3) form. SendTo and Send:
	// what to send, beside what the fields say. RecvFrom and Recv: all that
	// came, lent like the bytes.
	Control []byte

	// Truncated is a result of RecvFrom: the datagram, or its control data,
	// was longer than the buffer. What did not fit is lost (recvmsg(2)).
	// Recv on a unix stream: control data did not fit.
	Truncated bool

	// SegmentSize cuts a SendTo's bytes into datagrams of this many bytes, the
	// last one shorter (UDP_SEGMENT, udp(7)). What the kernel, the route or the
	// device does not take so, as more than 64 of them, or more than fits a path's
	// MTU, is sent one by one. As a result of RecvFrom it says that the bytes are several datagrams of this size
	// (UDP_GRO), which come only with SocketOptions.SegmentedReceive. 0 means one
	// datagram.
	SegmentSize int

	// Files are descriptors that travel with the bytes (SCM_RIGHTS, unix(7)), at
	// most 253; a stream carries them with its first byte, so there must be one
	// (EINVAL), and only unix sockets do (EOPNOTSUPP).
	// Send and SendTo: duplicated when the op is submitted, so the owner may
	// close its own at once. Recv and RecvFrom: CLOEXEC, the owner's from
	// Complete on; those that are never delivered to an owner the backend closes.
	Files []int

	// Info is what the fields of the packet say. Recv and RecvFrom: what was asked
	// for by SocketOptions, and came. SendTo: what to set for this datagram only.
	Info Info
}

// Info is what the kernel tells of one datagram, or is told, beside its bytes;
// of a unix stream's bytes it tells the credentials.
type Info struct {
	Has Fields // which of the fields below are set

	TrafficClass uint8       // the TOS octet, or the IPv6 traffic class: DSCP above, [ECN] in the two low bits
	TTL          uint8       // time to live, or the IPv6 hop limit; 1 to 255
	Local        netip.Addr  // the address of this host that it came to, or is to come from (IP_PKTINFO)
	Interface    int         // with Local: index of the interface that it came in by, or is to go out by; 0: unknown, any
	Credentials  Credentials // who sent it, as the kernel has checked (SCM_CREDENTIALS, unix(7))
}

// Fields say which fields of an [Info] are set.
type Fields uint8

// The fields of an Info. HasLocal stands for Local and Interface.
const (
	HasTrafficClass Fields = 1 << iota
	HasTTL
	HasLocal
	HasCredentials
)

// An ECN is an explicit congestion notification (RFC 3168, section 5).
type ECN uint8

// The code points.
const (
	NotECT ECN = iota // the transport does not take part
	ECT1              // it does
	ECT0              // it does
	CE                // a router is congested
)

// ECN returns the congestion bits of the traffic class.
func (i *Info) ECN() ECN { return ECN(i.TrafficClass & 3) }

// SetECN sets the congestion bits of the traffic class, and marks it as set.
func (i *Info) SetECN(e ECN) {
	i.TrafficClass = i.TrafficClass&^3 | uint8(e&3)
	i.Has |= HasTrafficClass
}

// Credentials say who is at the other end of a unix socket.
type Credentials struct {
	PID int // 0 where the system does not tell (some BSDs)
	UID uint32
	GID uint32
}

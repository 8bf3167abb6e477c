package proactor

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// A Network is the kind of an [Address].
type Network uint8

// The networks.
const (
	NoNetwork Network = iota
	TCP
	UDP
	Unix     // unix stream sockets
	Unixgram // unix datagram sockets
)

var networkNames = [...]string{"", "tcp", "udp", "unix", "unixgram"}

// String returns the network's name as package net spells it.
func (n Network) String() string { return networkNames[n] }

// An Address is where a socket is: an IP address with zone and port, or the
// path or abstract name of a unix socket, or nothing (an unnamed unix socket).
// It is a value, comparable with ==, a key for maps, and a net.Addr. IPv4
// addresses are never in IPv6 form, so that equal peers compare equal.
type Address struct {
	ip      netip.Addr
	path    string // unix; an abstract name begins with a zero byte
	port    uint16
	network Network
}

// IPAddress returns the address of a TCP or UDP socket. An invalid ip means
// the wildcard: every address of this host, IPv6 and IPv4.
func IPAddress(network Network, ip netip.Addr, port uint16) Address {
	return Address{ip: ip.Unmap(), port: port, network: network}
}

// UnixAddress returns the address of a unix stream socket. A path that begins
// with "@" or a zero byte is an abstract name (unix(7)); an empty one is the
// unnamed address.
func UnixAddress(path string) Address { return unixAddress(Unix, path) }

// UnixgramAddress is UnixAddress for datagram sockets.
func UnixgramAddress(path string) Address { return unixAddress(Unixgram, path) }

func unixAddress(network Network, path string) Address {
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:]
	}
	return Address{path: path, network: network}
}

// ParseAddress returns the address written as text: for "tcp" and "udp"
// HOST:PORT with a numeric host (empty means the wildcard; IPv6 in brackets,
// with %zone if link-local) and a numeric port; for "unix" and "unixgram" a
// path, or @name for an abstract one. It looks nothing up.
func ParseAddress(network, text string) (Address, error) {
	switch network {
	case "unix":
		return UnixAddress(text), nil
	case "unixgram":
		return UnixgramAddress(text), nil
	case "tcp", "udp":
	default:
		return Address{}, fmt.Errorf("address %q: network is %q, want tcp, udp, unix or unixgram", text, network)
	}
	n := TCP
	if network == "udp" {
		n = UDP
	}
	host, portText, err := net.SplitHostPort(text)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: want HOST:PORT: %w", text, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: port is %q, want a number from 0 to 65535", text, portText)
	}
	if host == "" {
		return IPAddress(n, netip.Addr{}, uint16(port)), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return Address{}, fmt.Errorf("address %q: host is %q, want a numeric IP address", text, host)
	}
	return IPAddress(n, ip, uint16(port)), nil
}

// FromNetAddr returns a as an Address; an invalid one if a is of no kind known here.
func FromNetAddr(a net.Addr) Address {
	switch a := a.(type) {
	case Address:
		return a
	case *net.TCPAddr:
		p := a.AddrPort()
		return IPAddress(TCP, p.Addr(), p.Port())
	case *net.UDPAddr:
		p := a.AddrPort()
		return IPAddress(UDP, p.Addr(), p.Port())
	case *net.UnixAddr:
		name := a.Name
		if name == "@" { // package net's spelling of the unnamed address
			name = ""
		}
		if a.Net == "unixgram" {
			return UnixgramAddress(name)
		}
		return UnixAddress(name)
	}
	return Address{}
}

// NetAddr returns a as package net has it: a *net.TCPAddr, *net.UDPAddr or
// *net.UnixAddr with its own memory, nil if a is invalid. [FromNetAddr] makes a of
// it again, except that the wildcard of both families is "::" there, and an
// abstract address without a name, like an unnamed one, "@".
func (a Address) NetAddr() net.Addr {
	ip := net.IPv6unspecified
	if a.ip.IsValid() {
		ip = net.IP(a.ip.AsSlice())
	}
	switch a.network {
	case TCP:
		return &net.TCPAddr{IP: ip, Port: int(a.port), Zone: a.ip.Zone()}
	case UDP:
		return &net.UDPAddr{IP: ip, Port: int(a.port), Zone: a.ip.Zone()}
	case Unix, Unixgram:
		name := a.Path()
		if name == "" || name[0] == 0 {
			name = "@" + strings.TrimPrefix(name, "\x00")
		}
		return &net.UnixAddr{Name: name, Net: a.Network()}
	}
	return nil
}

// IsValid reports whether a is an address at all: the zero value is not.
func (a Address) IsValid() bool { return a.network != NoNetwork }

// Kind returns the network as a value.
func (a Address) Kind() Network { return a.network }

// IP returns the IP address, invalid for the wildcard and for unix sockets.
func (a Address) IP() netip.Addr { return a.ip }

// Port returns the port, 0 for unix sockets.
func (a Address) Port() uint16 { return a.port }

// WithPort returns a with another port.
func (a Address) WithPort(port uint16) Address {
	a.port = port
	return a
}

// Path returns a unix socket's path; an abstract name begins with a zero byte;
// an unnamed socket's is empty.
func (a Address) Path() string { return a.path }

// IsUnix reports whether a is a unix socket's address.
func (a Address) IsUnix() bool { return a.network == Unix || a.network == Unixgram }

// IsAbstract reports whether a is an abstract unix name, which has no file.
func (a Address) IsAbstract() bool { return len(a.path) > 0 && a.path[0] == 0 }

// Network returns the network's name; with String it makes a a net.Addr.
func (a Address) Network() string { return a.network.String() }

// String returns a in the form that ParseAddress reads.
func (a Address) String() string {
	switch {
	case !a.IsValid():
		return ""
	case a.IsAbstract():
		return "@" + a.path[1:]
	case a.IsUnix():
		return a.path
	case !a.ip.IsValid():
		return ":" + strconv.Itoa(int(a.port))
	}
	return netip.AddrPortFrom(a.ip, a.port).String()
}

package connector

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"mobius/proactor"
)

// A Destination is where a Connector goes: an address, or a host's name and a
// port. It is comparable with ==.
type Destination struct {
	address proactor.Address
	host    string
	port    uint16
}

// To returns the destination that is an address.
func To(a proactor.Address) Destination { return Destination{address: a} }

// ParseDestination returns the destination written as text. For "tcp" that is
// HOST:PORT, with a name, which is looked up at each attempt, or a numeric
// address, and a numeric port; for "unix" a path, or @name for an abstract
// one. It looks nothing up.
func ParseDestination(network, text string) (Destination, error) {
	if network != "tcp" {
		a, err := proactor.ParseAddress(network, text)
		return To(a), err
	}
	host, portText, err := net.SplitHostPort(text)
	if err != nil {
		return Destination{}, fmt.Errorf("destination %q: want HOST:PORT: %w", text, err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return Destination{}, fmt.Errorf("destination %q: port is %q, want a number from 0 to 65535", text, portText)
	}
	if host == "" {
		return Destination{}, fmt.Errorf("destination %q: no host", text)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		return To(proactor.IPAddress(proactor.TCP, ip, uint16(port))), nil
	}
	return Destination{host: host, port: uint16(port)}, nil
}

// Address returns the address; it is invalid if the destination is a name.
func (d Destination) Address() proactor.Address { return d.address }

// Host returns the name to look up and the port, "" and 0 if the destination
// is an address.
func (d Destination) Host() (name string, port uint16) { return d.host, d.port }

// String returns the destination in the form that ParseDestination reads.
func (d Destination) String() string {
	if d.host != "" {
		return net.JoinHostPort(d.host, strconv.Itoa(int(d.port)))
	}
	return d.address.String()
}

package sys

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"strconv"

	"mobius/proactor"
)

func ip4Address(network proactor.Network, ip [4]byte, port uint16) proactor.Address {
	return proactor.IPAddress(network, netip.AddrFrom4(ip), port)
}

func ip6Address(network proactor.Network, ip [16]byte, port uint16, zone string) proactor.Address {
	a := netip.AddrFrom16(ip).Unmap()
	if zone != "" {
		a = a.WithZone(zone)
	}
	return proactor.IPAddress(network, a, port)
}

func unixAddress(network proactor.Network, path string) proactor.Address {
	if network == proactor.Unixgram {
		return proactor.UnixgramAddress(path)
	}
	return proactor.UnixAddress(path)
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// maxZones bounds the names that a zones remembers.
const maxZones = 64

// zones remembers interface names by index: asking the kernel for one costs a
// dump of all interfaces, and every link-local peer has one. It belongs to one
// goroutine.
type zones struct{ names map[uint32]string }

// name returns the zone name of an interface, or its number in digits if it
// has none.
func (z *zones) name(index uint32) string {
	if index == 0 {
		return ""
	}
	if name, ok := z.names[index]; ok {
		return name
	}
	ifi, err := net.InterfaceByIndex(int(index))
	if err != nil {
		return strconv.FormatUint(uint64(index), 10)
	}
	if z.names == nil || len(z.names) >= maxZones {
		z.names = make(map[uint32]string)
	}
	z.names[index] = ifi.Name
	return ifi.Name
}

// zoneID returns the interface index of a zone, which is an interface's name
// or its index in digits (RFC 4007, section 11).
func zoneID(zone string) (uint32, error) {
	if zone == "" {
		return 0, nil
	}
	if id, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(id), nil
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0, err
	}
	return uint32(ifi.Index), nil
}

// lookupHost returns the addresses of a host name, IPv4 ones in IPv4 form. A
// numeric host is its own address.
func lookupHost(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range ips {
		ips[i] = ips[i].Unmap()
	}
	return ips, err
}

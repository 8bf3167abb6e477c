package sys

import (
	"net"
	"net/netip"
	"strconv"
)

// An iface is a network interface as options name one.
type iface struct {
	index int
	ip4   [4]byte // one of its addresses; for systems that know interfaces by these
}

// interfaceBy finds an interface by its name, by its index in digits, or by
// one of its IP addresses. "" is none: the routing table's choice.
func interfaceBy(text string) (iface, error) {
	if text == "" {
		return iface{}, nil
	}
	ip, err := netip.ParseAddr(text)
	if err != nil {
		return interfaceByName(text)
	}
	all, err := net.Interfaces()
	if err != nil {
		return iface{}, err
	}
	for i := range all {
		for _, a := range addresses(&all[i]) {
			if a == ip.Unmap().WithZone("") {
				found := iface{index: all[i].Index, ip4: firstIP4(&all[i])}
				if a.Is4() {
					found.ip4 = a.As4()
				}
				return found, nil
			}
		}
	}
	return iface{}, &net.OpError{Op: "interface", Net: "ip", Err: &net.AddrError{Err: "no interface has this address", Addr: text}}
}

func interfaceByName(text string) (iface, error) {
	if index, err := strconv.Atoi(text); err == nil {
		ifi, err := net.InterfaceByIndex(index)
		if err != nil {
			return iface{}, err
		}
		return iface{index: index, ip4: firstIP4(ifi)}, nil
	}
	ifi, err := net.InterfaceByName(text)
	if err != nil {
		return iface{}, err
	}
	return iface{index: ifi.Index, ip4: firstIP4(ifi)}, nil
}

// firstIP4 returns an interface's first IPv4 address, 0.0.0.0 if it has none.
func firstIP4(ifi *net.Interface) (ip4 [4]byte) {
	for _, a := range addresses(ifi) {
		if a.Is4() {
			return a.As4()
		}
	}
	return ip4
}

func addresses(ifi *net.Interface) (out []netip.Addr) {
	nets, err := ifi.Addrs()
	if err != nil {
		return nil
	}
	for _, n := range nets {
		if p, ok := n.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(p.IP); ok {
				out = append(out, a.Unmap())
			}
		}
	}
	return out
}

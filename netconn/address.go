package netconn

import (
	"context"
	"net"
	"net/netip"

	"mobius/proactor"
)

// A target is where something listens or goes to: one address, in both forms.
type target struct {
	addr proactor.Address
	net  net.Addr // as package net would have it
}

// parsed splits what a network's name says.
type parsed struct {
	kind   proactor.Network
	family byte // '4', '6', or 0 for both
}

func parseNetwork(network string) (parsed, error) {
	p := parsed{}
	base := network
	if n := len(network); n > 0 && (network[n-1] == '4' || network[n-1] == '6') {
		base, p.family = network[:n-1], network[n-1]
	}
	switch base {
	case "tcp":
		p.kind = proactor.TCP
	case "udp":
		p.kind = proactor.UDP
	case "unix":
		p.kind = proactor.Unix
	case "unixgram":
		p.kind = proactor.Unixgram
	}
	if p.kind == proactor.NoNetwork || p.family != 0 && p.isUnix() {
		return p, net.UnknownNetworkError(network)
	}
	return p, nil
}

func (p parsed) isUnix() bool { return p.kind == proactor.Unix || p.kind == proactor.Unixgram }

// fits reports whether an IP address is of the network's family.
func (p parsed) fits(ip netip.Addr) bool {
	return p.family == 0 || (p.family == '4') == ip.Unmap().Is4()
}

// resolve returns all addresses that text, of a network, stands for; passive is
// for those that listen.
func resolve(ctx context.Context, r *net.Resolver, network, text string, passive bool) (parsed, []target, error) {
	p, err := parseNetwork(network)
	if err != nil {
		return p, nil, err
	}
	if p.isUnix() {
		a := proactor.UnixAddress(text)
		if p.kind == proactor.Unixgram {
			a = proactor.UnixgramAddress(text)
		}
		return p, []target{{a, &net.UnixAddr{Name: text, Net: network}}}, nil
	}
	if r == nil {
		r = net.DefaultResolver
	}
	host, service := "", ""
	if text != "" || !passive {
		if host, service, err = net.SplitHostPort(text); err != nil {
			return p, nil, err
		}
	}
	port, err := r.LookupPort(ctx, network, service)
	if err != nil {
		return p, nil, err
	}
	ips, err := p.lookup(ctx, r, host, passive)
	if err != nil {
		return p, nil, err
	}
	var out []target
	for _, ip := range ips {
		named := proactor.IPAddress(p.kind, ip, uint16(port))
		at := named
		if passive && ip.Unmap().IsUnspecified() {
			at = proactor.IPAddress(p.kind, p.wildcard(), uint16(port))
		}
		out = append(out, target{at, named.NetAddr()})
	}
	if len(out) == 0 {
		return p, nil, &net.AddrError{Err: "no suitable address found", Addr: host}
	}
	return p, out, nil
}

// wildcard returns where a network listens whose address is unspecified, whether
// that was written for IPv4 or for IPv6: at both, or at its own family.
func (p parsed) wildcard() netip.Addr {
	switch p.family {
	case '4':
		return netip.IPv4Unspecified()
	case '6':
		return netip.IPv6Unspecified()
	}
	return netip.Addr{}
}

// lookup returns the addresses of a host that are of the network's family. No
// host is the wildcard, or this host for whoever connects to it.
func (p parsed) lookup(ctx context.Context, r *net.Resolver, host string, passive bool) ([]netip.Addr, error) {
	switch {
	case host == "" && !passive && p.family == '6':
		return []netip.Addr{netip.IPv6Loopback()}, nil
	case host == "" && !passive:
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}, nil
	case host == "" && p.family == '4':
		return []netip.Addr{netip.IPv4Unspecified()}, nil
	case host == "" && p.family == '6':
		return []netip.Addr{netip.IPv6Unspecified()}, nil
	case host == "":
		return []netip.Addr{{}}, nil
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if !p.fits(ip) && (!passive || p.family != '4' || !ip.IsUnspecified()) {
			return nil, &net.AddrError{Err: "no suitable address found", Addr: host}
		}
		return []netip.Addr{ip}, nil
	}
	all, err := r.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	var out []netip.Addr
	for _, ip := range all {
		if p.fits(ip) {
			out = append(out, ip.Unmap())
		}
	}
	return out, nil
}

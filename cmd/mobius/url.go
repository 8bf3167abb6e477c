package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"mobius/proactor"
)

// lookupTimeout bounds the look-up of a host name at the start.
const lookupTimeout = 5 * time.Second

// unixPathMax is the longest path of a unix socket: sun_path of unix(7) less
// its closing zero byte.
const unixPathMax = 107

// An endpoint is what a URL names.
type endpoint struct {
	text   string // the URL as it was given
	scheme string // tcp, tls, udp or unix
	host   string // as it was given; of unix none
	addr   proactor.Address
}

// packets reports whether datagrams go there, and not a stream.
func (e *endpoint) packets() bool { return e.scheme == "udp" }

// apart splits endpoints into those of streams and those of datagrams.
func apart(all []endpoint) (streams, packets []endpoint) {
	for _, e := range all {
		if e.packets() {
			packets = append(packets, e)
		} else {
			streams = append(streams, e)
		}
	}
	return streams, packets
}

// schemes says what a URL may be.
const schemes = "want tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT or unix:///PATH"

// parseURL returns what a --listen or --to flag names: tcp://HOST:PORT,
// tls://HOST:PORT, udp://HOST:PORT, unix:///PATH or unix://@NAME (an abstract
// name, Linux). A host may be a name, which is looked up once, here.
func parseURL(flag, text string, dial bool) (endpoint, error) {
	e, err := parseEndpoint(text, dial)
	if err != nil {
		return endpoint{}, usagef("%s %q: %w", flag, text, err)
	}
	return e, nil
}

func parseEndpoint(text string, dial bool) (endpoint, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return endpoint{}, fmt.Errorf("has no scheme, %s", schemes)
	}
	e := endpoint{text: text, scheme: scheme}
	var err error
	switch scheme {
	case "tcp", "tls", "udp":
		e.host, e.addr, err = parseHostPort(scheme, rest, dial)
	case "unix":
		e.addr, err = parseUnix(rest)
	default:
		err = fmt.Errorf("scheme is %q, %s", scheme, schemes)
	}
	return e, err
}

// parseHostPort reads what stands behind scheme://.
func parseHostPort(scheme, rest string, dial bool) (string, proactor.Address, error) {
	fail := func(format string, args ...any) (string, proactor.Address, error) {
		return "", proactor.Address{}, fmt.Errorf(format, args...)
	}
	if strings.ContainsAny(rest, "/?#@") {
		return fail("has more than HOST:PORT after %s://", scheme)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || port == "" {
		return fail("want a host and a port, as in %s://127.0.0.1:8080", scheme)
	}
	if dial && host == "" {
		return fail("has no host to connect to")
	}
	at := host
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		if at, err = lookup(host); err != nil {
			return fail("%w", err)
		}
	}
	network := "tcp"
	if scheme == "udp" {
		network = "udp"
	}
	addr, err := proactor.ParseAddress(network, net.JoinHostPort(at, port))
	if err != nil {
		return fail("port is %q, want a number from 0 to 65535", port)
	}
	if ip := addr.IP(); ip.Is6() && ip.IsLinkLocalUnicast() && ip.Zone() == "" {
		return fail("%v is an address of one network only, and needs that one's interface, as in [%v%%eth0]", ip, ip)
	}
	if dial && addr.Port() == 0 {
		return fail("port is 0, which nobody listens on")
	}
	return host, addr, nil
}

func parseUnix(rest string) (proactor.Address, error) {
	switch {
	case rest == "" || rest == "/" || rest == "@":
		return proactor.Address{}, fmt.Errorf("has no path, want unix:///PATH")
	case rest[0] != '/' && rest[0] != '@':
		return proactor.Address{}, fmt.Errorf("path is relative, want three slashes: unix:///PATH")
	case len(rest) > unixPathMax:
		return proactor.Address{}, fmt.Errorf("path has %d bytes, a unix socket's has at most %d", len(rest), unixPathMax)
	}
	return proactor.UnixAddress(rest), nil
}

// lookup returns an address of a host name, an IPv4 one if there is one.
func lookup(host string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return "", fmt.Errorf("host %q has no address", host)
	}
	for _, ip := range ips {
		if ip.Unmap().Is4() {
			return ip.Unmap().String(), nil
		}
	}
	return ips[0].String(), nil
}

// urlAt writes an endpoint as the flags read it, with the address that it has
// got: the port may have been 0.
func (e *endpoint) urlAt(a proactor.Address) string { return e.scheme + "://" + a.String() }

// meets reports whether what is sent to an endpoint comes back to a listener.
func (e *endpoint) meets(listener *endpoint) bool {
	to, at := e.addr, listener.addr
	if e.packets() != listener.packets() || to.IsUnix() || at.IsUnix() {
		return to.IsUnix() && to == at
	}
	if to.Port() != at.Port() || at.IP() == to.IP() {
		return to.Port() == at.Port()
	}
	same := at.IP().Is4() == to.IP().Is4() // 0.0.0.0 and [::] are one family alone
	everywhere := !at.IP().IsValid() || at.IP().IsUnspecified() && same
	here := to.IP().IsLoopback() || to.IP().IsUnspecified()
	return everywhere && here || to.IP().IsUnspecified() && at.IP().IsLoopback() && same
}

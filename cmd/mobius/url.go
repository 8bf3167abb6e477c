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

// parseURL returns the address that a --listen or --to flag names:
// tcp://HOST:PORT, unix:///PATH or unix://@NAME (an abstract name, Linux). A
// host may be a name, which is looked up once, here.
func parseURL(flag, text string, dial bool) (proactor.Address, error) {
	addr, err := parseEndpoint(text, dial)
	if err != nil {
		return proactor.Address{}, usagef("%s %q: %w", flag, text, err)
	}
	return addr, nil
}

func parseEndpoint(text string, dial bool) (proactor.Address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		return proactor.Address{}, fmt.Errorf("has no scheme, want tcp://HOST:PORT or unix:///PATH")
	}
	switch scheme {
	case "tcp":
		return parseTCP(rest, dial)
	case "unix":
		return parseUnix(rest)
	case "tls", "udp":
		return proactor.Address{}, fmt.Errorf("%s:// is not supported yet, want tcp:// or unix://", scheme)
	}
	return proactor.Address{}, fmt.Errorf("scheme is %q, want tcp or unix", scheme)
}

func parseTCP(rest string, dial bool) (proactor.Address, error) {
	if strings.ContainsAny(rest, "/?#@") {
		return proactor.Address{}, fmt.Errorf("has more than HOST:PORT after tcp://")
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil || port == "" {
		return proactor.Address{}, fmt.Errorf("want a host and a port, as in tcp://127.0.0.1:8080")
	}
	if dial && host == "" {
		return proactor.Address{}, fmt.Errorf("has no host to connect to")
	}
	if _, err := netip.ParseAddr(host); err != nil && host != "" {
		if host, err = lookup(host); err != nil {
			return proactor.Address{}, err
		}
	}
	addr, err := proactor.ParseAddress("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return proactor.Address{}, fmt.Errorf("port is %q, want a number from 0 to 65535", port)
	}
	if dial && addr.Port() == 0 {
		return proactor.Address{}, fmt.Errorf("port is 0, which nobody listens on")
	}
	return addr, nil
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

// urlOf writes an address as the flags read it.
func urlOf(a proactor.Address) string {
	if a.IsUnix() {
		return "unix://" + a.String()
	}
	return "tcp://" + a.String()
}

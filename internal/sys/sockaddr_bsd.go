//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"strings"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A RawAddr is a socket address in the form that package unix takes. Setting
// it allocates nothing.
type RawAddr struct {
	in4  unix.SockaddrInet4
	in6  unix.SockaddrInet6
	un   unix.SockaddrUnix
	addr unix.Sockaddr // one of the above, or what the kernel gave
}

// Reset makes r ready to be filled in.
func (r *RawAddr) Reset() { r.addr = nil }

// Set writes a as an address for a socket of the given family (AF_…); 0 means
// the natural one: AF_INET for IPv4 and the wildcard. IPv4 addresses fit
// AF_INET6 sockets as ::ffff:a.b.c.d. It returns EAFNOSUPPORT if a does not
// fit, ENAMETOOLONG for a unix path that is too long, EINVAL for an abstract
// or empty one, and an error of package net for an unknown zone.
func (r *RawAddr) Set(a proactor.Address, domain int) error {
	if a.IsUnix() {
		return r.setUnix(a.Path())
	}
	if domain == 0 {
		domain = Domain(a)
	}
	switch {
	case !a.IsValid() || (domain == unix.AF_INET && a.IP().Is6()):
		return unix.EAFNOSUPPORT
	case domain == unix.AF_INET:
		r.in4 = unix.SockaddrInet4{Port: int(a.Port())}
		if a.IP().IsValid() {
			r.in4.Addr = a.IP().As4()
		}
		r.addr = &r.in4
	case domain == unix.AF_INET6:
		id, err := zoneID(a.IP().Zone())
		if err != nil {
			return err
		}
		r.in6 = unix.SockaddrInet6{Port: int(a.Port()), ZoneId: id}
		if a.IP().IsValid() {
			r.in6.Addr = a.IP().As16()
		}
		r.addr = &r.in6
	default:
		return unix.EAFNOSUPPORT
	}
	return nil
}

func (r *RawAddr) setUnix(path string) error {
	switch {
	case len(path) >= len(unix.RawSockaddrUnix{}.Path):
		return unix.ENAMETOOLONG
	case path == "" || strings.IndexByte(path, 0) >= 0:
		return unix.EINVAL
	}
	r.un = unix.SockaddrUnix{Name: path}
	r.addr = &r.un
	return nil
}

// address reads r as an address of the given network, with zones by name. The
// result is invalid if r is of no known family. A unix peer without a name may
// have no address at all here: accept(2) gives a length of 0.
func (r *RawAddr) address(network proactor.Network, zones *zones) proactor.Address {
	switch a := r.addr.(type) {
	case *unix.SockaddrInet4:
		return ip4Address(network, a.Addr, uint16(a.Port))
	case *unix.SockaddrInet6:
		return ip6Address(network, a.Addr, uint16(a.Port), zones.name(a.ZoneId))
	case *unix.SockaddrUnix:
		return unixAddress(network, a.Name)
	}
	if network == proactor.Unix || network == proactor.Unixgram {
		return unixAddress(network, "")
	}
	return proactor.Address{}
}

//go:build linux

package sys

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A RawAddr is a socket address as the kernel reads and writes it. It is plain
// memory: a ring op may name it as long as it does not move.
type RawAddr struct {
	Any unix.RawSockaddrAny
	Len uint32 // bytes of Any in use
}

// Reset makes r ready to be filled in by the kernel.
func (r *RawAddr) Reset() { r.Len = unix.SizeofSockaddrAny }

// Set writes a as an address for a socket of the given family (AF_…); 0 means
// the natural one: AF_INET for IPv4 and the wildcard. IPv4 addresses fit
// AF_INET6 sockets as ::ffff:a.b.c.d. It returns EAFNOSUPPORT if a does not
// fit, ENAMETOOLONG for a unix path of more than 107 bytes, EINVAL for one with a zero
// byte inside, and an error of package net for an unknown zone.
func (r *RawAddr) Set(a proactor.Address, domain int) error {
	r.Any = unix.RawSockaddrAny{}
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
		p := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.Any))
		p.Family, p.Port = unix.AF_INET, swap16(a.Port())
		if a.IP().IsValid() {
			p.Addr = a.IP().As4()
		}
		r.Len = unix.SizeofSockaddrInet4
	case domain == unix.AF_INET6:
		p := (*unix.RawSockaddrInet6)(unsafe.Pointer(&r.Any))
		p.Family, p.Port = unix.AF_INET6, swap16(a.Port())
		if a.IP().IsValid() {
			p.Addr = a.IP().As16()
		}
		id, err := zoneID(a.IP().Zone())
		if err != nil {
			return err
		}
		p.Scope_id = id
		r.Len = unix.SizeofSockaddrInet6
	default:
		return unix.EAFNOSUPPORT
	}
	return nil
}

// setUnix: a path ends with a zero byte; an abstract name is as long as the
// address says; the unnamed address is the family alone (unix(7)).
func (r *RawAddr) setUnix(path string) error {
	p := (*unix.RawSockaddrUnix)(unsafe.Pointer(&r.Any))
	p.Family = unix.AF_UNIX
	const family = uint32(unsafe.Offsetof(unix.RawSockaddrUnix{}.Path))
	abstract := len(path) > 0 && path[0] == 0
	switch {
	case len(path) > len(p.Path) || (len(path) == len(p.Path) && !abstract):
		return unix.ENAMETOOLONG
	case !abstract && strings.IndexByte(path, 0) >= 0:
		return unix.EINVAL
	}
	for i := range len(path) {
		p.Path[i] = int8(path[i])
	}
	r.Len = family + uint32(len(path))
	if len(path) > 0 && !abstract {
		r.Len++
	}
	return nil
}

// address reads r as an address of the given network, with zones by name. The
// result is invalid if r is of no known family.
func (r *RawAddr) address(network proactor.Network, zones *zones) proactor.Address {
	switch r.Any.Addr.Family {
	case unix.AF_INET:
		p := (*unix.RawSockaddrInet4)(unsafe.Pointer(&r.Any))
		return ip4Address(network, p.Addr, swap16(p.Port))
	case unix.AF_INET6:
		p := (*unix.RawSockaddrInet6)(unsafe.Pointer(&r.Any))
		return ip6Address(network, p.Addr, swap16(p.Port), zones.name(p.Scope_id))
	case unix.AF_UNIX:
		return unixAddress(network, r.unixPath())
	}
	return proactor.Address{}
}

func (r *RawAddr) unixPath() string {
	p := (*unix.RawSockaddrUnix)(unsafe.Pointer(&r.Any))
	n := int(r.Len) - int(unsafe.Offsetof(p.Path))
	if n <= 0 {
		return ""
	}
	path := unsafe.Slice((*byte)(unsafe.Pointer(&p.Path)), min(n, len(p.Path)))
	if path[0] != 0 {
		return cString(path)
	}
	return string(path)
}

// swap16 turns a port into network byte order in memory, and back.
func swap16(port uint16) uint16 {
	b := [2]byte{byte(port >> 8), byte(port)}
	return *(*uint16)(unsafe.Pointer(&b))
}

//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"fmt"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// A membership is a proactor.Membership as the kernel takes it.
type membership struct {
	group, source  RawAddr
	is4, hasSource bool
	iface
}

// Join implements proactor.Sockets.
func (s *Sockets) Join(h proactor.Handle, m proactor.Membership) error { return s.member(h, true, &m) }

// Leave implements proactor.Sockets.
func (s *Sockets) Leave(h proactor.Handle, m proactor.Membership) error {
	return s.member(h, false, &m)
}

func (s *Sockets) member(h proactor.Handle, join bool, m *proactor.Membership) error {
	e := s.Lookup(h)
	group := m.Group.Unmap()
	switch {
	case e == nil:
		return proactor.ErrClosed
	case e.Network != proactor.UDP:
		return unix.EOPNOTSUPP
	case !group.IsMulticast():
		return fmt.Errorf("group %v: want a multicast address: %w", m.Group, unix.EINVAL)
	case m.Source.IsValid() && m.Source.Unmap().Is4() != group.Is4():
		return fmt.Errorf("source %v: want the family of group %v: %w", m.Source, m.Group, unix.EINVAL)
	case group.Is6() && e.Domain != unix.AF_INET6:
		return unix.EAFNOSUPPORT
	}
	raw := membership{is4: group.Is4()}
	name := m.Interface
	if name == "" {
		name = group.Zone()
	}
	var err error
	if raw.iface, err = interfaceBy(name); err != nil {
		return err
	}
	if err = raw.group.Set(proactor.IPAddress(proactor.UDP, group.WithZone(""), 0), 0); err == nil && m.Source.IsValid() {
		raw.hasSource = true
		err = raw.source.Set(proactor.IPAddress(proactor.UDP, m.Source, 0), 0)
	}
	if err != nil {
		return err
	}
	return member(int(h.Index()), join, &raw)
}

package sim

import (
	"net/netip"
	"slices"
	"syscall"

	"mobius/proactor"
)

// A group is one membership of a datagram socket. There is one network
// interface here, so that a membership's counts for nothing.
type group struct{ group, source netip.Addr }

// Join makes a socket a member of a multicast group.
func (b *Backend) Join(h proactor.Handle, m proactor.Membership) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s, g, err := b.member(h, &m)
	switch {
	case err != nil:
		return err
	case slices.Contains(s.mail.groups, g):
		return syscall.EADDRINUSE
	}
	s.mail.groups = append(s.mail.groups, g)
	return nil
}

// Leave ends what Join began.
func (b *Backend) Leave(h proactor.Handle, m proactor.Membership) error {
	b.net.mu.Lock()
	defer b.net.mu.Unlock()
	s, g, err := b.member(h, &m)
	if err != nil {
		return err
	}
	i := slices.Index(s.mail.groups, g)
	if i < 0 {
		return syscall.EADDRNOTAVAIL
	}
	s.mail.groups = slices.Delete(s.mail.groups, i, i+1)
	return nil
}

func (b *Backend) member(h proactor.Handle, m *proactor.Membership) (*socket, group, error) {
	s := b.sock(h)
	g := group{m.Group.Unmap().WithZone(""), m.Source.Unmap()}
	switch {
	case s == nil:
		return nil, g, proactor.ErrClosed
	case s.mail == nil || s.local.IsUnix():
		return nil, g, syscall.EOPNOTSUPP
	case !g.group.IsMulticast() || g.source.IsValid() && g.source.Is4() != g.group.Is4():
		return nil, g, syscall.EINVAL
	case g.group.Is6() && s.local.IP().Is4():
		return nil, g, syscall.EAFNOSUPPORT
	}
	return s, g, nil
}

// wants reports whether s is to get what from sends to a group.
func (s *socket) wants(to, from netip.Addr) bool {
	return slices.ContainsFunc(s.mail.groups, func(g group) bool {
		return g.group == to && (!g.source.IsValid() || g.source == from)
	})
}

// flyToGroup sends op's datagram to every member of a group: those of this
// host, as there is no other, unless the sender's loopback is off.
func (b *Backend) flyToGroup(op *proactor.Op, s *socket, to proactor.Address, segment int) {
	from := s.local.IP()
	if isWildcard(s.local) {
		from = loopbackFor(to)
	}
	if s.opt.MulticastLoop != proactor.Off {
		for _, r := range b.net.ports[portKey{proactor.UDP, to.Port()}] {
			fits := isWildcard(r.local) || r.local.IP() == to.IP()
			if r.kind == aPacket && fits && r.wants(to.IP().WithZone(""), from) {
				b.fly(op, op.Buf, s, r, to, segment)
			}
		}
	}
	b.end(op, len(op.Buf), nil)
}

// infoFor is what r's kernel tells of a datagram from s to an address.
func (s *socket) infoFor(r *socket, m *proactor.Msg, to proactor.Address) (i proactor.Info) {
	var sent proactor.Info
	if m != nil {
		sent = m.Info
	}
	if r.opt.RecvTrafficClass == proactor.On {
		i.TrafficClass, i.Has = sent.TrafficClass, i.Has|proactor.HasTrafficClass
	}
	if r.opt.RecvTTL == proactor.On {
		i.TTL, i.Has = uint8(s.ttl(to)), i.Has|proactor.HasTTL
		if sent.Has&proactor.HasTTL != 0 {
			i.TTL = sent.TTL
		}
	}
	if r.opt.RecvLocal == proactor.On {
		i.Local, i.Interface, i.Has = whereTo(to).IP(), 1, i.Has|proactor.HasLocal
	}
	if r.opt.RecvCredentials == proactor.On {
		i.Credentials, i.Has = credentials(s), i.Has|proactor.HasCredentials
	}
	return i
}

// ttl returns the time to live of what s sends.
func (s *socket) ttl(to proactor.Address) int {
	switch {
	case to.IP().IsMulticast() && s.opt.MulticastTTL == 0:
		return 1
	case to.IP().IsMulticast():
		return max(0, s.opt.MulticastTTL)
	case s.opt.TTL == 0:
		return 64
	}
	return s.opt.TTL
}

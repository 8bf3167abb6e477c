package datagram

import (
	"fmt"
	"net/netip"
	"testing"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// A member that wants the datagrams of one host gets those, and no other's
// (RFC 4607).
func TestMulticastOfOneSource(t *testing.T) {
	eachReal(t, func(s *site) {
		group := netip.MustParseAddr("239.255.77.13")
		shared := &Options{Socket: &proactor.SocketOptions{ReusePort: true}}
		one, other := &log{}, &log{}
		p := s.listen(address(s, "udp", "0.0.0.0:0"), one, shared)
		q := s.listen(address(s, "udp", fmt.Sprint("0.0.0.0:", p.LocalAddr().Port())), other, shared)
		of := func(source string) proactor.Membership {
			return proactor.Membership{Group: group, Source: netip.MustParseAddr(source), Interface: "127.0.0.1"}
		}
		join := func(p *Port, source string) {
			if err := p.Join(of(source)); err != nil {
				s.Fatal(err)
			}
		}
		join(p, "127.0.0.1")
		join(q, "127.0.0.2")
		to := proactor.IPAddress(proactor.UDP, group, p.LocalAddr().Port())
		sender := func(from string) *Port {
			o := &proactor.SocketOptions{MulticastInterface: "127.0.0.1"}
			return s.listen(address(s, "udp", from+":0"), &log{}, &Options{Socket: o})
		}
		first, second := sender("127.0.0.1"), sender("127.0.0.2")
		s.write(first, "of the first", to)
		s.Until("its member has it", one.has(`"of the first"`))
		s.write(second, "of the second", to)
		s.Until("its member has it", other.has(`"of the second"`))

		join(q, "127.0.0.1")
		if err := p.Leave(of("127.0.0.1")); err != nil {
			s.Fatal(err)
		}
		s.write(first, "later", to)
		s.Until("who has joined has it", other.has(`"later"`))
		if got := fmt.Sprint(one.events, other.events); got != `[start "of the first"] [start "of the second" "later"]` {
			s.Errorf("the members got %s", got)
		}
	})
}

// An IPv6 group is joined and left on an interface.
func TestMulticastIPv6(t *testing.T) {
	name := testenv.Multicaster(t)
	eachReal(t, func(s *site) {
		m := proactor.Membership{Group: netip.MustParseAddr("ff12::77:13"), Interface: name}
		in := &log{}
		member := s.listen(address(s, "udp", "[::]:0"), in, nil)
		if err := member.Join(m); err != nil {
			s.Fatal(err)
		}
		to := proactor.IPAddress(proactor.UDP, m.Group, member.LocalAddr().Port())
		out := s.listen(address(s, "udp", "[::]:0"), &log{}, &Options{Socket: &proactor.SocketOptions{MulticastInterface: name}})
		s.write(out, "to all", to)
		s.Until("a member gets it", in.has(`"to all"`))
		if err := member.Leave(m); err != nil {
			s.Fatal(err)
		}
		s.write(out, "to others", to)
		s.write(out, "to it alone", address(s, "udp", fmt.Sprintf("[::1]:%d", member.LocalAddr().Port())))
		s.Until("it gets what is for it alone", in.has(`"to it alone"`))
		if in.has(`"to others"`)() {
			s.Error("who has left the group still gets its datagrams")
		}
	})
}

package connector

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// Options reach the sockets on both sides: those of a listener are what its
// connections have.
func TestOptionsAreInherited(t *testing.T) {
	each(t, func(s *scene) {
		o := proactor.SocketOptions{
			Delay: proactor.On, KeepAlive: 40 * time.Second, KeepAliveInterval: 5 * time.Second, KeepAliveCount: 4,
			UserTimeout: 7 * time.Second, NotSentLowat: 20_000, SendBuffer: 50_000, RecvBuffer: 60_000, Backlog: 7,
		}
		server, client := s.quiet(), s.quiet()
		p, err := Listen([]*loop.Loop{s.l}, s.Address(), server, ListenOptions{Socket: &o})
		if err != nil {
			s.Fatal(err)
		}
		Connect(s.l, To(p.Addr()), client, Options{Socket: &o})
		s.Until("connected", func() bool {
			return len(server.made) == 1 && server.made[0].t != nil && len(client.made) == 1 && client.made[0].t != nil
		})
		for name, end := range map[string]*talker{"server": server.made[0], "client": client.made[0]} {
			got, err := s.l.Sockets().Options(end.t.Handle())
			if err != nil {
				s.Fatal(err)
			}
			if got.SendBuffer < o.SendBuffer || got.RecvBuffer < o.RecvBuffer {
				s.Errorf("%s: buffers of %d and %d bytes", name, got.SendBuffer, got.RecvBuffer)
			}
			got.SendBuffer, got.RecvBuffer, got.V6Only = o.SendBuffer, o.RecvBuffer, o.V6Only
			want := o
			want.Backlog = 0
			if got != want {
				s.Errorf("%s has\n%+v, want\n%+v", name, got, want)
			}
		}
		plain := s.plain(p.Addr())
		if got, err := s.l.Sockets().Options(plain.t.Handle()); err != nil || got.Delay != proactor.Off || got.KeepAlive != 15*time.Second {
			s.Errorf("the defaults are %+v, %v", got, err)
		}
	})
}

// plain connects without options.
func (s *scene) plain(to proactor.Address) *talker {
	s.Helper()
	f := s.quiet()
	Connect(s.l, To(to), f, Options{})
	s.Until("connected", func() bool { return len(f.made) == 1 && f.made[0].t != nil })
	return f.made[0]
}

// A value that means nothing is an error that names it, and nothing is left of
// the attempt.
func TestBadOptions(t *testing.T) {
	each(t, func(s *scene) {
		for want, o := range map[string]proactor.SocketOptions{
			"Backlog": {Backlog: -1}, "KeepAliveCount": {KeepAliveCount: 128}, "NotSentLowat": {NotSentLowat: -1},
			"SendBuffer": {SendBuffer: -1}, "RecvBuffer": {RecvBuffer: -5}, "Mode is 1777": {Mode: 0o1777},
			"KeepAlive ": {KeepAlive: 10 * time.Hour}, "KeepAliveInterval": {KeepAliveInterval: -1}, "UserTimeout": {UserTimeout: -1},
		} {
			_, err := Listen([]*loop.Loop{s.l}, s.Address(), s.quiet(), ListenOptions{Socket: &o})
			var e *transport.ConnError
			if !errors.As(err, &e) || e.Op != "listen" || !strings.Contains(err.Error(), "socket option "+want) {
				s.Errorf("%+v: %v", o, err)
			}
			f := s.quiet()
			c := Connect(s.l, To(s.Address()), f, Options{Socket: &o})
			s.Until("failed", func() bool { return c.State() == Idle })
			if err := f.errs[0]; !strings.Contains(err.Error(), "socket option "+want) {
				s.Errorf("%+v: %v", o, err)
			}
		}
	})
}

// An address that this host does not have can be listened at only if the user
// says that it will (IP_FREEBIND, ip(7)).
func TestFreeBind(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w)
		for _, ip := range []string{"192.0.2.7", "2001:db8::7"} {
			a := proactor.IPAddress(proactor.TCP, netip.MustParseAddr(ip), 0)
			_, err := Listen([]*loop.Loop{s.l}, a, s.quiet(), ListenOptions{})
			if errors.Is(err, syscall.EAFNOSUPPORT) {
				continue
			}
			if !errors.Is(err, syscall.EADDRNOTAVAIL) {
				s.Errorf("without: %v", err)
			}
			p, err := Listen([]*loop.Loop{s.l}, a, s.quiet(), ListenOptions{Socket: &proactor.SocketOptions{FreeBind: true}})
			if errors.Is(err, proactor.ErrUnsupported) {
				continue
			}
			if err != nil {
				s.Fatalf("with: %v", err)
			}
			if p.Addr().IP() != a.IP() || p.Addr().Port() == 0 {
				s.Errorf("listens at %v", p.Addr())
			}
			s.wait(p.StopListening())
		}
	})
}

// The wildcard takes both families, unless it is told not to.
func TestDualStack(t *testing.T) {
	each(t, func(s *scene) {
		for _, only := range []proactor.Switch{proactor.Unset, proactor.Off, proactor.On} {
			o := ListenOptions{Socket: &proactor.SocketOptions{V6Only: only}}
			p, err := Listen([]*loop.Loop{s.l}, proactor.IPAddress(proactor.TCP, netip.Addr{}, 0), s.quiet(), o)
			if err != nil {
				s.Fatal(err)
			}
			for _, ip := range []string{"::1", "127.0.0.1"} {
				f := s.quiet()
				c := Connect(s.l, To(proactor.IPAddress(proactor.TCP, netip.MustParseAddr(ip), p.Addr().Port())), f, Options{})
				s.Until("decided", func() bool { return c.State() == Connected || c.State() == Idle })
				want := Connected
				if only == proactor.On && ip == "127.0.0.1" {
					want = Idle
				}
				if c.State() != want && !(s.Net != nil && only == proactor.On) { // a simulated host does not tell them apart
					s.Errorf("V6Only %d, to %s: %v, %v", only, ip, c.State(), f.errs)
				}
				c.Disconnect()
				s.Until("ended", func() bool { return c.State() == Idle })
			}
			s.wait(p.StopListening())
		}
	})
}

// An address with a zone goes to the interface of that name, and comes back
// with it.
func TestZones(t *testing.T) {
	each(t, func(s *scene) {
		zone := "lo"
		if _, err := os.Stat("/sys/class/net/lo"); s.Net == nil && err != nil {
			zone = "1"
		}
		to, err := ParseDestination("tcp", "[fe80::1%"+zone+"]:9")
		if err != nil || to.Address().IP().Zone() != zone || to.String() != "[fe80::1%"+zone+"]:9" {
			s.Fatalf("%v, %v", to, err)
		}
		f := s.quiet()
		c := Connect(s.l, to, f, Options{ConnectTimeout: 5 * time.Second})
		s.Until("failed", func() bool { return c.State() == Idle }) // nobody is there; but there is such a scope
		if errors.Is(f.errs[0], syscall.EINVAL) {
			s.Errorf("failed with %v", f.errs[0])
		}
		if s.Net != nil {
			return
		}
		to, _ = ParseDestination("tcp", "[fe80::1%no-such-interface]:9")
		g := s.quiet()
		c = Connect(s.l, to, g, Options{})
		s.Until("failed", func() bool { return c.State() == Idle })
	})
}

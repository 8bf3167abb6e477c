//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

func TestSockaddrRoundTrip(t *testing.T) {
	var z zones
	addresses := []proactor.Address{
		proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), 80),
		proactor.IPAddress(proactor.UDP, netip.MustParseAddr("255.255.255.255"), 65535),
		proactor.IPAddress(proactor.TCP, netip.MustParseAddr("::1"), 1),
		proactor.IPAddress(proactor.TCP, netip.MustParseAddr("2001:db8::1"), 443),
		proactor.UnixAddress("/run/x"), proactor.UnixgramAddress("relative"),
	}
	if all, err := net.Interfaces(); err == nil && len(all) > 0 {
		addresses = append(addresses, proactor.IPAddress(proactor.TCP, netip.MustParseAddr("fe80::1%"+all[0].Name), 5))
	}
	if runtime.GOOS == "linux" {
		addresses = append(addresses, proactor.UnixAddress(""), proactor.UnixAddress("@abstract"),
			proactor.UnixAddress("@with\x00zero"), proactor.UnixAddress("@"+strings.Repeat("x", 107)),
			proactor.UnixAddress(strings.Repeat("x", 107)))
	}
	for _, a := range addresses {
		var r RawAddr
		if err := r.Set(a, 0); err != nil {
			t.Errorf("%v: %v", a, err)
		} else if back := r.address(a.Kind(), &z); back != a {
			t.Errorf("%v came back as %v", a, back)
		}
	}
}

func TestSockaddrThatDoNotFit(t *testing.T) {
	ip4 := proactor.IPAddress(proactor.TCP, netip.MustParseAddr("1.2.3.4"), 5)
	ip6 := proactor.IPAddress(proactor.TCP, netip.MustParseAddr("::1"), 5)
	var r RawAddr
	var z zones
	for _, c := range []struct {
		a      proactor.Address
		domain int
		want   error
	}{
		{proactor.Address{}, 0, unix.EAFNOSUPPORT},
		{ip6, unix.AF_INET, unix.EAFNOSUPPORT},
		{proactor.UnixAddress("/" + strings.Repeat("x", 108)), 0, unix.ENAMETOOLONG},
		{proactor.UnixAddress("@" + strings.Repeat("x", 108)), 0, unix.ENAMETOOLONG},
		{proactor.UnixAddress("a\x00b"), 0, unix.EINVAL},
		{ip4, unix.AF_INET6, nil},
		{ip4, unix.AF_INET, nil},
	} {
		if err := r.Set(c.a, c.domain); err != c.want {
			t.Errorf("Set(%q, %d) = %v, want %v", c.a, c.domain, err, c.want)
		}
	}
	if err := r.Set(ip4, unix.AF_INET6); err != nil || r.address(proactor.TCP, &z) != ip4 {
		t.Errorf("an IPv4 address through an IPv6 socket came back as %v", r.address(proactor.TCP, &z))
	}
	if err := r.Set(proactor.IPAddress(proactor.TCP, netip.MustParseAddr("fe80::1%no-such-zone"), 5), 0); err == nil {
		t.Error("an unknown zone is no error")
	}
}

func TestZonesAreRememberedWithinLimits(t *testing.T) {
	var z zones
	if name := z.name(0); name != "" {
		t.Errorf("zone of index 0 is %q", name)
	}
	const none = 1 << 30
	if name := z.name(none); name != "1073741824" {
		t.Errorf("zone of no interface is %q", name)
	}
	z.names = map[uint32]string{}
	for i := range uint32(maxZones) {
		z.names[none+i] = "x"
	}
	if all, err := net.Interfaces(); err == nil && len(all) > 0 {
		if name := z.name(uint32(all[0].Index)); name != all[0].Name || len(z.names) != 1 {
			t.Errorf("%q, %d remembered", name, len(z.names))
		}
	}
}

// FuzzSockaddr feeds memory as a kernel would never write it.
func FuzzSockaddr(f *testing.F) {
	f.Add("/run/x", uint16(1))
	f.Add("@x", uint16(2))
	f.Add("", uint16(3))
	f.Fuzz(func(t *testing.T, path string, port uint16) {
		var r RawAddr
		var z zones
		a := proactor.UnixAddress(path)
		if r.Set(a, 0) == nil && r.address(proactor.Unix, &z) != a {
			t.Errorf("%q came back as %q", path, r.address(proactor.Unix, &z).Path())
		}
		if ip, err := netip.ParseAddr(path); err == nil && ip.Zone() == "" {
			a = proactor.IPAddress(proactor.TCP, ip, port)
			if err := r.Set(a, 0); err != nil || r.address(proactor.TCP, &z) != a {
				t.Errorf("%v came back as %v, %v", a, r.address(proactor.TCP, &z), err)
			}
		}
	})
}

package proactor

import "testing"

// An address that can be read is written as something that reads as the same.
func FuzzAddress(f *testing.F) {
	for _, text := range []string{"127.0.0.1:80", "[fe80::1%eth0]:80", "[::ffff:1.2.3.4]:1", ":0", "/run/x", "@name", "", "@", "a\x00b"} {
		f.Add(uint8(len(text)), text)
	}
	networks := []string{"tcp", "udp", "unix", "unixgram"}
	f.Fuzz(func(t *testing.T, network uint8, text string) {
		n := networks[int(network)%len(networks)]
		a, err := ParseAddress(n, text)
		if err != nil {
			return
		}
		again, err := ParseAddress(n, a.String())
		if err != nil || again != a || a.Network() != n || !a.IsValid() {
			t.Errorf("ParseAddress(%q, %q) is %v (%s, valid %v), and that %v: %v", n, text, a, a.Network(), a.IsValid(), again, err)
		}
		if b := FromNetAddr(a); b != a {
			t.Errorf("FromNetAddr(%v) is %v", a, b)
		}
		// Package net has one spelling for an unnamed address and an abstract one
		// without a name, and one for both wildcards.
		lost := a.String() == "@" || !a.IsUnix() && !a.IP().IsValid()
		if b := FromNetAddr(a.NetAddr()); b != a && !lost {
			t.Errorf("%v comes back from package net's %v as %v", a, a.NetAddr(), b)
		}
	})
}

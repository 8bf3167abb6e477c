package proactor

import (
	"net"
	"strings"
	"testing"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ network, text, want, wrong string }{
		{"tcp", "127.0.0.1:80", "127.0.0.1:80", ""},
		{"tcp", "[::ffff:127.0.0.1]:80", "127.0.0.1:80", ""},
		{"tcp", "[fe80::1%eth0]:80", "[fe80::1%eth0]:80", ""},
		{"udp", ":53", ":53", ""},
		{"unix", "/run/x", "/run/x", ""},
		{"unix", "@name", "@name", ""},
		{"tcp", "localhost:80", "", `host is "localhost"`},
		{"tcp", "127.0.0.1:http", "", `port is "http"`},
		{"tcp", "127.0.0.1:65536", "", `port is "65536"`},
		{"tcp", "127.0.0.1", "", "want HOST:PORT"},
		{"sctp", "x", "", `network is "sctp"`},
	} {
		a, err := ParseAddress(c.network, c.text)
		if c.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), c.wrong) {
				t.Errorf("ParseAddress(%q, %q) says %v, want …%s…", c.network, c.text, err, c.wrong)
			}
			continue
		}
		if err != nil || a.String() != c.want || a.Network() != c.network {
			t.Errorf("ParseAddress(%q, %q) = %v, %v", c.network, c.text, a, err)
		}
	}
}

func TestAddressIsComparable(t *testing.T) {
	a, _ := ParseAddress("tcp", "127.0.0.1:80")
	b := FromNetAddr(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}) // 16 bytes inside
	if a != b {
		t.Errorf("%v and %v differ", a, b)
	}
	if UnixAddress("@x") != UnixAddress("\x00x") || !UnixAddress("@x").IsAbstract() {
		t.Error("abstract names in two spellings differ")
	}
	if a := FromNetAddr(&net.UnixAddr{Net: "unix", Name: "@"}); a != UnixAddress("") {
		t.Errorf("package net's unnamed address becomes %q", a.Path())
	}
	if UnixAddress("") == (Address{}) || !UnixAddress("").IsValid() || (Address{}).IsValid() {
		t.Error("the unnamed unix address and no address are the same")
	}
}

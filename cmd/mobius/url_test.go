package main

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	long := "unix:///" + strings.Repeat("x", unixPathMax)
	for _, c := range []struct {
		text, want, wrong string
		dial              bool
	}{
		{text: "tcp://127.0.0.1:8080", want: "tcp://127.0.0.1:8080"},
		{text: "tcp://127.0.0.1:0", want: "tcp://127.0.0.1:0"},
		{text: "tcp://:8080", want: "tcp://:8080"},
		{text: "tcp://[::1]:80", want: "tcp://[::1]:80"},
		{text: "tcp://[fe80::1%lo]:80", want: "tcp://[fe80::1%lo]:80"},
		{text: "tcp://localhost:80", want: "tcp://127.0.0.1:80", dial: true},
		{text: "unix:///run/x.sock", want: "unix:///run/x.sock"},
		{text: "unix://@name", want: "unix://@name"},
		{text: "", wrong: "has no scheme"},
		{text: "127.0.0.1:80", wrong: "has no scheme"},
		{text: "tls://127.0.0.1:443", want: "tls://127.0.0.1:443"},
		{text: "tls://localhost:443", want: "tls://127.0.0.1:443", dial: true},
		{text: "tls://localhost", wrong: "as in tls://127.0.0.1:8080"},
		{text: "udp://[::1]:53", want: "udp://[::1]:53"},
		{text: "udp://localhost:53", want: "udp://127.0.0.1:53", dial: true},
		{text: "udp://:0", wrong: "no host to connect to", dial: true},
		{text: "udp://127.0.0.1", wrong: "as in udp://127.0.0.1:8080"},
		{text: "http://127.0.0.1:80", wrong: `scheme is "http"`},
		{text: "TCP://127.0.0.1:80", wrong: `scheme is "TCP"`},
		{text: "tcp://127.0.0.1", wrong: "want a host and a port"},
		{text: "tcp://127.0.0.1:", wrong: "want a host and a port"},
		{text: "tcp://::1:80", wrong: "want a host and a port"},
		{text: "tcp://127.0.0.1:80/path", wrong: "more than HOST:PORT"},
		{text: "tcp://user@127.0.0.1:80", wrong: "more than HOST:PORT"},
		{text: "tcp://127.0.0.1:65536", wrong: "port is \"65536\""},
		{text: "tcp://127.0.0.1:-1", wrong: "port is \"-1\""},
		{text: "tcp://127.0.0.1:http", wrong: "port is \"http\""},
		{text: "tcp://:80", wrong: "no host to connect to", dial: true},
		{text: "tcp://127.0.0.1:0", wrong: "port is 0", dial: true},
		{text: "unix://", wrong: "has no path"},
		{text: "unix:///", wrong: "has no path"},
		{text: "unix://run/x", wrong: "path is relative"},
		{text: long, wrong: "at most 107"},
	} {
		e, err := parseURL("--listen", c.text, c.dial)
		switch {
		case c.wrong == "" && (err != nil || e.urlAt(e.addr) != c.want):
			t.Errorf("parseURL(%q) = %v, %v; want %s", c.text, e.urlAt(e.addr), err, c.want)
		case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
			t.Errorf("parseURL(%q) says %v, want …%s…", c.text, err, c.wrong)
		case c.wrong != "" && exitStatus("", err, &strings.Builder{}) != exitUsage:
			t.Errorf("parseURL(%q) is no usage error", c.text)
		}
	}
}

// What goes round in a circle is known whatever way it is written, and nothing
// else is.
func TestCircles(t *testing.T) {
	for _, c := range []struct {
		listen, to string
		want       bool
	}{
		{"tcp://127.0.0.1:80", "tcp://127.0.0.1:80", true},
		{"tcp://127.0.0.1:80", "tls://127.0.0.1:80", true},
		{"tls://:80", "tcp://[::1]:80", true},
		{"udp://0.0.0.0:80", "udp://127.0.0.9:80", true},
		{"udp://127.0.0.1:80", "udp://0.0.0.0:80", true},
		{"unix:///x", "unix:///x", true},
		{"tcp://127.0.0.1:80", "udp://127.0.0.1:80", false},
		{"tcp://127.0.0.1:80", "tcp://127.0.0.1:81", false},
		{"tcp://127.0.0.1:80", "tcp://127.0.0.2:80", false},
		{"tcp://0.0.0.0:80", "tcp://[::1]:80", false},
		{"tcp://[::]:80", "tcp://[::1]:80", true},
		{"tcp://[::]:80", "tcp://127.0.0.1:80", false},
		{"tcp://127.0.0.1:80", "tcp://[::]:80", false},
		{"tcp://:80", "tcp://192.0.2.1:80", false},
		{"tcp://192.0.2.1:80", "tcp://0.0.0.0:80", false},
		{"tcp://127.0.0.1:0", "tcp://127.0.0.1:80", false},
		{"unix:///x", "unix:///y", false},
		{"unix:///x", "tcp://127.0.0.1:80", false},
	} {
		from, err := parseURL("--listen", c.listen, false)
		if err != nil {
			t.Fatal(err)
		}
		to, err := parseURL("--to", c.to, true)
		if err != nil {
			t.Fatal(err)
		}
		if got := to.meets(&from); got != c.want {
			t.Errorf("%s to %s: %v", c.listen, c.to, got)
		}
	}
}

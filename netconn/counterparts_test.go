package netconn_test

import (
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"mobius/netconn"
)

// excused are the names of package net that have no counterpart, with the
// reason; docs/dropin.md has them, too.
var excused = map[string]string{
	"Dialer.Cancel":                "deprecated in package net: DialContext",
	"Dialer.DualStack":             "deprecated in package net: FallbackDelay",
	"Dialer.DialIP":                "raw IP sockets are not offered",
	"Dialer.MultipathTCP":          "multipath TCP is not used",
	"Dialer.SetMultipathTCP":       "multipath TCP is not used",
	"ListenConfig.MultipathTCP":    "multipath TCP is not used",
	"ListenConfig.SetMultipathTCP": "multipath TCP is not used",
}

// Every exported method and field of package net's types is there, with the same
// signature, or excused.
func TestCounterparts(t *testing.T) {
	page, err := os.ReadFile("../docs/dropin.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, pair := range []struct {
		theirs any
		ours   []any
	}{
		{&net.TCPConn{}, []any{&netconn.TCPConn{}}},
		{&net.UDPConn{}, []any{&netconn.UDPConn{}}},
		{&net.UnixConn{}, []any{&netconn.UnixConn{}, &netconn.UnixgramConn{}}},
		{&net.TCPListener{}, []any{&netconn.Listener{}}},
		{&net.UnixListener{}, []any{&netconn.Listener{}}},
		{&net.Dialer{}, []any{&netconn.Dialer{}}},
		{&net.ListenConfig{}, []any{&netconn.ListenConfig{}}},
	} {
		have := map[string]string{}
		for _, o := range pair.ours {
			for name, kind := range members(o) {
				have[name] = kind
			}
		}
		for name, kind := range members(pair.theirs) {
			full := reflect.TypeOf(pair.theirs).Elem().Name() + "." + name
			if have[name] == kind {
				continue
			}
			if excused[full] == "" {
				t.Errorf("%s: package net has %q, package netconn %q", full, kind, have[name])
			} else if !strings.Contains(string(page), "`"+full+"`") {
				t.Errorf("docs/dropin.md does not name `%s`", full)
			}
			used[full] = true
		}
	}
	for name := range excused {
		if !used[name] {
			t.Errorf("%s is excused, and has a counterpart", name)
		}
	}
}

// members returns what a pointer's type has: methods, and the fields that are
// exported, with their types, in which the two packages are called alike.
func members(v any) map[string]string {
	out := map[string]string{}
	typ := reflect.TypeOf(v)
	for i := range typ.NumMethod() {
		m := typ.Method(i)
		var in []string
		for j := 1; j < m.Type.NumIn(); j++ {
			in = append(in, named(m.Type.In(j)))
		}
		var results []string
		for j := range m.Type.NumOut() {
			results = append(results, named(m.Type.Out(j)))
		}
		out[m.Name] = "func(" + strings.Join(in, ", ") + ") " + strings.Join(results, ", ")
	}
	for i := range typ.Elem().NumField() {
		if f := typ.Elem().Field(i); f.IsExported() && !f.Anonymous {
			out[f.Name] = named(f.Type)
		}
	}
	return out
}

func named(t reflect.Type) string { return strings.ReplaceAll(t.String(), "netconn.", "net.") }

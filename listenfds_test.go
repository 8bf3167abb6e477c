package mobius

import (
	"slices"
	"testing"
)

func TestListenFDs(t *testing.T) {
	for _, c := range []struct {
		env  []string
		want []ListenFD
		bad  bool
	}{
		{env: []string{"A=b"}},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=2", "A=b"}, want: []ListenFD{{3, "unknown"}, {4, "unknown"}}},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=2", "A=b", "LISTEN_FDNAMES=web:"}, want: []ListenFD{{3, "web"}, {4, ""}}},
		{env: []string{"LISTEN_PID=43", "LISTEN_FDS=2", "A=b"}},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=0", "A=b"}},
		{env: []string{"LISTEN_PID=x", "LISTEN_FDS=2", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=-1", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=99999999", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=99999999999999999999", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=0x2", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=2 ", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=", "A=b"}},
		{env: []string{"LISTEN_PID=-42", "LISTEN_FDS=2", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=0", "LISTEN_FDS=2", "A=b"}, bad: true},
		{env: []string{"LISTEN_PID=99999999999999999999", "LISTEN_FDS=2", "A=b"}, bad: true},
		{env: []string{"LISTEN_FDS=2", "A=b"}},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=1", "A=b", "LISTEN_FDNAMES=one:two"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=0", "A=b", "LISTEN_FDNAMES=one"}, bad: true},
		{env: []string{"LISTEN_PID=42", "LISTEN_FDS=2", "A=b", "LISTEN_FDNAMES=one"}, bad: true},
	} {
		got, rest, err := ListenFDs(c.env, 42)
		if !slices.Equal(got, c.want) || (err != nil) != c.bad {
			t.Errorf("%q: %v, %v", c.env, got, err)
		}
		if !slices.Equal(rest, []string{"A=b"}) {
			t.Errorf("%q: the rest is %q", c.env, rest)
		}
	}
}

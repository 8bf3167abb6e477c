package endpoint

import (
	"reflect"
	"testing"

	"mobius"
)

// A description that was read is written so that it is read again as the same,
// and an endpoint describes itself.
func FuzzDescription(f *testing.F) {
	for _, text := range []string{
		"tcp:80", "tcp:host=example.com:port=80:timeout=10", `tcp:\:\:1:80:bindAddress=\:\:2`, "unix:/run/app.sock:mode=660:lockfile=0",
		`t:a\:b:k=v=w:\=`, `x:\\`, "tcp6:0:interface=fe80\\:\\:1%eth0:backlog=5", "tcp:0:noDelay=no:keepAlive=1h2m:userTimeout=3",
		"unix:@abstract", ":", "a=b", "t:=x", "tcp:h:1:attemptDelay=20ms:sendBuffer=5:recvBuffer=6", "haproxy:tcp:80",
		`haproxy:trusted=10.0.0.0/8,fd00\:\:1,unix:untrusted=data:timeout=3:unix:/run/s:mode=600`, "haproxy:trusted=x:haproxy:tcp:1",
		"fd:3", "fd:fileno=4:domain=UNIX:idleTimeout=1m", "systemd:INET:index=0", "systemd:domain=INET6:name=web", "stdio:", "stdio",
		"tcp:0:lowWater=0:closeTimeout=no:keepAlive=no:keepAliveCount=3:v6Only=no", "unix:/x:hardLimit=9:halfClosedTimeout=no",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDescription(text)
		if err != nil {
			return
		}
		again, err := ParseDescription(d.String())
		if len(d.String()) > MaxDescription {
			return // quoted it may be too long
		}
		if err != nil || again.Type != d.Type || len(again.Args) != len(d.Args) ||
			len(d.Args) > 0 && !reflect.DeepEqual(again.Args, d.Args) || again.String() != d.String() {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", text, d, d, again, err)
		}
		if c, err := ParseClient(nil, text); err == nil {
			same(t, text, c, func(s string) (any, error) { return ParseClient(nil, s) })
		}
		if s, err := ParseServer(nil, text); err == nil {
			same(t, text, s, func(s string) (any, error) { return ParseServer(nil, s) })
		}
	})
}

func same(t *testing.T, text string, v interface{ String() string }, parse func(string) (any, error)) {
	t.Helper()
	if len(v.String()) > MaxDescription {
		return
	}
	again, err := parse(v.String())
	if err != nil || !reflect.DeepEqual(again, v) {
		t.Fatalf("%q is %+v, written %q, which is %+v, %v", text, v, v, again, err)
	}
}

var _ Port = (*mobius.Port)(nil)

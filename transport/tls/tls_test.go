package tls

import (
	"bytes"
	"crypto/tls"
	"strings"
	"testing"

	"mobius/transport"
)

func TestEcho(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		echo(server)
		client.onMade = func(r *rec) { r.write("hello, ") }
		client.onShaken = func(r *rec) { r.write("world") }
		s.pair(server, client)
		s.until("the echo", func() bool { return client.got.Len() == 12 })
		if got := client.got.String(); got != "hello, world" {
			t.Fatalf("echoed %q", got)
		}
		for _, r := range s.recs {
			if !strings.HasPrefix(r.story(), "made shaken data") {
				t.Errorf("%s: %s", r.name, r.story())
			}
		}
		client.t.LoseConnection()
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		client.ended(transport.Done, "close")
		server.ended(transport.Done, "read")
		if st := StatsOf(s.l); st.Handshakes != 2 || st.InProgress != 0 || st.Computing != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// Every size near the bounds of records, in both versions, echoed whole.
func TestBulk(t *testing.T) {
	sizes := []int{1, 16383, 16384, 16385, 32768, 100_000, 3 << 20}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			each(t, func(s *scene) {
				s.server.MaxVersion = version
				server, client := s.both()
				echo(server)
				s.pair(server, client)
				s.until("the handshake", client.shaken)
				for _, n := range sizes {
					want := pattern(n)
					client.got.Reset()
					client.write(string(want))
					s.until("the echo", func() bool { return client.got.Len() >= n })
					if !bytes.Equal(client.got.Bytes(), want) {
						t.Fatalf("%d bytes came back wrong", n)
					}
				}
				if client.state.Version != version {
					t.Errorf("version %x", client.state.Version)
				}
				client.t.LoseConnection()
				s.until("both ends", func() bool { return server.lost() && client.lost() })
			})
		})
	}
}

package tls

import (
	"crypto/tls"
	"errors"
	"testing"

	"mobius/internal/invariant"
	"mobius/transport"
)

// Plaintext that came with the command to turn to TLS, an attacker's, is no
// part of what comes after.
func TestInjectedPlaintext(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		server.onData = func(r *rec) {
			if r.state.HandshakeComplete {
				t.Errorf("%q was taken for what came over TLS", r.got.String())
			}
			rest := append([]byte(nil), r.got.Bytes()[len("STARTTLS\n"):]...)
			r.got.Truncate(len("STARTTLS\n"))
			server.onData = nil
			if _, err := Start(r.t, s.server, Server, rest, nil); err != nil {
				t.Error(err)
			}
		}
		client.onMade = func(r *rec) { r.write("STARTTLS\nDELETE EVERYTHING\n") }
		s.dial(s.listen(func() transport.Protocol { return server }).Addr(), client)
		s.until("the server's end", server.lost)
		server.ended(transport.Failed, "handshake")
		if server.got.String() != "STARTTLS\n" {
			t.Errorf("got %q", server.got.String())
		}
	})
}

// TLS over TLS: whoever holds the transport reaches the upper one.
func TestTLSOverTLS(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		echo(server)
		up := func(r *rec, config *tls.Config, side Side) {
			if _, err := Start(r.t, config, side, nil, nil); err != nil {
				t.Errorf("%s: %v", r.name, err)
			}
		}
		server.onMade = func(r *rec) { up(r, s.server, Server) }
		client.onMade = func(r *rec) { up(r, s.client, Client); r.write("hello") }
		s.pair(server, client)
		s.until("the echo", func() bool { return client.got.String() == "hello" })
		client.got.Reset()
		want := pattern(500_000)
		client.write(string(want))
		s.until("the bulk", func() bool { return client.got.String() == string(want) })
		if st := StatsOf(s.l); st.Handshakes != 4 {
			t.Errorf("%+v", st)
		}
		client.t.LoseConnection()
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		client.ended(transport.Done, "close")
		server.ended(transport.Done, "read")
	})
}

// plainOnly is a transport that cannot be upgraded.
type plainOnly struct{ transport.Transport }

func TestStartErrors(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		s.dial(s.listen(func() transport.Protocol { return server }).Addr(), client)
		s.until("connected", func() bool { return server.t != nil && client.t != nil })
		if _, err := Start(plainOnly{client.t}, s.client, Client, nil, nil); err != ErrCannot {
			t.Errorf("on a transport that takes none: %v", err)
		}
		bad := s.client.Clone()
		bad.Renegotiation = tls.RenegotiateFreelyAsClient
		if _, err := Start(client.t, bad, Client, nil, nil); err == nil {
			t.Error("renegotiation was accepted")
		}
		client.t.LoseConnection()
		if _, err := Start(client.t, s.client, Client, nil, nil); !errors.Is(err, transport.ErrNotWritable) {
			t.Errorf("after LoseConnection: %v", err)
		}
		s.until("both ends", func() bool { return server.lost() && client.lost() })
	})
}

// A session is resumed by the next connection.
func TestResumption(t *testing.T) {
	versions(t, func(t *testing.T, s *scene) {
		s.client.ClientSessionCache = tls.NewLRUClientSessionCache(10)
		port := s.listenTLS(func() transport.Protocol { r := s.rec("server"); echo(r); return r })
		for i := range 3 {
			client := s.rec("client")
			client.onMade = func(r *rec) { r.write("x") }
			s.dialTLS(port.Addr(), client)
			s.until("the echo", func() bool { return client.got.Len() == 1 })
			if client.state.DidResume != (i > 0) {
				t.Errorf("connection %d: resumed %v", i, client.state.DidResume)
			}
			client.t.LoseConnection()
			s.until("the end", client.lost)
		}
		if st := StatsOf(s.l); st.Resumed != 4 {
			t.Errorf("%+v", st)
		}
	})
}

// An echoed record costs one allocation of 24 bytes on either side, which
// crypto/tls makes for each record that it reads (conn.go, readFromUntil: an
// atLeastReader); nothing of ours.
func TestAllocations(t *testing.T) {
	if invariant.Enabled {
		t.Skip("checks that are compiled in allocate")
	}
	eachReal(t, func(s *scene) {
		server, client := s.both()
		server.onData = func(r *rec) {
			r.t.Write(r.got.Bytes())
			r.got.Reset()
		}
		s.established(server, client, server, client)
		message := pattern(1000)
		back := 0
		client.onData = func(r *rec) { back += r.got.Len(); r.got.Reset() }
		round := func() {
			client.t.Write(message)
			for back = 0; back < len(message); {
				if err := s.l.Iterate(-1); err != nil {
					t.Fatal(err)
				}
			}
		}
		// rec itself allocates a word for its first piece after a Reset.
		own := testing.AllocsPerRun(100, func() { server.events = server.events[:0]; client.events = client.events[:0] })
		allocs := testing.AllocsPerRun(2000, func() {
			server.events, client.events = server.events[:0], client.events[:0]
			round()
		})
		if allocs-own > 2.1 {
			t.Errorf("%.2f allocations for an echoed record on both sides, want 2", allocs-own)
		}
	})
}

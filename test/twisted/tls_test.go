package twisted

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"weak"

	"mobius/transport"
	mtls "mobius/transport/tls"
)

// The protocol has its transport before the handshake, which needs no help,
// and is told of its end once, with the peer's certificate at hand.
func TestCase187Case188Case189Case192HandshakeNotice(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		client.onShaken = func(p *secureTalker) {
			secured, ok := transport.As[mtls.Secured](p.t)
			if !ok || len(secured.PeerCertificates()) == 0 || secured.PeerCertificates()[0].VerifyHostname(tlsHost) != nil {
				s.Errorf("the peer's certificate is not at hand in HandshakeCompleted")
			}
		}
		s.begin(server, client)
		s.shake(server, client)
		s.pass()
		for _, p := range []string{"server", "client"} {
			if !s.has(p+" made") || !s.has(p+" shaken") {
				s.Errorf("events %q", s.events)
			}
		}
		if server.shaken != 1 || client.shaken != 1 || strings.Index(strings.Join(s.events, ","), "server shaken") <
			strings.Index(strings.Join(s.events, ","), "server made") {
			s.Errorf("events %q", s.events)
		}
		if len(client.state.PeerCertificates) == 0 || !client.state.HandshakeComplete {
			s.Errorf("state %+v", client.state)
		}
	})
}

func TestCase191HandshakeFailure(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.client.RootCAs = nil
		_, client := s.fails("untrusted")
		if !isUntrusted(client.err) {
			s.Errorf("client lost by %v", client.err)
		}
	})
}

func TestCase193WritesBeforeAndAfterTheHandshake(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		client.onMade = func(p *talker) {
			p.write("before ")
			p.t.Writev([][]byte{[]byte("in "), []byte("a "), []byte("sequence ")})
		}
		client.onShaken = func(p *secureTalker) { p.write("after") }
		s.begin(server, client)
		server.has(len("before in a sequence after"))
		if string(server.got) != "before in a sequence after" {
			s.Errorf("got %q", server.got)
		}
	})
}

func TestCase196SeveralRecordsAtOnce(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server, client := s.shaken()
		server.t.PauseReading()
		for range 10 {
			client.write("record")
			s.turns(2) // which sends it
		}
		server.t.ResumeReading()
		server.has(60)
	})
}

func TestCase197HugeWrite(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server, client := s.shaken()
		want := bytes.Repeat([]byte("some bytes that are not all the same;"), 100_000)
		client.write(string(want))
		server.has(len(want))
		if !bytes.Equal(server.got, want) {
			s.Errorf("they came changed")
		}
	})
}

// The peer's TCP ends without TLS having been closed: in good order or not, it
// is a loss.
func TestCase199PeerVanishes(t *testing.T) {
	ways := map[string]func(p *secureTalker){
		"by a FIN":   func(p *secureTalker) { p.under().LoseConnection() },
		"by a reset": func(p *secureTalker) { p.t.AbortConnection() },
	}
	for name, vanish := range ways {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(s *tlsScene) {
				server, client := s.shaken()
				vanish(client)
				s.bothLost(server.talker, client.talker)
				if kindOf(server.err) != "lost" {
					s.Errorf("server lost by %v", server.err)
				}
			})
		})
	}
}

// The other side's close alert comes while much is still to be sent: it is
// sent, both say goodbye, and both ends are clean.
func TestCase200CloseWhileMuchIsBuffered(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		want := strings.Repeat("much ", 400_000)
		s.begin(server, &halfTalker{talker: client.talker})
		s.Until("the server's handshake", func() bool { return server.shaken > 0 })
		client.t.LoseWriteConnection()
		server.write(want)
		s.bothLost(server.talker, client.talker)
		if string(client.got) != want {
			s.Errorf("%d of %d bytes came", len(client.got), len(want))
		}
		if kindOf(server.err) != "done" || kindOf(client.err) != "done" {
			s.Errorf("ended with %v and %v", server.err, client.err)
		}
	})
}

func TestCase201LostOnlyAfterTheTransport(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		s.begin(server, client)
		s.shake(server, client)
		open := 0
		check := func(p *talker) {
			if _, _, err := s.l.Sockets().Names(p.t.Handle()); err == nil {
				open++
			}
		}
		server.onLost, client.onLost = check, check
		client.t.LoseConnection()
		s.bothLost(server.talker, client.talker)
		if open > 0 {
			s.Errorf("%d descriptors were open in ConnectionLost", open)
		}
	})
}

// A record that cannot be sealed ends the connection, and says why.
func TestCase203ErrorWhileSealing(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.shaken()
		client.under().AbortConnection() // what is below takes nothing more
		if _, err := client.t.Write([]byte("x")); err == nil {
			s.Errorf("Write said nothing")
		}
		s.bothLost(server.talker, client.talker)
		if client.lost != 1 {
			s.Errorf("lost %d times", client.lost)
		}
	})
}

// What a plain connection can, one with TLS can.
func TestCase204SameAbilities(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		_, client := s.shaken()
		_, queuer := transport.As[transport.Queuer](client.t)
		_, upgrader := transport.As[transport.Upgrader](client.t)
		if !queuer || !upgrader {
			s.Errorf("Queuer %v, Upgrader %v", queuer, upgrader)
		}
	})
}

// A transport that is kept after the end does not keep the protocol.
func TestCase205NoReferenceAfterTheEnd(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server := s.secure("server")
		kept, gone := func() (transport.Transport, weak.Pointer[secureTalker]) {
			client := s.secure("client")
			c := s.begin(server, client)
			s.shake(server, client)
			client.t.LoseConnection()
			s.bothLost(server.talker, client.talker)
			s.Until("the connector is done", func() bool { return c.Transport() == nil })
			return client.t, weak.Make(client)
		}()
		for i := 0; i < 20 && gone.Value() != nil; i++ {
			s.turns(1)
			runtime.GC()
		}
		if gone.Value() != nil {
			s.Errorf("the protocol is still reachable")
		}
		runtime.KeepAlive(kept)
	})
}

// What is written before TLS can seal it pauses the writer, and what TLS and
// the transport below decide is one pause and one resume, in turn.
func TestCase207Case208PausesAlternate(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.below.HighWater, s.below.LowWater = 40_000, 10_000
		server := s.secure("server")
		sent := 0
		paused := false
		client := &pacedTalker{talker: &talker{s: s.scene, name: "client"}}
		fill := func(p *talker) {
			for !paused && sent < 1<<20 {
				p.write(strings.Repeat("x", 5000))
				sent += 5000
			}
		}
		client.onMade = fill
		client.onPause = func(*talker) {
			if paused {
				s.Errorf("paused twice")
			}
			paused = true
		}
		client.onResume = func(p *talker) {
			if !paused {
				s.Errorf("resumed twice")
			}
			paused = false
			fill(p)
		}
		s.begin(server, client)
		s.Until("the writer is paused before the handshake", func() bool { return client.t != nil })
		if !paused && s.stats().Handshakes == 0 {
			s.Errorf("it is not")
		}
		s.Until("all has come", func() bool { return sent >= 1<<20 && len(server.got) == sent })
	})
}

// startTLS turns a talker's connection to TLS.
func startTLS(s *tlsScene, p *talker, config *tls.Config, side mtls.Side) {
	s.Helper()
	if _, err := mtls.Start(p.t, config, side, nil, &s.o); err != nil {
		s.Fatalf("%s: %v", p.name, err)
	}
}

// The writer of a connection that has TLS from its start, and of one that is
// upgraded, is told by TLS when to pause; one that was paused before goes on.
func TestCase215Case216WriterAndUpgrade(t *testing.T) {
	for _, early := range []bool{true, false} {
		t.Run(map[bool]string{true: "paused before", false: "paused after"}[early], func(t *testing.T) {
			eachTLS(t, func(s *tlsScene) {
				early := early
				s.below.HighWater, s.below.LowWater = 4000, 1000
				server := s.secure("server")
				client := &pacedTalker{talker: &talker{s: s.scene, name: "client"}}
				clear := 0
				if early {
					clear = 5000
				}
				server.onMade = func(p *talker) {
					if !early {
						startTLS(s, p, s.server, mtls.Server)
					}
				}
				server.onData = func(p *talker) { // what comes with the last byte in clear is TLS already
					if early && len(p.got) >= clear {
						early = false
						rest := p.got[clear:]
						p.got = p.got[:clear]
						if _, err := mtls.Start(p.t, s.server, mtls.Server, rest, nil); err != nil {
							s.Fatal(err)
						}
					}
				}
				s.beginClear(server, client)
				s.Until("connected", func() bool { return server.t != nil && client.t != nil })
				client.write(strings.Repeat("x", clear))
				startTLS(s, client.talker, s.client, mtls.Client)
				client.write(strings.Repeat("x", 5000-clear))
				if !s.has("client pause") {
					s.Fatalf("events %q", s.events)
				}
				s.await("client resume")
				server.has(5000)
				client.write("and on")
				server.has(5006)
				pauses := 0
				for _, e := range s.events {
					if e == "client pause" {
						pauses++
					}
				}
				if pauses != 1 {
					s.Errorf("%d pauses: %q", pauses, s.events)
				}
			})
		})
	}
}

// A write after the end of an upgraded connection does nothing, and says so.
func TestCase145WriteAfterTheLossX1(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.shaken()
		client.t.LoseConnection()
		if n, err := client.t.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
			s.Errorf("after LoseConnection: %d, %v", n, err)
		}
		s.bothLost(server.talker, client.talker)
		for _, p := range []*secureTalker{server, client} {
			if n, err := p.t.Write([]byte("x")); n != 0 || !errors.Is(err, net.ErrClosed) {
				s.Errorf("%s: after the loss: %d, %v", p.name, n, err)
			}
			if n, err := p.t.Writev([][]byte{[]byte("x")}); n != 0 || !errors.Is(err, net.ErrClosed) {
				s.Errorf("%s: a sequence after the loss: %d, %v", p.name, n, err)
			}
		}
		s.idle()
	})
}

// Whether a transport has TLS can be asked, before and after.
func TestCase153TLSFlag(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		s.beginClear(server, client)
		s.Until("connected", func() bool { return server.t != nil && client.t != nil })
		if _, ok := transport.As[mtls.Secured](client.t); ok {
			s.Errorf("a plain connection says that it has TLS")
		}
		startTLS(s, client.talker, s.client, mtls.Client)
		startTLS(s, server.talker, s.server, mtls.Server)
		if secured, ok := transport.As[mtls.Secured](client.t); !ok || secured.ConnectionState().HandshakeComplete {
			s.Errorf("after the upgrade: has TLS %v", ok)
		}
		s.shake(server, client)
		if secured, _ := transport.As[mtls.Secured](client.t); !secured.ConnectionState().HandshakeComplete {
			s.Errorf("after the handshake: not complete")
		}
	})
}

// A side that goes at once ends both.
func TestCase223ImmediateDisconnect(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		client.onMade = func(p *talker) { p.t.LoseConnection() }
		s.begin(server, client)
		s.bothLost(server.talker, client.talker)
		s.idle()
	})
}

package twisted

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"mobius/transport"
	mtls "mobius/transport/tls"
)

// A peer that speaks TCP, but never TLS: the handshake has a deadline.
func TestX23HandshakeDeadline(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		s.o.HandshakeTimeout = 50 * time.Millisecond
		server, client := s.secure("server"), s.secure("client")
		s.beginClear(server, mtls.Wrap(client, s.client, mtls.Client, &s.o))
		s.bothLost(server.talker, client.talker)
		if kindOf(client.err) != "timed out" || !errors.Is(client.err, os.ErrDeadlineExceeded) || client.shaken > 0 {
			s.Errorf("client lost by %v", client.err)
		}
		s.idle()
	})
}

// LoseWriteConnection is a close alert: the peer sees the end of the stream and
// no truncation, and what it says afterwards is read.
func TestX26HalfClose(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server := &halfTalker{talker: &talker{s: s.scene, name: "server"}}
		client := &halfTalker{talker: &talker{s: s.scene, name: "client"}}
		client.onMade = func(p *talker) { p.write("question") }
		server.onReadLost = func(p *talker) {
			p.write("answer")
			p.t.LoseWriteConnection()
		}
		s.begin(server, client)
		server.has(len("question"))
		client.t.LoseWriteConnection()
		s.bothLost(server.talker, client.talker)
		if string(client.got) != "answer" || kindOf(client.err) != "done" || kindOf(server.err) != "done" {
			s.Errorf("got %q; ended with %v and %v", client.got, client.err, server.err)
		}
		s.idle()
	})
}

// A close before the handshake is complete, with nothing written, aborts it.
func TestX27LoseBeforeTheHandshake(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		client.onMade = func(p *talker) { p.t.LoseConnection() }
		s.begin(server, client)
		s.bothLost(server.talker, client.talker)
		if kindOf(client.err) != "aborted" {
			s.Errorf("client lost by %v", client.err)
		}
		s.Until("the factory is told", func() bool { return s.has("factory: " + client.err.Error()) })
	})
}

// With something written the handshake goes on, and that arrives.
func TestX27LoseBeforeTheHandshakeWithOutput(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		client.onMade = func(p *talker) {
			p.write("the last word")
			p.t.LoseConnection()
		}
		s.begin(server, client)
		s.bothLost(server.talker, client.talker)
		if string(server.got) != "the last word" || kindOf(client.err) != "done" {
			s.Errorf("got %q; client lost by %v", server.got, client.err)
		}
	})
}

// HTTP in clear at a TLS port: an error of TLS, counted, nothing logged.
func TestX28PlainHTTP(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		client.onMade = func(p *talker) { p.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n") }
		s.beginClear(mtls.Wrap(server, s.server, mtls.Server, &s.o), client)
		s.bothLost(server.talker, client.talker)
		var header tls.RecordHeaderError
		if !errors.As(server.err, &header) || header.Conn != nil || s.stats().NotTLS != 1 {
			s.Errorf("server lost by %v; %+v", server.err, s.stats())
		}
		if troubles := s.TakeTroubles(); len(troubles) > 0 {
			s.Errorf("reported %v", troubles)
		}
	})
}

// A peer that never answers the close alert, nor reads: the close has a
// deadline.
func TestX29CloseDeadline(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		s.below.CloseTimeout = 100 * time.Millisecond
		server, client := s.shaken()
		client.under().PauseReading()
		server.t.LoseConnection()
		s.Until("the server's end", func() bool { return server.err != nil })
		client.t.AbortConnection()
		s.bothLost(server.talker, client.talker)
		s.idle()
	})
}

// What is written in the turn of the close is sent.
func TestX30LastBytesInTheTurnOfTheClose(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server, client := s.shaken()
		client.write("first ")
		client.write(strings.Repeat("and more ", 5000))
		client.write("last")
		client.t.LoseConnection()
		s.bothLost(server.talker, client.talker)
		if got := string(server.got); !strings.HasSuffix(got, "last") || len(got) != len("first last")+9*5000 {
			s.Errorf("got %d bytes", len(got))
		}
	})
}

// A reply written when the question and the close alert came together.
func TestX31ReplyBesideTheCloseAlert(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		server := s.secure("server")
		client := &halfTalker{talker: &talker{s: s.scene, name: "client"}}
		server.onData = func(p *talker) { p.t.Write([]byte("reply")) }
		s.begin(server, client)
		s.Until("the server's handshake", func() bool { return server.shaken > 0 })
		client.write("question")
		client.t.LoseWriteConnection()
		s.bothLost(server.talker, client.talker)
		if string(client.got) != "reply" || kindOf(server.err) != "done" {
			s.Errorf("got %q; server lost by %v", client.got, server.err)
		}
	})
}

// TLS 1.2 as the lowest and the highest version is a version.
func TestX32OneVersion(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		s.server.MinVersion, s.server.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		_, client := s.shaken()
		if client.state.Version != tls.VersionTLS12 {
			s.Errorf("version %x", client.state.Version)
		}
	})
}

// Plaintext first, then both turn to TLS, in either part; what is said before
// and after is received, and ConnectionMade is not called again.
func TestCase217Case219StartTLS(t *testing.T) {
	for _, backwards := range []bool{false, true} {
		t.Run(map[bool]string{false: "forwards", true: "backwards"}[backwards], func(t *testing.T) {
			eachTLS(t, func(s *tlsScene) {
				server, client := s.secure("server"), s.secure("client")
				accepts, connects := server, client
				if backwards {
					accepts, connects = client, server
				}
				server.onData = func(p *talker) {
					if string(p.got) == "STARTTLS" {
						p.write("READY")
						startTLS(s, p, s.server, mtls.Server)
						p.write("secret")
					}
				}
				client.onData = func(p *talker) {
					if string(p.got) == "READY" {
						startTLS(s, p, s.client, mtls.Client)
						p.write(" too")
					}
				}
				s.beginClear(accepts, connects)
				s.Until("connected", func() bool { return server.t != nil && client.t != nil })
				client.write("STARTTLS")
				client.has(len("READYsecret"))
				server.has(len("STARTTLS too"))
				if string(client.got) != "READYsecret" || string(server.got) != "STARTTLS too" || client.shaken != 1 {
					s.Errorf("got %q and %q", client.got, server.got)
				}
				made := 0
				for _, e := range s.events {
					if strings.HasSuffix(e, " made") {
						made++
					}
				}
				if made != 2 {
					s.Errorf("events %q", s.events)
				}
			})
		})
	}
}

// A close right after a write on an upgraded connection ends it.
func TestCase221CloseAfterStartTLS(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		s.beginClear(server, client)
		s.Until("connected", func() bool { return server.t != nil && client.t != nil })
		startTLS(s, client.talker, s.client, mtls.Client)
		startTLS(s, server.talker, s.server, mtls.Server)
		client.onShaken = func(p *secureTalker) {
			p.write("x")
			p.t.LoseConnection()
		}
		s.bothLost(server.talker, client.talker)
		if string(server.got) != "x" || kindOf(client.err) != "done" {
			s.Errorf("got %q; client lost by %v", server.got, client.err)
		}
		if _, err := client.t.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			s.Errorf("Write after the loss: %v", err)
		}
		s.idle()
	})
}

// A config that cannot work is the caller's error, at once, and changes
// nothing.
func TestCase220Case235BadConfig(t *testing.T) {
	ca := newCA(t)
	good := ca.Issue(tlsHost)
	for name, config := range map[string]*tls.Config{
		"none":                nil,
		"no certificate":      {},
		"only a key":          {Certificates: []tls.Certificate{{PrivateKey: good.PrivateKey}}},
		"only a certificate":  {Certificates: []tls.Certificate{{Certificate: good.Certificate}}},
		"no version":          {Certificates: []tls.Certificate{good}, MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS12},
		"impossible ciphers":  {Certificates: []tls.Certificate{good}, CipherSuites: []uint16{1}, MaxVersion: tls.VersionTLS12},
		"chain without a key": {Certificates: []tls.Certificate{{Certificate: good.Certificate[1:]}}},
	} {
		if err := mtls.Check(config, mtls.Server); err == nil || !strings.HasPrefix(err.Error(), "tls: ") {
			t.Errorf("server, %s: %v", name, err)
		}
	}
	if err := mtls.Check(&tls.Config{}, mtls.Client); err == nil {
		t.Error("a client that verifies nothing and says so nowhere")
	}
	eachTLS(t, func(s *tlsScene) {
		server, client := s.secure("server"), s.secure("client")
		s.beginClear(server, client)
		s.Until("connected", func() bool { return server.t != nil && client.t != nil })
		if _, err := mtls.Start(client.t, nil, mtls.Client, nil, nil); err == nil {
			s.Errorf("Start without a config")
		}
		client.write("in clear")
		server.has(len("in clear"))
		if _, ok := transport.As[mtls.Secured](client.t); ok {
			s.Errorf("it has TLS")
		}
	})
}

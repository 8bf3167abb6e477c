package twisted

import (
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"mobius/connector"
	"mobius/endpoint"
	"mobius/policies"
	"mobius/proactor"
	mtls "mobius/transport/tls"
)

func TestHAProxyDescriptions(t *testing.T) {
	each(t, func(s *scene) {
		tcp := endpoint.TCPServer{Reactor: desk{s: s}, Addr: s.Address()}
		for text, want := range map[string]endpoint.HAProxyServer{
			"haproxy:tcp:0:interface=127.0.0.1":                {Inner: tcp},
			"haproxy:timeout=2:untrusted=data:tcp:0:127.0.0.1": {Inner: tcp, Timeout: 2 * time.Second, Data: true},
			"haproxy:untrusted=refuse:haproxy:tcp:0:127.0.0.1": {Inner: endpoint.HAProxyServer{Inner: tcp}},
			"haproxy:trusted=10.1.2.3/8,fd00\\:\\:/8:tcp:0:127.0.0.1": {
				Inner: tcp, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")},
			},
			"haproxy:trusted=\\:\\:1,unix:tcp:0:127.0.0.1": {
				Inner: tcp, Trusted: []netip.Prefix{netip.MustParsePrefix("::1/128")}, TrustUnix: true,
			},
		} {
			got, err := endpoint.ParseServer(desk{s: s}, text)
			if err != nil || !reflect.DeepEqual(got, want) {
				s.Errorf("%s: %+v, %v; want %+v", text, got, err, want)
				continue
			}
			again, err := endpoint.ParseServer(desk{s: s}, got.String())
			if err != nil || !reflect.DeepEqual(again, got) {
				s.Errorf("%s is described as %v, which is %+v, %v", text, got, again, err)
			}
		}
		for text, want := range map[string]string{
			"haproxy": "another endpoint", "haproxy:": "TYPE", "haproxy:trusted=unix": "another endpoint",
			"haproxy:x:1":                        "no type of server",
			"haproxy:trusted=10.0.0.0/33:tcp:80": "trusted", "haproxy:trusted=:tcp:80": "trusted", "haproxy:trusted=host:tcp:80": "trusted",
			"haproxy:trusted=fe80\\:\\:1%eth0:tcp:80":          "trusted",
			"haproxy:trusted=\\:\\:ffff\\:10.0.0.0/104:tcp:80": "trusted",
			"haproxy:untrusted=yes:tcp:80":                     "refuse or data",
			"haproxy:port=80:tcp":                              `no argument "port"`, "haproxy:timeout=0:tcp:80": "timeout",
		} {
			if server, err := endpoint.ParseServer(desk{s: s}, text); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%q: %v, %v; want an error that says %q", text, server, err, want)
			}
		}
	})
}

// What stands in a description is what happens.
func TestHAProxyServers(t *testing.T) {
	each(t, func(s *scene) {
		for text, want := range map[string]string{
			"haproxy:tcp:0:interface=127.0.0.1":                                     "hello",
			"haproxy:trusted=192.0.2.0/24:untrusted=data:tcp:0:interface=127.0.0.1": header1 + "hello",
			"haproxy:trusted=192.0.2.0/24:tcp:0:interface=127.0.0.1":                "",
		} {
			server, client := s.silent("server"), s.silent("client")
			e, err := endpoint.ParseServer(desk{s: s}, text)
			if err != nil {
				s.Fatal(err)
			}
			p, err := result(s, e.Listen(server))
			if err != nil {
				s.Fatal(err)
			}
			client.talker.onMade = func(p *talker) { p.write(header1 + "hello") }
			s.connect(p.Addr(), client)
			if want == "" {
				s.Until("turned away", func() bool { return len(client.errs) > 0 })
			} else {
				s.Until("served", func() bool { return len(server.made) == 1 && len(server.made[0].got) == len(want) })
				if q := server.made[0]; string(q.got) != want || (want == "hello") != (q.t.RemoteAddr().String() == from) {
					s.Errorf("%s: %q from %v", text, q.got, q.t.RemoteAddr())
				}
				client.made[0].t.LoseConnection()
			}
			_, _ = result(s, p.StopListening())
		}
		s.idle()
	})
}

// sends returns a factory around f that sends header1 first.
func (s *scene) sends(f connector.ClientFactory) connector.ClientFactory {
	s.Helper()
	source, _ := proactor.ParseAddress("tcp", from)
	dest, _ := proactor.ParseAddress("tcp", to)
	send, err := policies.SendProxy(policies.NewProxyHeader(1, source, dest))
	if err != nil {
		s.Fatal(err)
	}
	return policies.WrapClient(f, send)
}

// The header comes before TLS.
func TestHAProxyBeforeTLS(t *testing.T) {
	eachTLS(t, func(s *tlsScene) {
		cert, key, _ := s.ca.Files(s.ca.Issue(tlsHost))
		text := "haproxy:ssl:0:interface=127.0.0.1:privateKey=" + endpoint.Quote(key) + ":certKey=" + endpoint.Quote(cert)
		e, err := endpoint.ParseServer(desk{s: s.scene}, text)
		if err != nil || e.String() != text {
			s.Fatalf("%v, %v", e, err)
		}
		server, client := s.secure("server"), s.secure("client")
		server.onData = func(p *talker) { p.write("reply") }
		p, err := result(s.scene, e.Listen(only{p: server, s: s}))
		if err != nil {
			s.Fatal(err)
		}
		f := only{p: mtls.Wrap(client, s.client, mtls.Client, &s.o), s: s}
		connector.Connect(s.l, connector.To(p.Addr()), s.sends(f), connector.Options{})
		s.shake(server, client)
		s.spoken(server.talker, client.talker)
		_, _ = result(s.scene, p.StopListening())
		s.idle()
	})
}

// spoken checks that a client gets the reply of a server that knows who it is,
// and ends the connection.
func (s *tlsScene) spoken(server, client *talker) {
	s.Helper()
	client.write("request")
	client.has(len("reply"))
	if string(server.got) != "request" || server.t.RemoteAddr().String() != from || server.t.LocalAddr().String() != to {
		s.Errorf("%q from %v to %v", server.got, server.t.RemoteAddr(), server.t.LocalAddr())
	}
	client.t.LoseConnection()
	s.bothLost(server, client)
}

// A protocol may turn to TLS when it begins, or after a pause: what came with
// the header is the layer's, and the announced addresses are the layer's too.
func TestStartTLSBehindAHeader(t *testing.T) {
	for _, name := range []string{"at once", "after a pause"} {
		pause := name != "at once"
		t.Run(name, func(t *testing.T) {
			eachTLS(t, func(s *tlsScene) {
				server, client := s.secure("server"), s.secure("client")
				var c *mtls.Conn
				start := func() {
					var err error
					if c, err = mtls.Start(server.t, s.server, mtls.Server, nil, &s.o); err != nil {
						s.Error(err)
					}
				}
				server.onMade = func(p *talker) {
					if pause {
						p.t.PauseReading()
					} else {
						start()
					}
				}
				server.onData = func(p *talker) { p.write("reply") }
				p := s.listenWith(&policies.ProxyProtocol{Factory: only{p: server, s: s}}, connector.ListenOptions{Transport: &s.below})
				f := only{p: mtls.Wrap(client, s.client, mtls.Client, &s.o), s: s}
				connector.Connect(s.l, connector.To(p.Addr()), s.sends(f), connector.Options{Transport: &s.below})
				if pause {
					s.Until("the header is there", func() bool { return server.t != nil })
					s.turns(5)
					start()
					server.t.ResumeReading()
				}
				s.shake(server, client)
				if c.RemoteAddr().String() != from || c.LocalAddr().String() != to {
					s.Errorf("the layer sees %v and %v", c.RemoteAddr(), c.LocalAddr())
				}
				s.spoken(server.talker, client.talker)
				s.stop(p)
				s.idle()
			})
		})
	}
}

// A panic when the rest is delivered, away from any call of the transport's,
// is that connection's end.
func TestPanicAfterAPauseBehindAHeader(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onMade = func(p *talker) { p.t.PauseReading() }
		server.talker.onData = func(*talker) { panic("boom") }
		g := s.gate(server)
		p := g.say(header1 + "rest")
		q := g.serves(server, header1, from, to)
		q.t.ResumeReading()
		s.bothLost(p, q)
		s.panics(1)
		g.end()
	})
}

package twisted

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"testing"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

func newCA(tb testing.TB) *testenv.CA { return testenv.NewCA(tb) }

// Callbacks that reject lose both ends.
func TestCase224RejectingCallbacks(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		reject := errors.New("not with me")
		s.client.VerifyPeerCertificate = func([][]byte, [][]*x509.Certificate) error { return reject }
		_, client := s.fails("VerifyPeerCertificate")
		if !errors.Is(client.err, reject) {
			s.Errorf("client lost by %v", client.err)
		}
	})
}

// A certificate for another host: an error of verification, no notice before
// it, and the same reason for the protocol and for the factory.
func TestCase225WrongHostX25(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.client.ServerName = "other.test"
		_, client := s.fails("the wrong name")
		if !isUntrusted(client.err) || !isWrongHost(client.err) {
			s.Errorf("client lost by %v", client.err)
		}
		s.Until("the factory is told", func() bool { return s.has("factory: " + client.err.Error()) })
	})
}

// The right name in a certificate of nobody's whom the client trusts.
func TestCase227Untrusted(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.client.RootCAs = newCA(s).Pool()
		_, client := s.fails("untrusted")
		if !isUntrusted(client.err) || isWrongHost(client.err) {
			s.Errorf("client lost by %v", client.err)
		}
	})
}

// A server that wants client certificates takes a good one, and refuses a bad
// one and none; one that does not takes anonymous clients.
func TestCase228ClientCertificates(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.server.ClientCAs, s.server.ClientAuth = s.ca.Pool(), tls.RequireAndVerifyClientCert
		s.client.Certificates = []tls.Certificate{s.ca.Issue("a client")}
		server, _ := s.shaken()
		if got := server.state.PeerCertificates; len(got) == 0 || got[0].Subject.CommonName != "a client" {
			s.Errorf("the server sees %v", got)
		}
		for name, certs := range map[string][]tls.Certificate{"bad": {newCA(s).Issue("a client")}, "none": nil} {
			s.client = s.client.Clone()
			s.client.Certificates = certs
			server, client := s.secure("server"), s.secure("client")
			s.begin(server, client)
			s.bothLost(server.talker, client.talker)
			if server.shaken > 0 || kindOf(server.err) != "failed" || kindOf(client.err) != "failed" && kindOf(client.err) != "lost" {
				s.Errorf("%s: lost by %v and %v", name, server.err, client.err)
			}
		}
		s.server = &tls.Config{Certificates: s.server.Certificates}
		s.shaken()
	})
}

// The host's name is sent, and the server may answer by it; an international
// one must be in ASCII form.
func TestCase229ServerName(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		var asked []string
		other := s.ca.Issue("xn--bcher-kva.test")
		s.server.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			asked = append(asked, hello.ServerName)
			return &other, nil
		}
		s.server.Certificates = nil
		s.client.ServerName = "xn--bcher-kva.test"
		s.shaken()
		if !slices.Equal(asked, []string{"xn--bcher-kva.test"}) {
			s.Errorf("the server was asked for %q", asked)
		}
		s.client = s.client.Clone()
		s.client.ServerName = "bücher.test"
		if err := mtls.Check(s.client, mtls.Client); err == nil {
			s.Errorf("%q was accepted", s.client.ServerName)
		}
	})
}

// A callback that panics costs its connection, and is reported.
func TestCase231SurpriseInACallback(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		s.client.VerifyConnection = func(tls.ConnectionState) error { panic("surprise") }
		server, client := s.secure("server"), s.secure("client")
		s.begin(server, client)
		s.bothLost(server.talker, client.talker)
		var e *transport.PanicError
		if !errors.As(client.err, &e) || client.shaken > 0 {
			s.Errorf("client lost by %v", client.err)
		}
		if all := s.TakeTroubles(); len(all) != 1 || all[0].Kind != loop.Panicked {
			s.Errorf("reported %v", all)
		}
	})
}

// What both offer is chosen, and can be seen; nothing if one is silent.
func TestCase232Case233ALPN(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		for _, c := range []struct {
			server, client []string
			want           string
		}{
			{[]string{"h2", "http/1.1"}, []string{"h2", "http/1.1"}, "h2"},
			{[]string{"h2", "spdy"}, []string{"gopher", "spdy"}, "spdy"},
			{nil, []string{"h2"}, ""},
			{[]string{"h2"}, nil, ""},
		} {
			s.server, s.client = s.server.Clone(), s.client.Clone()
			s.server.NextProtos, s.client.NextProtos = c.server, c.client
			server, client := s.shaken()
			for _, p := range []*secureTalker{server, client} {
				if secured, _ := transport.As[mtls.Secured](p.t); secured.NegotiatedProtocol() != c.want {
					s.Errorf("%v and %v: %q, want %q", c.server, c.client, secured.NegotiatedProtocol(), c.want)
				}
			}
		}
		s.server, s.client = s.server.Clone(), s.client.Clone()
		s.server.NextProtos, s.client.NextProtos = []string{"h2"}, []string{"gopher"}
		s.fails("no overlap")
	})
}

// Only chains to the given roots are trusted, be they one or several.
func TestCase236Roots(t *testing.T) {
	eachVersion(t, func(s *tlsScene) {
		other := newCA(s)
		several := s.ca.Pool()
		several.AddCert(certificateOf(s, other))
		s.client.RootCAs = several
		s.shaken()
		s.server, s.client = s.server.Clone(), s.client.Clone()
		s.server.Certificates = []tls.Certificate{other.Issue(tlsHost)}
		s.shaken()
		s.client = s.client.Clone()
		s.client.RootCAs = s.ca.Pool()
		s.fails("the other's")
	})
}

// certificateOf returns an authority's own certificate.
func certificateOf(s *tlsScene, ca *testenv.CA) *x509.Certificate {
	s.Helper()
	chain := ca.Issue("anybody").Certificate
	c, err := x509.ParseCertificate(chain[len(chain)-1])
	if err != nil {
		s.Fatal(err)
	}
	return c
}

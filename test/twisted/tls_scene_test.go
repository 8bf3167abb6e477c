package twisted

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

const tlsHost = "server.test"

// A tlsScene is a scene whose connections speak TLS.
type tlsScene struct {
	*scene
	ca             *testenv.CA
	server, client *tls.Config
	o              mtls.Options
	below          transport.Options
	ports          []*connector.Port
}

// eachTLS runs a case on every backend, with default and with hostile limits.
func eachTLS(t *testing.T, f func(s *tlsScene)) {
	run := func(w *backends.World) {
		s := &tlsScene{scene: newScene(w, tcp4), ca: testenv.NewCA(w)}
		s.server = &tls.Config{Certificates: []tls.Certificate{s.ca.Issue(tlsHost)}}
		s.client = &tls.Config{RootCAs: s.ca.Pool(), ServerName: tlsHost}
		f(s)
	}
	backends.Each(t, run)
	t.Run("hostile", func(t *testing.T) { backends.EachHostile(t, run) })
}

// eachVersion is eachTLS for each version of TLS.
func eachVersion(t *testing.T, f func(s *tlsScene)) {
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(v), func(t *testing.T) {
			eachTLS(t, func(s *tlsScene) {
				s.client.MinVersion, s.client.MaxVersion = v, v
				f(s)
			})
		})
	}
}

// A secureTalker is a talker that is told of the handshake.
type secureTalker struct {
	*talker
	onShaken func(p *secureTalker)
	state    tls.ConnectionState
	shaken   int
}

func (p *secureTalker) HandshakeCompleted(state tls.ConnectionState) {
	p.state = state
	p.shaken++
	p.note("shaken")
	if p.onShaken != nil {
		p.onShaken(p)
	}
}

func (p *secureTalker) Unwrap() any { return p.talker }

// secure returns a talker that notes what happens to it.
func (s *tlsScene) secure(name string) *secureTalker {
	return &secureTalker{talker: &talker{s: s.scene, name: name}}
}

// begin connects two protocols over TLS.
func (s *tlsScene) begin(server, client transport.Protocol) *connector.Connector {
	s.Helper()
	return s.beginClear(mtls.Wrap(server, s.server, mtls.Server, &s.o), mtls.Wrap(client, s.client, mtls.Client, &s.o))
}

// beginClear connects two protocols without TLS.
func (s *tlsScene) beginClear(server, client transport.Protocol) *connector.Connector {
	s.Helper()
	p := s.listenWith(only{p: server, s: s}, connector.ListenOptions{Transport: &s.below})
	s.ports = append(s.ports, p)
	return connector.Connect(s.l, connector.To(p.Addr()), only{p: client, s: s}, connector.Options{Transport: &s.below})
}

// An only is a factory of one protocol.
type only struct {
	connector.ClientBase
	p transport.Protocol
	s *tlsScene
}

func (f only) BuildProtocol(proactor.Address) transport.Protocol { return f.p }

func (f only) ConnectionLost(_ *connector.Connector, err error) { f.s.note("factory: %v", err) }

// idle stops listening, and checks that nothing is left.
func (s *tlsScene) idle() {
	s.Helper()
	for _, p := range s.ports {
		s.stop(p)
	}
	s.scene.idle()
}

// shake turns the loop until both have completed the handshake.
func (s *tlsScene) shake(a, b *secureTalker) {
	s.Helper()
	s.Until("both handshakes", func() bool { return a.shaken > 0 && b.shaken > 0 })
}

// pair connects two talkers over TLS, whose handshake is complete.
func (s *tlsScene) shaken() (server, client *secureTalker) {
	s.Helper()
	server, client = s.secure("server"), s.secure("client")
	s.begin(server, client)
	s.shake(server, client)
	return server, client
}

// fails checks that a handshake does not succeed on either side: both are lost,
// with an error of TLS, neither is told anything else.
func (s *tlsScene) fails(what string) (server, client *secureTalker) {
	s.Helper()
	server, client = s.secure("server"), s.secure("client")
	s.begin(server, client)
	s.bothLost(server.talker, client.talker)
	for _, p := range []*secureTalker{server, client} {
		var e *transport.ConnError
		if !errors.As(p.err, &e) || e.Op != "handshake" || e.Kind != transport.Failed || p.shaken > 0 || p.lost != 1 {
			s.Errorf("%s: %s was lost %d times, by %v, after %d notices; want a failed handshake", what, p.name, p.lost, p.err, p.shaken)
		}
	}
	return server, client
}

// under returns the transport below a talker's TLS.
func (p *secureTalker) under() transport.Transport {
	t, _ := p.t.(*mtls.Conn).Unwrap().(transport.Transport)
	return t
}

func isUntrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}

func isWrongHost(err error) bool {
	var host x509.HostnameError
	return errors.As(err, &host)
}

func (s *tlsScene) stats() mtls.Stats { return mtls.StatsOf(s.l) }

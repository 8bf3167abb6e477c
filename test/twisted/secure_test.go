package twisted

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mobius"
	"mobius/connector"
	"mobius/endpoint"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/transport"
)

// An informed talker is told of the handshake.
type informed struct {
	*talker
}

func (i informed) HandshakeCompleted(tls.ConnectionState) { i.note("secure") }

// secure returns a TLS server's port, and a client endpoint that trusts roots.
func (s *scene) secure(server *plant, names []string, roots *x509.CertPool, cert tls.Certificate) (*connector.Port, endpoint.Client) {
	s.Helper()
	over, err := endpoint.WrapServerTLS(&tls.Config{Certificates: []tls.Certificate{cert}}, s.serverAt(s.address()))
	if err != nil {
		s.Fatal(err)
	}
	p, err := result(s, over.Listen(server))
	if err != nil {
		s.Fatal(err)
	}
	client, err := endpoint.WrapClientTLS(&tls.Config{RootCAs: roots, ServerName: names[0]}, s.clientTo(p.Addr()))
	if err != nil {
		s.Fatal(err)
	}
	return p.(*connector.Port), client
}

// An endpoint's result is a protocol whose server is verified, or the error.
func TestX24UntrustedServer(t *testing.T) {
	each(t, func(s *scene) {
		ca, other := testenv.NewCA(s), testenv.NewCA(s)
		server := s.silent("server")
		server.talker.onData = func(p *talker) { p.write("pong") }
		p, good := s.secure(server, []string{"good.example"}, ca.Pool(), ca.Issue("good.example"))
		client := s.plant("client")
		client.wrap = func(p *talker) transport.Protocol { return informed{p} }
		got, err := result(s, good.Connect(s.Context(), client))
		if err != nil || got != mobius.Protocol(informed{client.made[0]}) {
			s.Fatalf("trusted: %v, %v", got, err)
		}
		s.expect("client start", "client connecting", "client build", "client made", "client secure")
		client.made[0].write("ping")
		client.made[0].has(4)
		client.made[0].t.LoseConnection()
		s.await("client stop")

		for name, config := range map[string]*tls.Config{
			"untrusted":  {RootCAs: other.Pool(), ServerName: "good.example"},
			"wrong name": {RootCAs: ca.Pool(), ServerName: "bad.example"},
		} {
			bad, err := endpoint.WrapClientTLS(config, s.clientTo(p.Addr()))
			if err != nil {
				s.Fatal(err)
			}
			s.events = nil
			late := s.plant("client")
			_, err = result(s, bad.Connect(s.Context(), late))
			var verify *tls.CertificateVerificationError
			if !errors.As(err, &verify) {
				s.Errorf("%s: %v", name, err)
			}
			s.await("client stop")
			if len(late.errs) != 1 || !errors.As(late.errs[0], &verify) {
				s.Errorf("%s: the factory was told %v", name, late.errs)
			}
		}
		s.stop(p)
	})
}

// The future of a TLS endpoint is given up at every stage.
func TestCancelOfAHandshake(t *testing.T) {
	each(t, func(s *scene) {
		ca := testenv.NewCA(s)
		mute := s.silent("mute") // accepts, and never says anything
		p := s.listen(mute)
		client, err := endpoint.WrapClientTLS(&tls.Config{RootCAs: ca.Pool(), ServerName: "x"}, s.clientTo(p.Addr()))
		if err != nil {
			s.Fatal(err)
		}
		for _, stage := range []string{"at once", "in the handshake"} {
			s.events = nil
			mute.made = nil
			f := client.Connect(s.Context(), s.plant("client"))
			if stage != "at once" {
				s.Until("accepted", func() bool { return len(mute.made) == 1 && len(mute.made[0].got) > 0 })
			}
			f.Cancel()
			fails(s, f, transport.Aborted, loop.ErrCanceled)
			s.await("client stop")
		}
		ctx, stop := context.WithCancelCause(s.Context())
		mute.made = nil
		f := client.Connect(ctx, s.silent("client"))
		s.Until("accepted", func() bool { return len(mute.made) == 1 && len(mute.made[0].got) > 0 })
		late := errors.New("too late")
		stop(late)
		for !done(f) && s.Net != nil {
			s.Turn() // no time passes, or the handshake would time out
		}
		fails(s, f, transport.Aborted, late)
		s.stop(p)
	})
}

func TestTLSDescriptions(t *testing.T) {
	each(t, func(s *scene) {
		ca := testenv.NewCA(s)
		cert, key, root := ca.Files(ca.Issue("localhost", "127.0.0.1"))
		quote := endpoint.Quote
		text := "ssl:0:interface=127.0.0.1:privateKey=" + quote(key) + ":certKey=" + quote(cert)
		server, err := endpoint.ParseServer(desk{s: s}, text)
		if err != nil || server.String() != text {
			s.Fatalf("%v, %v", server, err)
		}
		p, err := result(s, server.Listen(s.silent("server")))
		if err != nil {
			s.Fatal(err)
		}
		port := strconv.Itoa(int(p.Addr().Port()))
		for _, text := range []string{
			"tls:127.0.0.1:" + port + ":trustRoots=" + quote(root),
			"tls:host=127.0.0.1:port=" + port + ":trustRoots=" + quote(root) + ":timeout=5",
			"ssl:127.0.0.1:" + port + ":caCertsDir=" + quote(root),
			"tls:localhost:trustRoots=" + quote(root) + ":endpoint=" + quote("tcp:127.0.0.1:"+port),
		} {
			c, err := endpoint.ParseClient(desk{s: s}, text)
			if err != nil {
				s.Fatalf("%s: %v", text, err)
			}
			client := s.silent("client")
			if _, err := result(s, c.Connect(s.Context(), client)); err != nil {
				s.Errorf("%s: %v", text, err)
				continue
			}
			client.made[0].t.AbortConnection()
		}
		empty := s.TempDir()
		bad := filepath.Join(empty, "bad")
		if err := os.WriteFile(bad, []byte("no PEM"), 0o600); err != nil {
			s.Fatal(err)
		}
		for text, want := range map[string]string{
			"tls:h:1:trustRoots=" + quote(empty): "no file *.pem", "tls:h:1:trustRoots=" + quote(bad): "no certificate",
			"tls:h:1:trustRoots=/no/such": "no such file", "tls:h:1:certificate=" + quote(cert): "certificate",
			"tls:h": "port", "tls:h:1:endpoint=x": "no type of client",
		} {
			if c, err := endpoint.ParseClient(desk{s: s}, text); err == nil || !strings.Contains(err.Error(), want) {
				s.Errorf("%s: %v, %v; want an error that says %q", text, c, err, want)
			}
		}
		for _, text := range []string{"ssl:0", "ssl:0:privateKey=/no/such", "tls:0:privateKey=" + quote(key) + ":sslmethod=SSLv3_METHOD"} {
			if c, err := endpoint.ParseServer(desk{s: s}, text); err == nil {
				s.Errorf("%s: %v", text, c)
			}
		}
		_, _ = result(s, p.StopListening())
	})
}

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

const tlsHost = "server.test"

// A secured is what two programs need to speak TLS.
type secured struct {
	ca            *testenv.CA
	pair          tls.Certificate
	cert, key, of string // files; of is the authority's
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	ca := testenv.NewCA(t)
	s := &secured{ca: ca, pair: ca.Issue(tlsHost, "127.0.0.1")}
	s.cert, s.key, s.of = ca.Files(s.pair)
	return s
}

// dialTLS connects to where the process says that it listens.
func (p *process) dialTLS(config *tls.Config) (*tls.Conn, error) {
	p.t.Helper()
	addr := p.line("listening on tls://")
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", addr, config)
	if err == nil {
		p.t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// upstreamTLS is upstream for TLS.
func (s *secured) upstream(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	return "tls" + strings.TrimPrefix(upstream(t, func(c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{s.pair}})
		handle(secure)
		secure.CloseWrite()
	}), "tcp")
}

// Every combination of a plain side and one of TLS, with a late reply after the
// end of the request.
func TestProxyTLS(t *testing.T) {
	s := newSecured(t)
	answer := func(c net.Conn) {
		request, err := io.ReadAll(c)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(c, "you said %s", request)
	}
	onEach(t, func(t *testing.T, start func(...string) *process) {
		plain, secure := upstream(t, answer), s.upstream(t, answer)
		for _, args := range [][]string{
			{"--listen", "tls://127.0.0.1:0", "--to", plain, "--cert", s.cert, "--key", s.key},
			{"--listen", "tcp://127.0.0.1:0", "--to", secure, "--ca", s.of},
			{"--listen", "tls://127.0.0.1:0", "--to", secure, "--cert", s.cert, "--key", s.key, "--ca", s.of, "--servername", tlsHost},
		} {
			p := start(append([]string{"proxy", "--loops", "2", "--status", "127.0.0.1:0"}, args...)...)
			var c interface {
				net.Conn
				CloseWrite() error
			}
			if strings.HasPrefix(args[1], "tls") {
				secure, err := p.dialTLS(&tls.Config{RootCAs: s.ca.Pool(), ServerName: tlsHost})
				if err != nil {
					t.Fatal(err)
				}
				c = secure
			} else {
				c = p.dial().(*net.TCPConn)
			}
			text := strings.Repeat("all of it, ", 100_000)
			if _, err := io.WriteString(c, text); err != nil {
				t.Fatal(err)
			}
			if err := c.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			if reply, err := io.ReadAll(c); err != nil || string(reply) != "you said "+text {
				t.Errorf("%v: a reply of %d bytes, %v", args, len(reply), err)
			}
			c.Close()
			p.signal(syscall.SIGTERM)
			if status := p.status(); status != 0 {
				t.Errorf("%v: exit status %d", args, status)
			}
		}
	})
}

// Handshakes that fail are counted, and the page shows them.
func TestProxyTLSFailures(t *testing.T) {
	s := newSecured(t)
	p := start(t, "proxy", "--listen", "tls://127.0.0.1:0", "--to", s.upstream(t, echoes), "--cert", s.cert, "--key", s.key,
		"--client-ca", s.of, "--status", "127.0.0.1:0") // --ca is missing: the system does not know the upstream's authority
	config := &tls.Config{RootCAs: s.ca.Pool(), ServerName: tlsHost}
	if c, err := p.dialTLS(config); err == nil {
		if _, err = c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), "certificate required") {
			t.Errorf("without a certificate: %v", err)
		}
		c.Close()
	}
	config.Certificates = []tls.Certificate{s.ca.Issue("client.test")}
	c, err := p.dialTLS(config)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); !isReset(err) {
		t.Errorf("with an upstream that cannot be verified: %d bytes, %v; want a reset", n, err)
	}
	testenv.Eventually(t, patience, "the failures are counted", func() bool {
		v := status(t, p).Proxy
		loop := v.Loops[0].TLS
		return v.Ends["handshake"] == 1 && v.Ends["no upstream"] == 1 && v.Upstreams[0].Failed == 1 && !v.Upstreams[0].Up &&
			strings.Contains(v.Upstreams[0].Error, "unknown authority") && loop.Failed == 2 && loop.Completed == 1
	})
	page, _ := get(t, p.line("status on "))
	for _, want := range []string{"1 failed handshakes", "TLS handshakes, with clients", "unknown authority", "tls://127.0.0.1"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestEchoTLS(t *testing.T) {
	s := newSecured(t)
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("echo", "--listen", "tls://127.0.0.1:0", "--cert", s.cert, "--key", s.key, "--status", "127.0.0.1:0")
		c, err := p.dialTLS(&tls.Config{RootCAs: s.ca.Pool(), ServerName: tlsHost})
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(c, "over TLS"); err != nil {
			t.Error(err)
		}
		if _, err := p.dialTLS(&tls.Config{ServerName: tlsHost}); err == nil {
			t.Error("a client that knows no authority was served")
		}
		testenv.Eventually(t, patience, "the failure is counted", func() bool { return status(t, p).Echo.Failed == 1 })
		if page, _ := get(t, p.line("status on ")); !strings.Contains(page, "1 TLS handshakes failed") {
			t.Error("the page does not say that a handshake failed")
		}
		c.Close()
		p.signal(syscall.SIGTERM)
		if status := p.status(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	})
}

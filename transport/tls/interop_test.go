package tls

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/test/backends"
	"mobius/transport"
)

// eachReal runs a test with real sockets, for the sake of other programs.
func eachReal(t *testing.T, f func(s *scene)) {
	backends.EachReal(t, func(w *backends.World) {
		s := newScene(w)
		f(s)
		s.ends()
	})
}

// A program is another program that runs beside the loop.
type program struct {
	in   io.WriteCloser
	out  bytes.Buffer // once done
	done chan error
}

// run starts a program; it is killed at the end of the test at the latest.
func (s *scene) run(name string, args ...string) *program {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
	cmd := exec.CommandContext(ctx, testenv.Program(s, name), args...)
	p := &program{done: make(chan error, 1)}
	cmd.Stdout, cmd.Stderr = &p.out, &p.out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		s.Fatal(err)
	}
	p.in = in
	over := make(chan struct{})
	go func() {
		defer close(over)
		p.done <- cmd.Wait()
	}()
	s.Cleanup(func() { cancel(); <-over })
	return p
}

// ends waits for a program's end.
func (p *program) ends(s *scene) error {
	s.Helper()
	var err error
	s.until("the program's end", func() bool {
		select {
		case err = <-p.done:
			return true
		default:
			return false
		}
	})
	return err
}

// curl fetches from our server, by either version, and verifies it.
func TestCurl(t *testing.T) {
	for _, version := range []string{"1.2", "1.3"} {
		t.Run(version, func(t *testing.T) {
			eachReal(t, func(s *scene) {
				_, _, ca := s.ca.Files(s.server.Certificates[0])
				server := s.rec("server")
				body := string(pattern(300_000))
				server.onData = func(r *rec) {
					if strings.HasSuffix(r.got.String(), "\r\n\r\n") {
						r.write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", len(body)))
						r.write(body)
						r.t.LoseConnection()
					}
				}
				port := s.listenTLS(func() transport.Protocol { return server }).Addr().Port()
				p := s.run("curl", "-sS", "--tlsv"+version, "--tls-max", version, "--cacert", ca, "--max-time", "20",
					"--resolve", fmt.Sprintf("%s:%d:127.0.0.1", host, port), fmt.Sprintf("https://%s:%d/", host, port))
				if err := p.ends(s); err != nil || p.out.String() != body {
					t.Fatalf("curl: %v, %d bytes of %d", err, p.out.Len(), len(body))
				}
				if want := "TLS " + version; tls.VersionName(server.state.Version) != want {
					t.Errorf("%s, want %s", tls.VersionName(server.state.Version), want)
				}
				s.until("the server's end", server.lost)
				if server.kind() != transport.Done {
					t.Errorf("server lost by %v", server.err)
				}
			})
		})
	}
}

// openssl s_client talks to our server: an echo, new keys in the middle (K),
// and a proper end.
func TestOpenSSLClient(t *testing.T) {
	for _, flag := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(flag, func(t *testing.T) {
			eachReal(t, func(s *scene) {
				_, _, ca := s.ca.Files(s.server.Certificates[0])
				server := s.rec("server")
				server.onData = func(r *rec) {
					if strings.HasSuffix(r.got.String(), "bye\n") {
						r.write("got: " + strings.ReplaceAll(r.got.String(), "\n", "+"))
						r.t.LoseConnection()
					}
				}
				port := s.listenTLS(func() transport.Protocol { return server }).Addr().Port()
				p := s.run("openssl", "s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port), flag, "-CAfile", ca,
					"-verify_return_error", "-servername", host, "-verify_hostname", host)
				io.WriteString(p.in, "hello\n")
				s.until("hello", func() bool { return server.got.Len() > 0 })
				if flag == "-tls1_3" {
					io.WriteString(p.in, "K\n") // update keys, and ask for it
					s.Pass(s.l, 50*time.Millisecond)
				}
				io.WriteString(p.in, "bye\n")
				_ = p.ends(s) // its exit code says how the verification went, in some versions
				if !strings.Contains(p.out.String(), "got: hello+bye+") || !strings.Contains(p.out.String(), "Verify return code: 0") {
					t.Fatalf("openssl said: %s", p.out.String())
				}
				s.until("the server's end", server.lost)
				if server.kind() != transport.Done {
					t.Errorf("server lost by %v", server.err)
				}
			})
		})
	}
}

// A client that wants to renegotiate is refused.
func TestRenegotiationIsRefused(t *testing.T) {
	eachReal(t, func(s *scene) {
		server := s.rec("server")
		port := s.listenTLS(func() transport.Protocol { return server }).Addr().Port()
		p := s.run("openssl", "s_client", "-connect", fmt.Sprintf("127.0.0.1:%d", port), "-tls1_2")
		s.until("the handshake", server.shaken)
		io.WriteString(p.in, "R\n")
		s.until("the server's end", server.lost)
		server.ended(transport.Lost, "read")
		_ = p.ends(s)
	})
}

// Our client talks to openssl s_server -rev, which turns each line round.
func TestOpenSSLServer(t *testing.T) {
	for _, flag := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(flag, func(t *testing.T) {
			eachReal(t, func(s *scene) {
				cert, key, _ := s.ca.Files(s.server.Certificates[0])
				port := s.listen(func() transport.Protocol { return s.rec("nobody") }) // finds a free port
				addr := port.Addr()
				stopped := port.StopListening()
				s.until("the port is free", func() bool {
					select {
					case <-stopped.Done():
						return true
					default:
						return false
					}
				})
				s.run("openssl", "s_server", "-accept", addr.String(), "-cert", cert, "-key", key, flag, "-rev", "-quiet")
				testenv.Eventually(t, 10*time.Second, "s_server listens", func() bool {
					c, err := net.Dial("tcp", addr.String())
					if err == nil {
						c.Close()
					}
					return err == nil
				})
				client := s.rec("client")
				client.onMade = func(r *rec) { r.write("hello\n") }
				s.dialTLS(addr, client)
				s.until("the answer", func() bool { return client.got.String() == "olleh\n" || client.lost() })
				if client.lost() {
					t.Fatalf("lost by %v", client.err)
				}
				client.t.LoseConnection()
				s.until("the end", client.lost)
				client.ended(transport.Done, "close")
			})
		})
	}
}

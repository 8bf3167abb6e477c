package traffic

import (
	"crypto/tls"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"mobius/internal/testenv"
)

const tlsHost = "server.test"

// startSecure starts the program as a proxy that terminates TLS.
func startSecure(t *testing.T, backend, to string, flags ...string) (port string) {
	t.Helper()
	args := append([]string{"proxy", "--backend", backend, "--listen", "tls://127.0.0.1:0", "--to", to}, flags...)
	p := start(t, exec.Command(program(t), args...), "mobius proxy on "+backend)
	return p.wait(t, "where it listens", func(line string) (string, bool) {
		return strings.CutPrefix(line, "listening on tls://127.0.0.1:")
	})
}

// certificates are files for a server named tlsHost: its certificate, the key, and the authority.
func certificates(t *testing.T) (ca *testenv.CA, cert, key, authority string) {
	t.Helper()
	ca = testenv.NewCA(t)
	cert, key, authority = ca.Files(ca.Issue(tlsHost, "127.0.0.1"))
	return ca, cert, key, authority
}

// curl fetches a page of nginx through a proxy that terminates TLS, by either
// version, and through one that also speaks TLS to nginx.
func TestCurlThroughTLS(t *testing.T) {
	curl := testenv.Program(t, "curl")
	_, cert, key, ca := certificates(t)
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			plain := startSecure(t, backend, "tcp://"+startNginx(t), "--cert", cert, "--key", key)
			both := startSecure(t, backend, "tls://"+startNginxTLS(t, cert, key),
				"--cert", cert, "--key", key, "--ca", ca, "--servername", tlsHost)
			for _, port := range []string{plain, both} {
				for _, version := range []string{"1.2", "1.3"} {
					out, err := exec.Command(curl, "-sS", "--fail", "--tlsv"+version, "--tls-max", version, "--cacert", ca,
						"--max-time", "20", "--resolve", tlsHost+":"+port+":127.0.0.1", "--write-out", "%{ssl_verify_result} %{http_code}",
						"https://"+tlsHost+":"+port+"/").CombinedOutput()
					if err != nil || !strings.HasPrefix(string(out), "The quick brown fox") || !strings.HasSuffix(string(out), "0 200") {
						t.Errorf("curl --tlsv%s: %v\n%s", version, err, out)
					}
				}
			}
		})
	}
}

// openssl s_client talks through the proxy to an echo of ours, and ends.
func TestOpenSSLThroughTLS(t *testing.T) {
	openssl := testenv.Program(t, "openssl")
	_, cert, key, ca := certificates(t)
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			port := startSecure(t, backend, "tcp://"+serve(t, echo), "--cert", cert, "--key", key)
			for _, version := range []string{"-tls1_2", "-tls1_3"} {
				cmd := exec.Command(openssl, "s_client", "-connect", "127.0.0.1:"+port, version, "-CAfile", ca,
					"-verify_return_error", "-servername", tlsHost, "-verify_hostname", tlsHost, "-ign_eof")
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _ = io.WriteString(in, "hello through the proxy\n") // what comes back tells
				}()
				out, err := cmd.StdoutPipe()
				if err == nil {
					err = cmd.Start()
				}
				if err != nil {
					t.Fatal(err)
				}
				said := readUntil(out, "\nhello through the proxy\n")
				_ = in.Close()
				_ = cmd.Process.Kill()
				_ = cmd.Wait() // killed
				if !strings.Contains(said, "Verify return code: 0") || !strings.Contains(said, "hello through the proxy\n") {
					t.Errorf("%s: openssl said\n%s", version, said)
				}
			}
		})
	}
}

// readUntil reads until the text has come, or the end.
func readUntil(r io.Reader, text string) string {
	var said strings.Builder
	piece := make([]byte, 4096)
	for !strings.Contains(said.String(), text) {
		n, err := r.Read(piece)
		said.Write(piece[:n])
		if err != nil {
			break
		}
	}
	return said.String()
}

// An openssl s_server is the upstream.
func TestOpenSSLUpstream(t *testing.T) {
	openssl := testenv.Program(t, "openssl")
	ca, cert, key, authority := certificates(t)
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
			start(t, exec.Command(openssl, "s_server", "-accept", addr, "-cert", cert, "-key", key, "-rev", "-quiet"), "s_server")
			answers(t, addr)
			port := startSecure(t, backend, "tls://"+addr, "--cert", cert, "--key", key, "--ca", authority)
			c, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{RootCAs: ca.Pool(), ServerName: tlsHost})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			deadline(t, c, testenv.Patience())
			if _, err := io.WriteString(c, "hello\n"); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 6)
			if _, err := io.ReadFull(c, got); err != nil || string(got) != "olleh\n" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// startNginxTLS is startNginx for TLS.
func startNginxTLS(t *testing.T, cert, key string) string {
	t.Helper()
	return runNginx(t, "ssl", fmt.Sprintf("ssl_certificate %s; ssl_certificate_key %s;", cert, key))
}

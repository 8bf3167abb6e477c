package stacks

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// mux is the server of these tests.
func mux() *http.ServeMux {
	m := http.NewServeMux()
	m.HandleFunc("/hello", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "hello by %s\n", r.Proto) })
	m.HandleFunc("/sum", func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, h.Sum(nil), err)
	})
	m.HandleFunc("/much", func(w http.ResponseWriter, r *http.Request) {
		for range 256 {
			_, _ = io.WriteString(w, strings.Repeat("0123456789abcdef", 4096))
		}
	})
	return m
}

// serveHTTP serves until the test is over. With https it speaks HTTP/2, too.
func serveHTTP(t *testing.T, s stack, h http.Handler, https bool) (*httptest.Server, *http.Client) {
	t.Helper()
	server := &httptest.Server{Listener: listen(t, s), Config: &http.Server{Handler: h}, EnableHTTP2: https}
	if https {
		server.StartTLS()
	} else {
		server.Start()
	}
	tr := &http.Transport{DialContext: s.DialContext, ForceAttemptHTTP2: https}
	if https {
		tr.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		tr.TLSClientConfig.NextProtos = nil
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		server.Close()
	})
	return server, &http.Client{Transport: tr, Timeout: patience}
}

func testClient(t *testing.T, base string, client *http.Client, proto string) {
	t.Helper()
	sent := strings.Repeat("what is sent, ", 300_000)
	want := fmt.Sprintf("%d %x <nil>", len(sent), sha256.Sum256([]byte(sent)))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 5 {
				r, err := client.Get(base + "/hello")
				if err != nil {
					t.Error(err)
					return
				}
				if got := readAll(t, r.Body); got != "hello by "+proto+"\n" {
					t.Errorf("%q", got)
				}
			}
		})
	}
	all.Wait()
	r, err := client.Post(base+"/sum", "text/plain", strings.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, r.Body); got != want {
		t.Errorf("the server has %q, want %q", got, want)
	}
	if r, err = client.Get(base + "/much"); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, r.Body); got != strings.Repeat("0123456789abcdef", 256*4096) {
		t.Errorf("%d bytes, or other ones", len(got))
	}
}

func TestHTTP1(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		server, client := serveHTTP(t, s, mux(), false)
		testClient(t, server.URL, client, "HTTP/1.1")
	})
}

func TestHTTP2(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		server, client := serveHTTP(t, s, mux(), true)
		testClient(t, server.URL, client, "HTTP/2.0")
	})
}

func TestReverseProxy(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		upstream, _ := serveHTTP(t, s, mux(), false)
		to, err := url.Parse(upstream.URL)
		if err != nil {
			t.Fatal(err)
		}
		p := httputil.NewSingleHostReverseProxy(to)
		tr := &http.Transport{DialContext: s.DialContext}
		t.Cleanup(tr.CloseIdleConnections)
		p.Transport = tr
		front, client := serveHTTP(t, s, p, false)
		testClient(t, front.URL, client, "HTTP/1.1")
	})
}

// wrk says what went wrong only if something did.
func TestWrk(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		server, _ := serveHTTP(t, s, mux(), false)
		out := load(t, `requests in`, "wrk", "-t1", "-c50", "-d"+length()+"s", server.URL+"/hello")
		if strings.Contains(out, "Socket errors") || strings.Contains(out, "Non-2xx") {
			t.Errorf("%s", out)
		}
	})
}

func TestH2load(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		server, _ := serveHTTP(t, s, mux(), true)
		load(t, `, 0 failed, 0 errored, 0 timeout`, "h2load", "-c20", "-m10", "-D"+length(), server.URL+"/hello")
	})
}

// A handler takes its connection over, with what was read ahead.
func TestHijack(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		m := http.NewServeMux()
		m.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			c, buf, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			for {
				line, err := buf.ReadString('\n')
				if err != nil {
					return
				}
				if _, err := io.WriteString(c, "echo "+line); err != nil {
					t.Error(err)
				}
			}
		})
		server, _ := serveHTTP(t, s, m, false)
		c := dial(t, s, server.Listener.Addr())
		for _, line := range []string{"GET / HTTP/1.1\r\nHost: x\r\n\r\nfirst\n", "second\n"} {
			if _, err := io.WriteString(c, line); err != nil {
				t.Fatal(err)
			}
			want := "echo " + line[strings.LastIndex(line, "\r\n")+1:]
			want = strings.Replace(want, "echo \n", "echo ", 1)
			b := make([]byte, len(want))
			if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
				t.Fatalf("%q, %v, want %q", b, err, want)
			}
		}
	})
}

// Shutdown lets a request under way end, and closes idle connections.
func TestShutdown(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		entered, leave := make(chan struct{}), make(chan struct{})
		m := http.NewServeMux()
		m.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			_, _ = io.WriteString(w, "done")
		})
		server, client := serveHTTP(t, s, m, false)
		idle := dial(t, s, server.Listener.Addr())
		if _, err := io.WriteString(idle, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answered := bufio.NewReader(idle)
		r, err := http.ReadResponse(answered, nil) // from here on it is idle
		if err != nil || r.StatusCode != http.StatusNotFound {
			t.Fatalf("the connection that is to be idle has %+v, %v", r, err)
		}
		readAll(t, r.Body)
		answers := make(chan string, 1)
		go func() {
			r, err := client.Get(server.URL + "/slow")
			if err != nil {
				answers <- err.Error()
				return
			}
			b, err := io.ReadAll(r.Body)
			answers <- fmt.Sprint(string(b), err)
		}()
		wait(t, entered)
		ended := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		go func() { ended <- server.Config.Shutdown(ctx) }()
		if b, err := io.ReadAll(answered); err != nil || len(b) > 0 {
			t.Errorf("the idle connection has %q, %v, want its end", b, err)
		}
		close(leave)
		if got := wait(t, answers); got != "done<nil>" {
			t.Errorf("the request under way has %q", got)
		}
		if err := wait(t, ended); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

// A client that sends its header too slowly is cut off; others are not.
func TestSlowHeader(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		l := listen(t, s)
		server := &http.Server{Handler: mux(), ReadHeaderTimeout: 200e6}
		go func() { _ = server.Serve(l) }()
		t.Cleanup(func() { _ = server.Close() })
		slow := dial(t, s, l.Addr())
		if _, err := io.WriteString(slow, "GET / HTTP/1.1\r\nHost:"); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(slow); err != nil {
			if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Errorf("the slow client was not cut off: %v", err)
			}
		}
		tr := &http.Transport{DialContext: s.DialContext}
		defer tr.CloseIdleConnections()
		r, err := (&http.Client{Transport: tr}).Get("http://" + l.Addr().String() + "/hello")
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, r.Body)
	})
}

// TLS of package crypto/tls over the connections themselves.
func TestTLSState(t *testing.T) {
	each(t, func(t *testing.T, s stack) {
		server, client := serveHTTP(t, s, mux(), true)
		r, err := client.Get(server.URL + "/hello")
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, r.Body)
		if r.TLS == nil || r.TLS.Version != tls.VersionTLS13 {
			t.Errorf("TLS is %+v", r.TLS)
		}
	})
}

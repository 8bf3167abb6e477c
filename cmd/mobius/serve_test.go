package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// onEach runs test once for each backend, which the process is told by name and says itself.
func onEach(t *testing.T, test func(t *testing.T, start func(args ...string) *process)) {
	for _, name := range backends(t) {
		t.Run(name, func(t *testing.T) {
			test(t, func(args ...string) *process {
				t.Helper()
				p := start(t, append(args, "--backend", name)...)
				if got := p.line("on "); got != backendTitle(name) {
					t.Fatalf("runs on %s, want %s", got, name)
				}
				return p
			})
		})
	}
}

const anyPort = "tcp://127.0.0.1:0"

func get(t *testing.T, url string) (body, contentType string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(b), r.Header.Get("Content-Type")
}

// Without --to there is something to see at once, at the address it prints.
func TestDemo(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("proxy", "--listen", anyPort)
		page, kind := get(t, p.line("open ")+"some/path")
		if !strings.Contains(page, "It works") || !strings.Contains(page, "/some/path") || kind != "text/html; charset=utf-8" {
			t.Errorf("%s: %s", kind, page)
		}
		if !strings.Contains(page, p.line("listening on ")) || !strings.Contains(page, p.line("on ")) {
			t.Errorf("the page names neither the proxy's address nor its backend: %s", page)
		}
		if urls := p.line("open "); strings.Contains(urls, ":0/") {
			t.Errorf("open %s", urls)
		}
	})
}

// A browser's idle connection does not hold up the end.
func TestDemoDrainsIdleConnections(t *testing.T) {
	p := start(t, "proxy", "--listen", anyPort, "--drain-timeout", "1h")
	client := http.Client{Timeout: patience}
	defer client.CloseIdleConnections()
	r, err := client.Get(p.line("open "))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	p.signal(syscall.SIGTERM)
	if status := p.status(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestProxyTCPAndUnix(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		dir := t.TempDir()
		inner := start("echo", "--listen", "unix://"+filepath.Join(dir, "echo"), "--loops", "2")
		p := start("proxy", "--listen", "unix://"+filepath.Join(dir, "front"), "--listen", anyPort,
			"--to", inner.line("listening on "), "--loops", "2", "--reuseport")
		for range 4 {
			if err := ask(p.dial(), "through two unix sockets"); err != nil {
				t.Error(err)
			}
		}
		var tcp string
		for _, l := range p.lines {
			if rest, ok := strings.CutPrefix(l, "listening on tcp"); ok {
				tcp = "tcp" + rest
			}
		}
		c, err := dialURL(tcp)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := ask(c, "through tcp"); err != nil {
			t.Error(err)
		}
	})
}

// A request, the client's end, and the reply a while later.
func TestLateReplyAfterHalfClose(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		to := upstream(t, func(c net.Conn) {
			request, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			pause := time.NewTimer(100 * time.Millisecond)
			<-pause.C
			fmt.Fprintf(c, "you said %s", request)
		})
		c := start("proxy", "--listen", anyPort, "--to", to).dial()
		fmt.Fprint(c, "all of it")
		if err := c.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if reply, err := io.ReadAll(c); err != nil || string(reply) != "you said all of it" {
			t.Errorf("reply %q, %v", reply, err)
		}
	})
}

func TestUpstreamResetIsAReset(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		to := upstream(t, func(c net.Conn) {
			io.ReadFull(c, make([]byte, 4))
			c.Write([]byte("half of"))
			io.ReadFull(c, make([]byte, 4))
			c.(*net.TCPConn).SetLinger(0)
		})
		c := start("proxy", "--listen", anyPort, "--to", to).dial()
		c.Write([]byte("1234"))
		if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
			t.Fatal(err)
		}
		c.Write([]byte("5678"))
		if n, err := c.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("read %d bytes, %v; want a reset", n, err)
		}
	})
}

// refusing is a port that refuses.
func refusing(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return "tcp://" + ln.Addr().String()
}

func TestUpstreamDown(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		down := refusing(t)
		p := start("proxy", "--listen", anyPort, "--to", down, "--status", "127.0.0.1:0")
		c, err := dialURL(p.line("listening on "))
		if err == nil { // else the reset was there first
			defer c.Close()
			c.SetDeadline(time.Now().Add(patience))
			_, err = c.Read(make([]byte, 1))
		}
		if !isReset(err) {
			t.Errorf("%v; want a reset", err)
		}
		s := status(t, p)
		if u := s.Proxy.Upstreams[0]; u.Up || u.Failed != 1 || u.Address != down || !strings.Contains(u.Error, "refused") {
			t.Errorf("the status says of the upstream %+v", u)
		}
		if page, _ := get(t, p.line("status on ")); !strings.Contains(page, ">down<") {
			t.Error("the status page does not say that the upstream is down")
		}
	})
}

// With one of two upstreams down no client notices.
func TestNextUpstream(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("proxy", "--listen", anyPort, "--to", refusing(t), "--to", upstream(t, echoes), "--status", "127.0.0.1:0")
		for range 6 {
			if err := ask(p.dial(), "hello"); err != nil {
				t.Error(err)
			}
		}
		s := status(t, p)
		down, up := s.Proxy.Upstreams[0], s.Proxy.Upstreams[1]
		if down.Up || down.Failed < 1 || down.Failed > 2 || !up.Up || up.Total != 6 {
			t.Errorf("the status says of the upstreams %+v, %+v", down, up)
		}
	})
}

func status(t *testing.T, p *process) (s snapshot) {
	t.Helper()
	text, kind := get(t, p.line("status on ")+"status.json")
	if err := json.Unmarshal([]byte(text), &s); err != nil || kind != "application/json; charset=utf-8" {
		t.Fatalf("%s: %v\n%s", kind, err, text)
	}
	return s
}

func TestStatus(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("proxy", "--listen", anyPort, "--to", upstream(t, echoes), "--status", "127.0.0.1:0", "--loops", "2")
		a, b := p.dial(), p.dial()
		if err := errors.Join(ask(a, "hello"), ask(b, "world!")); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, patience, "live sessions are counted", func() bool {
			s := status(t, p).Proxy
			return s.Live == 2 && s.Accepted == 2 && s.Sent == 11 && s.Received == 11 && s.Rates.Accepted > 0
		})
		a.Close()
		testenv.Eventually(t, patience, "a session's end is counted", func() bool {
			s := status(t, p).Proxy
			return s.Live == 1 && s.Ends["done"] == 1 && len(s.Reports) == 1 &&
				s.Reports[0].Reason == "done" && s.Reports[0].Sent == 5
		})
		s := status(t, p)
		if s.Command != "proxy" || s.PID != p.cmd.Process.Pid || s.Backend.Loops != 2 || s.GOMAXPROCS < 4 || s.Memory.Mallocs == 0 ||
			s.Backend.Why != "asked for by name" || backendTitle(s.Backend.Name) != p.line("on ") || len(s.Proxy.Loops) != 2 {
			t.Errorf("the status says %+v", s)
		}
		page, kind := get(t, p.line("status on "))
		for _, want := range []string{
			p.line("listening on "), p.line("on "), "serving", "Upstreams", "Throughput", "setInterval", ">up<",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the status page does not contain %q", want)
			}
		}
		if part, _ := get(t, p.line("status on ")+"part"); kind != "text/html; charset=utf-8" || strings.Contains(part, "<html") ||
			!strings.Contains(part, "Live connections") {
			t.Errorf("the page's part: %s", part)
		}
	})
}

// A drain lets connections end by themselves, and refuses new ones.
func TestDrainOnSIGTERM(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		for _, args := range [][]string{
			{"proxy", "--listen", anyPort, "--to", upstream(t, echoes), "--loops", "2"}, {"echo", "--listen", anyPort, "--loops", "2"},
		} {
			p := start(args...)
			conns := []net.Conn{p.dial(), p.dial()}
			if err := errors.Join(ask(conns[0], "before"), ask(conns[1], "before")); err != nil {
				t.Fatal(err)
			}
			p.signal(syscall.SIGTERM)
			testenv.Eventually(t, patience, "the port refuses", func() bool {
				c, err := dialURL(p.line("listening on "))
				if err == nil {
					c.Close()
				}
				return errors.Is(err, syscall.ECONNREFUSED)
			})
			for _, c := range conns {
				if err := ask(c, "while it drains"); err != nil {
					t.Errorf("%s: %v", args[0], err)
				}
				c.Close()
			}
			if status := p.status(); status != 0 || p.err.Len() != 0 {
				t.Errorf("%s: exit status %d, stderr %q", args[0], status, &p.err)
			}
		}
	})
}

func TestDrainHasADeadline(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		for _, args := range [][]string{
			{"proxy", "--listen", anyPort, "--to", upstream(t, echoes)}, {"echo", "--listen", anyPort},
		} {
			p := start(append(args, "--drain-timeout", "100ms")...)
			c := p.dial()
			if err := ask(c, "before"); err != nil {
				t.Fatal(err)
			}
			p.signal(syscall.SIGINT)
			if n, err := c.Read(make([]byte, 1)); !isReset(err) {
				t.Errorf("%s: read %d bytes, %v; want a reset", args[0], n, err)
			}
			if status := p.status(); status != 0 {
				t.Errorf("%s: exit status %d", args[0], status)
			}
			p.line("time is up")
		}
	})
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("proxy", "--listen", anyPort, "--to", upstream(t, echoes), "--drain-timeout", "1h")
		if err := ask(p.dial(), "hello"); err != nil {
			t.Fatal(err)
		}
		p.signal(syscall.SIGTERM)
		p.line("terminated:")
		p.signal(syscall.SIGTERM)
		if status := p.status(); status != 128+int(syscall.SIGTERM) {
			t.Errorf("exit status %d", status)
		}
	})
}

func TestIdleTimeout(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("proxy", "--listen", anyPort, "--to", upstream(t, echoes), "--idle-timeout", "200ms", "--access-log")
		c := p.dial()
		if err := ask(c, "hello"); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1)); !isReset(err) {
			t.Errorf("read %d bytes, %v; want a reset", n, err)
		}
		p.signal(syscall.SIGTERM)
		p.status()
		log := p.err.String()
		if strings.Count(log, "\n") != 1 || !strings.Contains(log, "reason=idle") || !strings.Contains(log, "sent=5") {
			t.Errorf("access log %q", log)
		}
	})
}

// Under --backend auto a kernel that refuses io_uring is one log line, and
// the work goes on; asserted where it is refused by package uring's own tests.
func TestAutoSaysWhy(t *testing.T) {
	p := start(t, "echo", "--listen", anyPort, "--status", "127.0.0.1:0")
	s := status(t, p)
	if s.Backend.Name != backends(t)[0] || s.Backend.Why == "" || s.Echo == nil {
		t.Errorf("the status says %+v", s)
	}
	if err := ask(p.dial(), "hello"); err != nil {
		t.Error(err)
	}
	testenv.Eventually(t, patience, "the echo is counted", func() bool {
		e := status(t, p).Echo
		return e.Live == 1 && e.Accepted == 1 && e.Bytes == 5
	})
	if page, _ := get(t, p.line("status on ")); !strings.Contains(page, "Echoed") {
		t.Error("the status page of an echo server does not say what it has echoed")
	}
}

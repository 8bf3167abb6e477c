package main

import (
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// packets serves each datagram with what answer returns, and returns the URL.
func packets(t *testing.T, answer func(request string) string) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for p := make([]byte, 65536); ; {
			n, from, err := c.ReadFrom(p)
			if err != nil {
				return
			}
			c.WriteTo([]byte(answer(string(p[:n]))), from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-over })
	return "udp://" + c.LocalAddr().String()
}

// askPacket sends one datagram and reads one, again if one was lost.
func askPacket(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	p := make([]byte, 65536)
	for range 20 {
		if _, err := c.Write([]byte(text)); err != nil {
			continue // an ICMP message of an earlier one
		}
		c.SetReadDeadline(time.Now().Add(time.Second))
		if n, err := c.Read(p); err == nil {
			return string(p[:n])
		}
	}
	t.Fatalf("no answer to %q", text)
	return ""
}

func dialPackets(t *testing.T, url string) net.Conn {
	t.Helper()
	c, err := net.Dial("udp", strings.TrimPrefix(url, "udp://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Streams and datagrams beside each other, on the status page, and to the end.
func TestProxyUDP(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("proxy", "--listen", "udp://127.0.0.1:0", "--to", packets(t, strings.ToUpper), "--loops", "2", "--reuseport",
			"--listen", anyPort, "--to", upstream(t, echoes), "--status", "127.0.0.1:0", "--access-log", "--drain-timeout", "100ms")
		at := p.line("listening on udp://")
		for range 3 {
			c := dialPackets(t, at)
			for _, text := range []string{"hello", "", strings.Repeat("x", 20_000)} {
				if got := askPacket(t, c, text); got != strings.ToUpper(text) {
					t.Errorf("%d bytes back for %d", len(got), len(text))
				}
			}
		}
		tcp, err := net.Dial("tcp", p.line("listening on tcp://"))
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(tcp, "a stream beside it"); err != nil {
			t.Error(err)
		}
		tcp.Close()
		v := status(t, p).Datagrams
		if v.Live != 3 || v.Sent.Datagrams < 9 || v.Received.Datagrams < 9 || v.Dropped+v.Refused != 0 ||
			len(v.Listeners) != 1 || !v.Upstreams[0].Up {
			t.Errorf("the status says %+v", v)
		}
		page, _ := get(t, p.line("status on "))
		for _, want := range []string{"Clients of datagrams", "udp://" + at, "tcp://127.0.0.1"} {
			if !strings.Contains(page, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
		p.signal(syscall.SIGTERM)
		if status := p.status(); status != 0 {
			t.Errorf("exit status %d", status)
		}
		if log := p.err.String(); strings.Count(log, "msg=forgotten reason=drained") != 3 {
			t.Errorf("access log %q", log)
		}
	})
}

// A client that is silent is forgotten; one too many is refused; an upstream
// that is not there shows.
func TestProxyUDPLimits(t *testing.T) {
	nobody, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := "udp://" + nobody.LocalAddr().String()
	nobody.Close()
	p := start(t, "proxy", "--listen", "udp://127.0.0.1:0", "--to", gone, "--to", packets(t, strings.ToUpper),
		"--status", "127.0.0.1:0", "--udp-timeout", "200ms", "--udp-clients", "1")
	c := dialPackets(t, p.line("listening on udp://"))
	if got := askPacket(t, c, "hello"); got != "HELLO" {
		t.Errorf("got %q", got)
	}
	testenv.Eventually(t, patience, "the client is forgotten, and the upstream known to be gone", func() bool {
		v := status(t, p).Datagrams
		return v.Live == 0 && v.Ends["idle"] == 1 && v.Ends["no upstream"] == 1 && !v.Upstreams[0].Up &&
			strings.Contains(v.Upstreams[0].Error, "refused") && v.Upstreams[1].Up
	})
	other := dialPackets(t, p.line("listening on udp://"))
	testenv.Eventually(t, patience, "one of two is refused", func() bool {
		c.Write([]byte("a"))
		other.Write([]byte("b"))
		return status(t, p).Datagrams.Refused > 0
	})
	page, _ := get(t, p.line("status on "))
	for _, want := range []string{"connection refused; next try in", "silent", "of clients that were refused"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

func TestEchoUDP(t *testing.T) {
	onEach(t, func(t *testing.T, start func(...string) *process) {
		p := start("echo", "--listen", "udp://:0", "--status", "127.0.0.1:0")
		_, port, _ := net.SplitHostPort(p.line("listening on udp://"))
		for _, host := range []string{"127.0.0.1", "127.0.0.2", "::1"} {
			if host == "127.0.0.2" && goos != "linux" {
				continue // where only Linux has it
			}
			c := dialPackets(t, net.JoinHostPort(host, port)) // connected: it takes answers from that address only
			for _, text := range []string{"hello", "", "again"} {
				if got := askPacket(t, c, text); got != text {
					t.Errorf("%s: %q back for %q", host, got, text)
				}
			}
		}
		testenv.Eventually(t, patience, "the echoes are counted", func() bool {
			e := status(t, p).Echo
			return e.UDP && e.Datagrams >= 9 && e.Dropped == 0
		})
		if page, _ := get(t, p.line("status on ")); !strings.Contains(page, "Datagrams echoed") {
			t.Error("the page does not say what was echoed")
		}
		p.signal(syscall.SIGTERM)
		if status := p.status(); status != 0 {
			t.Errorf("exit status %d", status)
		}
	})
}

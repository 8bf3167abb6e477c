package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// Clients of udp:// do not take the descriptors of everything else: with few of
// those the program says so, and its status page answers in a flood.
func TestFloodLeavesDescriptors(t *testing.T) {
	p := startCommand(t, exec.Command("sh", "-c", `ulimit -n 64 && exec "$@"`, "sh", program, "proxy",
		"--listen", "udp://127.0.0.1:0", "--to", packets(t, strings.ToUpper), "--listen", anyPort, "--to", upstream(t, echoes),
		"--status", "127.0.0.1:0", "--udp-timeout", "2s"))
	at := p.line("listening on udp://")
	testenv.Eventually(t, patience, "some are refused, and it is said why", func() bool {
		for range 60 { // some of which the system may lose
			c := dialPackets(t, at)
			if _, err := io.WriteString(c, "hello"); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		v := status(t, p).Datagrams
		if v.Live > 24 {
			t.Fatalf("the status says %+v", v)
		}
		return v.Refused > 0 && strings.Contains(v.Trouble, "as many clients")
	})
	testenv.Eventually(t, patience, "the page says why clients are refused", func() bool {
		io.WriteString(dialPackets(t, at), "hello")
		page, _ := get(t, p.line("status on "))
		return strings.Contains(page, "as many clients as there may be")
	})
	testenv.Eventually(t, patience, "they are forgotten, and others served", func() bool {
		c := dialPackets(t, at)
		defer c.Close()
		c.Write([]byte("hello"))
		c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		b := make([]byte, 10)
		n, _ := c.Read(b)
		return string(b[:n]) == "HELLO"
	})
	p.signal(syscall.SIGTERM)
	if status := p.status(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	log := p.err.String()
	if !strings.Contains(log, "--udp-clients is lowered") || !strings.Contains(log, "to=24 descriptors=64") {
		t.Errorf("the log does not say how many clients there may be: %s", log)
	}
	if n := strings.Count(log, "datagrams of new clients are dropped"); n < 1 || n > 4 { // one in ten seconds
		t.Errorf("it is said %d times that clients are refused", n)
	}
}

// Connections do not take the descriptors of everything else either: with few of
// those, clients beyond the bound are reset, the status page answers in the
// crowd, and as soon as there is room the next client is served.
func TestCrowdLeavesDescriptors(t *testing.T) {
	for _, name := range backends(t) {
		t.Run(name, func(t *testing.T) {
			p := startCommand(t, exec.Command("sh", "-c", `ulimit -n 64 && exec "$@"`, "sh", program, "proxy", "--backend", name,
				"--listen", anyPort, "--to", upstream(t, echoes), "--clients", "1000", "--status", "127.0.0.1:0"))
			at := strings.TrimPrefix(p.line("listening on "), "tcp://")
			var served []net.Conn
			for i := range 60 {
				c, err := net.Dial("tcp", at)
				if err == nil {
					defer c.Close()
					err = says(c, "hello")
				}
				switch {
				case i < 24 && err != nil:
					t.Fatalf("client %d: %v", i, err)
				case i < 24:
					served = append(served, c)
				case !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE):
					t.Fatalf("client %d is not reset: %v", i, err)
				}
			}
			if v := status(t, p).Proxy; v.Live != 24 || v.Ends["refused"] != 36 {
				t.Errorf("the status says %d live, %v", v.Live, v.Ends)
			}
			for _, c := range served {
				if err := says(c, "still here"); err != nil {
					t.Errorf("a client that was served: %v", err)
				}
				c.Close()
			}
			testenv.Eventually(t, patience, "there is room, and others are served", func() bool {
				c, err := net.Dial("tcp", at)
				if err != nil {
					return false
				}
				defer c.Close()
				return says(c, "hello") == nil
			})
			p.signal(syscall.SIGTERM)
			if status := p.status(); status != 0 {
				t.Errorf("exit status %d", status)
			}
			log := p.err.String()
			if !strings.Contains(log, "--clients is lowered") || !strings.Contains(log, "from=1000 to=24 descriptors=64") {
				t.Errorf("the log does not say how many clients there may be: %s", log)
			}
			if n := strings.Count(log, "new clients are reset"); n < 1 || n > 4 { // one in ten seconds
				t.Errorf("it is said %d times that clients are reset: %s", n, log)
			}
		})
	}
}

// says sends text on c and waits until it has come back.
func says(c net.Conn, text string) error {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	b := make([]byte, len(text))
	if _, err := io.ReadFull(c, b); err != nil {
		return err
	}
	if string(b) != text {
		return fmt.Errorf("%q came back for %q", b, text)
	}
	return nil
}

// An access log has so many lines a second of clients that are forgotten, and
// says how many it has not.
func TestLogBrake(t *testing.T) {
	var b logBrake
	now := time.Unix(1, 0)
	for i := range 1000 {
		if left, ok := b.admits(now); ok != (i < logBurst) || left != 0 {
			t.Fatalf("line %d: %v, %d left out", i, ok, left)
		}
	}
	for i, want := range []uint64{1000 - logBurst, 0} {
		if left, ok := b.admits(now.Add(time.Second)); !ok || left != want {
			t.Errorf("line %d of the next second: %v, %d left out, want %d", i, ok, left, want)
		}
	}
}

package traffic

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// startPackets starts the program as a proxy of datagrams.
func startPackets(t *testing.T, backend, to string, flags ...string) (addr string, p *process) {
	t.Helper()
	args := append([]string{"proxy", "--backend", backend, "--listen", "udp://127.0.0.1:0", "--to", "udp://" + to}, flags...)
	p = start(t, exec.Command(program(t), args...), "mobius proxy on "+backend)
	return p.wait(t, "where it listens", func(line string) (string, bool) {
		return strings.CutPrefix(line, "listening on udp://")
	}), p
}

// echoPackets is an echo of package net.
func echoPackets(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var over sync.WaitGroup
	over.Go(func() {
		for p := make([]byte, 65536); ; {
			n, from, err := c.ReadFrom(p)
			if err != nil {
				return
			}
			_, _ = c.WriteTo(p[:n], from) // the client tells
		}
	})
	t.Cleanup(func() {
		_ = c.Close()
		over.Wait()
	})
	return c.LocalAddr().String()
}

// socat sends a datagram through the proxy to a socat that sends it back.
func TestSocatThroughUDP(t *testing.T) {
	socat := testenv.Program(t, "socat")
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			port := freePort(t)
			start(t, exec.Command(socat, fmt.Sprintf("UDP4-RECVFROM:%d,bind=127.0.0.1,fork", port), "EXEC:cat"), "socat")
			addr, _ := startPackets(t, backend, fmt.Sprintf("127.0.0.1:%d", port))
			testenv.Eventually(t, testenv.Patience(), "socat answers", func() bool { // until it listens, it is refused
				cmd := exec.Command(socat, "-t", "1", "-", "UDP4:"+addr)
				cmd.Stdin = strings.NewReader("through the proxy")
				out, err := cmd.Output()
				return err == nil && string(out) == "through the proxy"
			})
		})
	}
}

// A thousand clients at a time, each with a socket of its own toward the
// upstream; afterwards the descriptors are given back.
func TestThousandUDPClients(t *testing.T) {
	const clients, rounds = 1000, 3
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			addr, p := startPackets(t, backend, echoPackets(t), "--udp-timeout", "3s")
			warm, err := net.Dial("udp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer warm.Close()
			if !echoesBack(warm, "hello") {
				t.Fatal("no echo")
			}
			files := p.descriptors(t) - 1 // what is opened once is there now, and this client's
			var all []net.Conn
			for range clients {
				c, err := net.Dial("udp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				all = append(all, c)
			}
			var lost atomic.Int32
			var work sync.WaitGroup
			for worker := range 20 {
				work.Go(func() {
					for i := worker; i < clients; i += 20 {
						for round := range rounds {
							if !echoesBack(all[i], fmt.Sprintf("%d of client %d", round, i)) {
								lost.Add(1)
							}
						}
					}
				})
			}
			work.Wait()
			if n := lost.Load(); n > 0 {
				t.Errorf("%d of %d exchanges failed", n, clients*rounds)
			}
			if n := p.descriptors(t) - files; n > clients+1 {
				t.Errorf("%d descriptors for %d clients", n, clients)
			}
			testenv.Eventually(t, testenv.Patience(), "the clients are forgotten", func() bool { return p.descriptors(t) <= files })
		})
	}
}

// echoesBack sends until the same comes back: datagrams may be lost.
func echoesBack(c net.Conn, text string) bool {
	p := make([]byte, 2048)
	for range 5 {
		if _, err := c.Write([]byte(text)); err != nil {
			return false
		}
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second)) // it never fails on a socket that is open
		for {
			n, err := c.Read(p)
			if err != nil {
				break
			}
			if string(p[:n]) == text {
				return true
			}
		}
	}
	return false
}

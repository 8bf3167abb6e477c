package traffic

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// A server whose descriptors are used up refuses new clients at once, serves
// the old ones, does not spin, and serves new ones once descriptors come
// free. gnet and evio end here; nbio and gain spin.
func TestNoDescriptorsLeft(t *testing.T) {
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			server := startEchoLimited(t, backend, 64)
			served, refused := crowd(t, server.addr, 200)
			t.Logf("%d served, %d refused", len(served), refused)
			if len(served) < 20 || refused < 100 {
				t.Fatalf("%d clients served and %d refused with 64 descriptors, want some 50 and the rest", len(served), refused)
			}
			begin := server.process.cpu(t)
			end := time.Now().Add(1500 * time.Millisecond)
			tries, tick := 0, time.NewTicker(20*time.Millisecond)
			defer tick.Stop()
			for ; time.Now().Before(end); <-tick.C {
				if c, ok := served1(t, server.addr); ok {
					served = append(served, c)
				}
				tries++
			}
			if used := server.process.cpu(t) - begin; used > 500*time.Millisecond {
				t.Errorf("without descriptors the server used %v of CPU in 1.5 s for %d clients", used, tries)
			}
			for _, c := range served {
				if err := exchange(c); err != nil {
					t.Errorf("a client that is being served: %v", err)
				}
			}
			for _, c := range served[:10] {
				_ = c.Close()
			}
			testenv.Eventually(t, testenv.Patience(), "a new client is served after old ones have gone", func() bool {
				_, ok := served1(t, server.addr)
				return ok
			})
		})
	}
}

// crowd connects so many clients, 20 at a time, and returns those that are
// served and how many were refused. None may hang.
func crowd(t *testing.T, addr string, clients int) (served []net.Conn, refused int) {
	t.Helper()
	results := make(chan net.Conn)
	for range 20 {
		go func() {
			for range clients / 20 {
				c, ok := served1(t, addr)
				if !ok {
					c = nil
				}
				results <- c
			}
		}()
	}
	for range clients {
		if c := <-results; c != nil {
			served = append(served, c)
		} else {
			refused++
		}
	}
	return served, refused
}

// served1 connects one client and reports whether it is served: not is an end
// or a reset in good time.
func served1(t *testing.T, addr string) (net.Conn, bool) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		if !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("dial: %v", err)
		}
		return nil, false
	}
	t.Cleanup(func() { _ = c.Close() })
	err = exchange(c)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Errorf("a client hangs: %v", err)
	}
	if err != nil {
		_ = c.Close()
	}
	return c, err == nil
}

// exchange sends a byte and receives it.
func exchange(c net.Conn) error {
	if err := c.SetDeadline(time.Now().Add(testenv.Patience())); err != nil {
		return err
	}
	if _, err := c.Write([]byte("x")); err != nil {
		return err
	}
	_, err := io.ReadFull(c, make([]byte, 1))
	return err
}

package traffic

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// A client sends its request and the end of its stream; the reply, which
// comes 100 ms after that end, arrives. gnet, nbio and netpoll lose it.
func TestReplyAfterTheClientsEnd(t *testing.T) {
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		front := start(t, serve(t, func(c *net.TCPConn) {
			request, err := io.ReadAll(c)
			if err != nil {
				return // the test has ended
			}
			<-time.After(100 * time.Millisecond)
			_, _ = c.Write(append([]byte("reply to "), request...)) // the client tells
		}))
		c := dial(t, front.addr)
		deadline(t, c, 20*time.Second)
		if _, err := c.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if err != nil || string(got) != "reply to request" {
			t.Errorf("reply %q, %v", got, err)
		}
	})
}

// The other way round: the upstream ends first, and goes on receiving.
func TestUpstreamEndsFirst(t *testing.T) {
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		received := make(chan []byte, 1)
		front := start(t, serve(t, func(c *net.TCPConn) {
			_, _ = c.Write([]byte("hello")) // the client tells
			_ = c.CloseWrite()
			if b, err := io.ReadAll(c); err == nil {
				received <- b
			}
		}))
		c := dial(t, front.addr)
		deadline(t, c, 20*time.Second)
		if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
			t.Fatalf("before the end came %q, %v", got, err)
		}
		sent := make([]byte, 1<<20)
		_, _ = rand.Read(sent) // it never fails
		if _, err := c.Write(sent); err != nil {
			t.Fatal(err)
		}
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-received:
			if !bytes.Equal(got, sent) {
				t.Errorf("after its end the upstream got %d bytes, want the %d that were sent", len(got), len(sent))
			}
		case <-time.After(20 * time.Second):
			t.Error("after its end the upstream got nothing")
		}
	})
}

// An upstream that resets in mid-stream is a reset for the client: an end
// would make half a reply look whole.
func TestResetUpstreamIsAReset(t *testing.T) {
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		front := start(t, serve(t, func(c *net.TCPConn) {
			if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
				return
			}
			_, _ = c.Write(make([]byte, 100_000)) // the client tells
			if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
				_ = c.SetLinger(0)
			}
		}))
		c := dial(t, front.addr)
		deadline(t, c, 20*time.Second)
		if _, err := c.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write([]byte("!")); err != nil { // now reset
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after the reset came %d bytes and %v, want a reset", n, err)
		}
	})
}

// And a client that resets is a reset for the upstream.
func TestResetClientIsAReset(t *testing.T) {
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		saw := make(chan error, 1)
		front := start(t, serve(t, func(c *net.TCPConn) {
			if _, err := io.ReadFull(c, make([]byte, 7)); err != nil {
				return
			}
			_, _ = c.Write([]byte("!")) // the client tells
			_, err := io.Copy(io.Discard, c)
			saw <- err
		}))
		c := dial(t, front.addr)
		deadline(t, c, 20*time.Second)
		if _, err := c.Write([]byte("request")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if err := c.SetLinger(0); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		select {
		case err := <-saw:
			if !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the upstream saw %v, want a reset", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("the upstream saw nothing")
		}
	})
}

// 2,000 connections are made at once; each gets its own reply.
func TestBurstOfConnects(t *testing.T) {
	const burst = 2000
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		front := start(t, serve(t, echo))
		var all sync.WaitGroup
		var failed atomic.Int32
		gate := make(chan struct{})
		for n := range burst {
			all.Go(func() {
				<-gate
				if err := oneEcho(front.addr, fmt.Sprintf("number %d", n)); err != nil && failed.Add(1) <= 5 {
					t.Errorf("connection %d: %v", n, err)
				}
			})
		}
		begin := time.Now()
		close(gate)
		all.Wait()
		if n := failed.Load(); n > 0 {
			t.Errorf("%d of %d connections failed", n, burst)
		}
		t.Logf("%d connections and replies in %v", burst, time.Since(begin).Round(time.Millisecond))
		if front.process != nil {
			testenv.Eventually(t, 10*time.Second, "the proxy has closed all of them", func() bool {
				return front.process.descriptors(t) < 64
			})
		}
	})
}

func oneEcho(addr, text string) error {
	c, err := net.DialTimeout("tcp", addr, 30*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	got, err := io.ReadAll(c)
	if err == nil && string(got) != text {
		err = fmt.Errorf("sent %q, got %q", text, got)
	}
	return err
}

// echo sends back what comes, until the end.
func echo(c *net.TCPConn) {
	_, _ = io.Copy(struct{ io.Writer }{c}, struct{ io.Reader }{c}) // the client tells
	_ = c.CloseWrite()
}

func deadline(t *testing.T, c net.Conn, d time.Duration) {
	t.Helper()
	if err := c.SetDeadline(time.Now().Add(d)); err != nil {
		t.Fatal(err)
	}
}

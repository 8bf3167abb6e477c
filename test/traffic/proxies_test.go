package traffic

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	all "mobius/test/backends"
)

// A proxied is a running proxy.
type proxied struct {
	addr    string
	process *process // nil for the plain one, which runs in this process
}

// eachProxy runs f against the plain proxy and against the program on each
// backend of this system, forced by name, in front of a fresh upstream's
// address that up returns.
func eachProxy(t *testing.T, f func(t *testing.T, start func(t *testing.T, upstream string, flags ...string) *proxied)) {
	t.Helper()
	t.Run("net", func(t *testing.T) { f(t, startPlain) })
	for _, name := range backends() {
		t.Run(name, func(t *testing.T) {
			f(t, func(t *testing.T, upstream string, flags ...string) *proxied {
				return startProxy(t, name, upstream, flags...)
			})
		})
	}
}

// backends are the names of those that do real I/O on this system.
func backends() []string {
	var names []string
	for _, b := range all.Real() {
		names = append(names, b.Name)
	}
	return names
}

// startProxy starts the program as a proxy on a port of its own.
func startProxy(t *testing.T, backend, upstream string, flags ...string) *proxied {
	t.Helper()
	args := append([]string{"proxy", "--backend", backend, "--listen", "tcp://127.0.0.1:0", "--to", "tcp://" + upstream}, flags...)
	p := start(t, exec.Command(program(t), args...), "mobius proxy on "+backend)
	return &proxied{addr: listening(t, p, backend), process: p}
}

// startEcho starts the program as an echo server.
func startEcho(t *testing.T, backend string, flags ...string) *proxied {
	t.Helper()
	args := append([]string{"echo", "--backend", backend, "--listen", "tcp://127.0.0.1:0"}, flags...)
	p := start(t, exec.Command(program(t), args...), "mobius echo on "+backend)
	return &proxied{addr: listening(t, p, backend), process: p}
}

// startEchoLimited is startEcho in a process that may have so many descriptors.
func startEchoLimited(t *testing.T, backend string, descriptors int) *proxied {
	t.Helper()
	cmd := exec.Command("sh", "-c", fmt.Sprintf(`ulimit -n %d && exec "$0" "$@"`, descriptors),
		program(t), "echo", "--backend", backend, "--listen", "tcp://127.0.0.1:0")
	p := start(t, cmd, "mobius echo on "+backend)
	return &proxied{addr: listening(t, p, backend), process: p}
}

// listening waits until the program says that it runs on the backend that was
// asked for, and where it listens.
func listening(t *testing.T, p *process, backend string) string {
	t.Helper()
	p.wait(t, "that it runs on "+backend, func(line string) (string, bool) {
		return "", strings.HasPrefix(line, "on "+backend+" ") || backend == "uring" && strings.HasPrefix(line, "on io_uring ")
	})
	return p.wait(t, "where it listens", func(line string) (string, bool) {
		return strings.CutPrefix(line, "listening on tcp://")
	})
}

// startPlain starts a proxy of package net: a goroutine for each direction.
func startPlain(t *testing.T, upstream string, _ ...string) *proxied {
	t.Helper()
	ln := listen(t)
	var sessions sync.WaitGroup
	t.Cleanup(func() {
		_ = ln.Close()
		sessions.Wait()
	})
	sessions.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { plainSession(t, c.(*net.TCPConn), upstream) })
		}
	})
	return &proxied{addr: ln.Addr().String()}
}

func plainSession(t *testing.T, c *net.TCPConn, upstream string) {
	defer c.Close()
	u, err := net.Dial("tcp", upstream)
	if err != nil {
		t.Logf("the plain proxy: %v", err) // the client fails
		return
	}
	defer u.Close()
	var both sync.WaitGroup
	both.Go(func() { plainCopy(c, u.(*net.TCPConn)) })
	plainCopy(u.(*net.TCPConn), c)
	both.Wait()
}

// plainCopy passes on the end of src as an end, and a reset as a reset.
func plainCopy(dst, src *net.TCPConn) {
	_, err := io.Copy(dst, src)
	if errors.Is(err, syscall.ECONNRESET) {
		_ = dst.SetLinger(0)
		_ = dst.Close()
		_ = src.Close()
		return
	}
	_ = dst.CloseWrite()
}

// listen returns a listener on a port of 127.0.0.1 that closes with the test.
func listen(t *testing.T) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return ln.(*net.TCPListener)
}

// serve accepts connections until the end of the test and handles each in a
// goroutine; the test waits for all of them.
func serve(t *testing.T, handle func(c *net.TCPConn)) string {
	t.Helper()
	ln := listen(t)
	var handlers sync.WaitGroup
	var mu sync.Mutex
	open := map[*net.TCPConn]bool{}
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		for c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		handlers.Wait()
	})
	handlers.Go(func() {
		for {
			c, err := ln.AcceptTCP()
			if err != nil {
				return
			}
			mu.Lock()
			open[c] = true
			mu.Unlock()
			handlers.Go(func() {
				handle(c)
				_ = c.Close()
				mu.Lock()
				delete(open, c)
				mu.Unlock()
			})
		}
	})
	return ln.Addr().String()
}

// dial connects to addr, for the length of the test.
func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

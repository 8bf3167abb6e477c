package stacks

import (
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/netconn"
)

// patience bounds every wait of a test.
const patience = 60 * time.Second

// A stack is where listeners and connections come from.
type stack interface {
	Listen(network, address string) (net.Listener, error)
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// ours is package netconn on a reactor.
type ours struct{ r *netconn.Runner }

func (s ours) Listen(network, address string) (net.Listener, error) {
	return netconn.Listen(s.r.Reactor, network, address)
}

func (s ours) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := netconn.Dialer{Reactor: s.r.Reactor}
	return d.DialContext(ctx, network, address)
}

// theirs is package net.
type theirs struct{ net.Dialer }

func (*theirs) Listen(network, address string) (net.Listener, error) {
	return net.Listen(network, address)
}

// each runs f on package net, which shows that the test is right, and on
// netconn on each backend.
func each(t *testing.T, f func(t *testing.T, s stack)) {
	t.Run("net", func(t *testing.T) { f(t, &theirs{}) })
	for _, backend := range []string{"uring", "epoll", "netpoll"} {
		t.Run(backend, func(t *testing.T) { f(t, start(t, backend)) })
	}
}

// start runs a reactor until the test is over.
func start(t *testing.T, backend string) stack {
	t.Helper()
	r, err := netconn.Start(mobius.Options{Backend: backend})
	if err != nil {
		testenv.Missing(t, "%s: %v", backend, err)
	}
	if r.Backend().Name != backend {
		t.Fatalf("runs on %s, want %s", r.Backend().Name, backend)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return ours{r}
}

// listen listens until the test is over.
func listen(t *testing.T, s stack) net.Listener {
	t.Helper()
	l, err := s.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(t *testing.T, s stack, to net.Addr) net.Conn {
	t.Helper()
	c, err := s.DialContext(t.Context(), to.Network(), to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("not after %v", patience)
		panic("not reached")
	}
}

// long reports whether the tests are to take their time.
func long() bool { return os.Getenv("MOBIUS_LONG") != "" }

// length is how long a load generator runs, in seconds.
func length() string {
	if long() {
		return "20"
	}
	return "1"
}

// load runs a load generator, and wants a pattern in what it says.
func load(t *testing.T, want string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, testenv.Program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	if !regexp.MustCompile(want).Match(out) {
		t.Fatalf("%s says, without %q:\n%s", name, want, out)
	}
	if long() {
		t.Logf("%s\n%s", name, out)
	}
	return string(out)
}

func readAll(t *testing.T, r io.ReadCloser) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	return string(b)
}

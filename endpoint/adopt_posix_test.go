//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"mobius"
	"mobius/internal/testenv"
)

// A brief protocol says hello and leaves.
type brief struct{}

func (brief) ConnectionMade(t mobius.Transport) {
	if _, err := t.Write([]byte("hello")); err == nil {
		t.LoseConnection()
	}
}
func (brief) DataReceived([]byte)  {}
func (brief) ConnectionLost(error) {}

// A socket that this process was given is served by a reactor, before it runs and
// while it does; the descriptor is closed, the domain looked at.
func TestReactorAdoptsByADescription(t *testing.T) {
	for name, early := range map[string]bool{"before Run": true, "during Run": false} {
		t.Run(name, func(t *testing.T) {
			testenv.Leaks(t)
			fd, at := given(t)
			r, err := mobius.New(mobius.Options{})
			if err != nil {
				t.Fatal(err)
			}
			ran := make(chan error, 1)
			run := func() { go func() { ran <- r.Run(context.Background()) }() }
			if !early {
				run()
			}
			f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return brief{} })
			listen := func(text string) (Port, error) {
				server, err := ParseServer(r, text)
				if err != nil {
					t.Fatal(err)
				}
				return server.Listen(f).Wait(context.Background())
			}
			if _, err := listen(fmt.Sprintf("fd:%d:UNIX", fd)); !errors.Is(err, syscall.EAFNOSUPPORT) {
				t.Errorf("as a unix socket: %v", err)
			}
			p, err := listen(fmt.Sprintf("fd:%d:INET", fd))
			if err != nil || p.Addr().String() != at {
				t.Fatalf("%v, %v; want a port at %s", p, err, at)
			}
			if err := r.Discard(fd); !errors.Is(err, syscall.EBADF) {
				t.Errorf("the descriptor is still there: %v", err)
			}
			if early {
				run()
			}
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
			_ = c.Close()
			if err := r.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			if err := <-ran; err != nil {
				t.Error(err)
			}
		})
	}
}

// given returns the descriptor of a socket that listens, and its address.
func given(t *testing.T) (int, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	raw, err := l.(*net.TCPListener).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	fd := -1
	if e := raw.Control(func(n uintptr) { fd, err = syscall.Dup(int(n)) }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	return fd, l.Addr().String()
}

package netconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius"
)

// A stack is package net, or this package on a reactor.
type stack struct {
	listen     func(network, address string) (net.Listener, error)
	packet     func(network, address string) (net.PacketConn, error)
	dialer     func(timeout time.Duration, local net.Addr) dialer
	listenWith func(c controller, network, address string) (net.Listener, error)
	dialWith   func(c controller, network, address string) (net.Conn, error)
}

type dialer interface {
	DialContext(ctx context.Context, network, address string) (net.Conn, error)
}

// A controller is a Dialer's ControlContext.
type controller func(ctx context.Context, network, address string, c syscall.RawConn) error

// ofListener is a controller as a ListenConfig has it.
func (f controller) ofListener(network, address string, c syscall.RawConn) error {
	return f(context.Background(), network, address, c)
}

func netStack() stack {
	return stack{
		listen: net.Listen,
		packet: net.ListenPacket,
		dialer: func(timeout time.Duration, local net.Addr) dialer {
			return &net.Dialer{Timeout: timeout, LocalAddr: local}
		},
		listenWith: func(c controller, network, address string) (net.Listener, error) {
			lc := &net.ListenConfig{Control: c.ofListener}
			lc.SetMultipathTCP(false) // which would be tried first
			return lc.Listen(context.Background(), network, address)
		},
		dialWith: func(c controller, network, address string) (net.Conn, error) {
			return (&net.Dialer{ControlContext: c}).Dial(network, address)
		},
	}
}

func mobiusStack(r *mobius.Reactor) stack {
	return stack{
		listen: func(network, address string) (net.Listener, error) { return Listen(r, network, address) },
		packet: func(network, address string) (net.PacketConn, error) { return ListenPacket(r, network, address) },
		dialer: func(timeout time.Duration, local net.Addr) dialer {
			return &Dialer{Reactor: r, Timeout: timeout, LocalAddr: local}
		},
		listenWith: func(c controller, network, address string) (net.Listener, error) {
			return (&ListenConfig{Reactor: r, Control: c.ofListener}).Listen(context.Background(), network, address)
		},
		dialWith: func(c controller, network, address string) (net.Conn, error) {
			return (&Dialer{Reactor: r, ControlContext: c}).Dial(network, address)
		},
	}
}

// A record is what a behaviour showed, in a form that does not depend on port
// numbers.
type record struct {
	t     *testing.T
	lines []string
}

var digits = regexp.MustCompile(`:[0-9]{4,5}\b`)

func (r *record) note(what string, values ...any) {
	text := what
	for _, v := range values {
		if err, ok := v.(error); ok {
			text += " | " + describe(err)
		} else {
			text += fmt.Sprintf(" | %v", v)
		}
	}
	r.lines = append(r.lines, digits.ReplaceAllString(text, ":PORT"))
}

// describe tells everything about an error that a program can ask for.
func describe(err error) string {
	text := fmt.Sprintf("%T %v", err, err)
	var ne net.Error
	if errors.As(err, &ne) {
		temporary, ok := ne.(interface{ Temporary() bool }) // which net/http asks an error of Accept
		text += fmt.Sprintf(" timeout=%v temporary=%v", ne.Timeout(), ok && temporary.Temporary())
	}
	var op *net.OpError
	if errors.As(err, &op) {
		text += fmt.Sprintf(" op=%s net=%s source=%T addr=%T err=%s", op.Op, op.Net, op.Source, op.Addr, kindOf(op.Err))
	}
	for _, target := range []error{net.ErrClosed, os.ErrDeadlineExceeded, io.EOF, context.DeadlineExceeded, context.Canceled,
		syscall.ECONNREFUSED, syscall.EPIPE, syscall.ECONNRESET, syscall.EADDRINUSE, syscall.ENOENT} {
		if errors.Is(err, target) {
			text += fmt.Sprintf(" is=%q", target)
		}
	}
	return text
}

// kindOf is the type of an error, but for the ones that package net does not
// export.
func kindOf(err error) string {
	if kind := fmt.Sprintf("%T", err); !strings.HasPrefix(kind, "*poll.") && !strings.HasPrefix(kind, "*net.t") &&
		!strings.HasPrefix(kind, "*netconn.") && !strings.HasPrefix(kind, "netconn.") && !strings.HasPrefix(kind, "net.c") {
		return kind
	}
	return "private"
}

func (r *record) conns(s stack, network, address string) (c, peer net.Conn) {
	r.t.Helper()
	n, err := s.listen(network, address)
	if err != nil {
		r.t.Fatal(err)
	}
	defer n.Close()
	if c, err = s.dialer(0, nil).DialContext(r.t.Context(), network, n.Addr().String()); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if peer, err = n.Accept(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { peer.Close() })
	return c, peer
}

// half has the methods that TCP and unix connections have in common.
type half interface {
	net.Conn
	CloseRead() error
	CloseWrite() error
	SetReadBuffer(int) error
	SetWriteBuffer(int) error
	SyscallConn() (syscall.RawConn, error)
	File() (*os.File, error)
}

func untilError(f func() error) error {
	for {
		if err := f(); err != nil {
			return err
		}
	}
}

// behaviours are run on both stacks, with equal results.
var behaviours = map[string]func(r *record, s stack, network, address string){
	"addresses": func(r *record, s stack, network, address string) {
		c, peer := r.conns(s, network, address)
		for _, a := range []net.Addr{c.LocalAddr(), c.RemoteAddr(), peer.LocalAddr(), peer.RemoteAddr()} {
			r.note("address", fmt.Sprintf("%T", a), a.Network(), a.String())
		}
		r.note("mirrored", c.LocalAddr().String() == peer.RemoteAddr().String(), c.RemoteAddr().String() == peer.LocalAddr().String())
	},
	"zero bytes": func(r *record, s stack, network, address string) {
		c, _ := r.conns(s, network, address)
		n, err := c.Read(nil)
		r.note("read", n, err)
		n, err = c.Write(nil)
		r.note("write", n, err)
		c.SetDeadline(time.Unix(1, 0))
		n, err = c.Read(nil)
		r.note("read late", n, err)
		c.Close()
		n, err = c.Read(nil)
		r.note("read closed", n, err)
	},
	"deadline in the past": func(r *record, s stack, network, address string) {
		c, peer := r.conns(s, network, address)
		peer.Write([]byte("here"))
		c.SetDeadline(time.Unix(1, 0))
		n, err := c.Read(make([]byte, 1))
		r.note("read", n, err)
		n, err = c.Write(make([]byte, 1))
		r.note("write", n, err)
		c.SetDeadline(time.Time{})
		n, err = c.Read(make([]byte, 10))
		r.note("read", n, err)
	},
	"after Close": func(r *record, s stack, network, address string) {
		c, _ := r.conns(s, network, address)
		h := c.(half)
		r.note("close", c.Close())
		r.note("close again", c.Close())
		_, err := c.Read(make([]byte, 1))
		r.note("read", err)
		_, err = c.Write(make([]byte, 1))
		r.note("write", err)
		r.note("deadline", c.SetDeadline(time.Time{}), c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{}))
		r.note("close read", h.CloseRead())
		r.note("close write", h.CloseWrite())
		r.note("buffers", h.SetReadBuffer(4096), h.SetWriteBuffer(4096))
		_, err = h.File()
		r.note("file", err)
		raw, err := h.SyscallConn()
		r.note("raw", err, raw.Control(func(uintptr) {}))
		if t, ok := c.(interface{ SetNoDelay(bool) error }); ok {
			r.note("no delay", t.SetNoDelay(true))
		}
	},
	"peer closes": func(r *record, s stack, network, address string) {
		c, peer := r.conns(s, network, address)
		peer.Write([]byte("last"))
		peer.Close()
		p, err := io.ReadAll(c)
		r.note("read", string(p), err)
		_, err = c.Read(make([]byte, 1))
		r.note("read again", err)
		err = untilError(func() error { _, err := c.Write(make([]byte, 1000)); return err })
		r.note("write", errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET))
	},
	"half closed": func(r *record, s stack, network, address string) {
		c, peer := r.conns(s, network, address)
		r.note("close write", c.(half).CloseWrite())
		_, err := c.Write([]byte("x"))
		r.note("write", err)
		_, err = peer.Read(make([]byte, 1))
		r.note("peer read", err)
		peer.Write([]byte("answer"))
		p := make([]byte, 10)
		n, err := c.Read(p)
		r.note("read", string(p[:n]), err)
		r.note("close read", c.(half).CloseRead())
		_, err = c.Read(p)
		r.note("read after", err)
	},
	"listener": func(r *record, s stack, network, address string) {
		n, err := s.listen(network, address)
		r.note("listen", err)
		r.note("address", fmt.Sprintf("%T", n.Addr()), n.Addr().Network())
		_, err = s.listen(network, n.Addr().String())
		r.note("listen again", err)
		n.(interface{ SetDeadline(time.Time) error }).SetDeadline(time.Unix(1, 0))
		_, err = n.Accept()
		r.note("accept late", err)
		r.note("close", n.Close())
		r.note("close again", n.Close())
		_, err = n.Accept()
		r.note("accept closed", err)
		_, err = s.dialer(0, nil).DialContext(context.Background(), network, n.Addr().String())
		r.note("dial", err)
	},
	"dial": func(r *record, s stack, network, address string) {
		canceled, cancel := context.WithCancel(context.Background())
		cancel()
		_, err := s.dialer(0, nil).DialContext(canceled, network, strings.Replace(address, ":0", ":1", 1))
		r.note("canceled", err)
		_, err = s.dialer(-1, nil).DialContext(context.Background(), "nonsense", "127.0.0.1:1")
		r.note("network", err)
		_, err = s.dialer(0, nil).DialContext(context.Background(), "tcp", "127.0.0.1")
		r.note("no port", err)
		_, err = s.dialer(0, nil).DialContext(context.Background(), "tcp4", "[::1]:1")
		r.note("family", err)
		_, err = s.listen("tcp", "127.0.0.1")
		r.note("listen without a port", err)
		_, err = s.listen("nonsense", "127.0.0.1:0")
		r.note("listen on no network", err)
	},
	"packets": func(r *record, s stack, network, address string) {
		if network != "tcp" {
			return
		}
		c, err := s.packet("udp", "127.0.0.1:0")
		r.note("listen", err)
		r.note("address", fmt.Sprintf("%T", c.LocalAddr()), c.LocalAddr().String())
		c.SetDeadline(time.Unix(1, 0))
		_, _, err = c.ReadFrom(make([]byte, 1))
		r.note("read late", err)
		_, err = c.WriteTo([]byte("x"), c.LocalAddr())
		r.note("write late", err)
		r.note("close", c.Close(), c.Close())
		_, _, err = c.ReadFrom(make([]byte, 1))
		r.note("read closed", err)
		_, err = c.WriteTo([]byte("x"), c.LocalAddr())
		r.note("write closed", err)
	},
}

// TestLikePackageNet runs every behaviour on package net and on every backend.
func TestLikePackageNet(t *testing.T) {
	all := maps.Clone(behaviours)
	maps.Copy(all, copies)
	maps.Copy(all, sockets)
	maps.Copy(all, shortages)
	for name, f := range all {
		for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": filepath.Join(t.TempDir(), "s")} {
			var want record
			t.Run(name+"/"+network+"/net", func(t *testing.T) {
				want.t = t
				f(&want, netStack(), network, address)
			})
			t.Run(name+"/"+network, func(t *testing.T) {
				everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
					got := record{t: t}
					f(&got, mobiusStack(r), network, address)
					if !reflect.DeepEqual(got.lines, want.lines) {
						t.Errorf("got\n%s\nwant\n%s", strings.Join(got.lines, "\n"), strings.Join(want.lines, "\n"))
					}
				})
			})
		}
	}
}

package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"

	"mobius/internal/testenv"
)

// Each network, with a client of each make.
func TestNetworks(t *testing.T) {
	eachReal(t, func(w *world) {
		unix := "unix://" + filepath.Join(w.TempDir(), "socket")
		for _, addr := range []string{"tcp://127.0.0.1:0", "tcp4://:0", "tcp6://[::1]:0", "tcp://localhost:0", unix} {
			w.Run(addr[:4], func(t *testing.T) {
				sub := *w
				sub.T = t
				s := sub.serve(newEcho(), addr, WithNumEventLoop(2), WithReusePort(addr[0] == 't'))
				to := s.eng.Addr(0)
				p := newPeer()
				c, err := sub.client(p).Dial(to.Network(), strings.Replace(to.String(), "0.0.0.0", "127.0.0.1", 1))
				if err != nil {
					t.Fatal(err)
				}
				_ = c.AsyncWrite([]byte("world"), nil)
				testenv.Eventually(t, patience, "answered", func() bool { return p.all() == "hello world" })
				if c.RemoteAddr().String() != strings.Replace(to.String(), "0.0.0.0", "127.0.0.1", 1) {
					t.Errorf("the peer is %v, want %v", c.RemoteAddr(), to)
				}
			})
		}
	})
}

// datagrams answers each with its length and its sender.
type datagrams struct{ BuiltinEventEngine }

func (*datagrams) OnTraffic(c Conn) Action {
	n := c.InboundBuffered()
	if head, err := c.Peek(1); err == nil && head[0] == 'a' { // later, from elsewhere
		_ = c.AsyncWrite(fmt.Appendf(nil, "late %d %v", n, c.RemoteAddr()), nil)
		return None
	}
	_, _ = c.SendTo(fmt.Appendf(nil, "%d %v", n, c.RemoteAddr()), c.RemoteAddr())
	return None
}

func TestDatagrams(t *testing.T) {
	each(t, func(w *world) {
		s := w.serve(&datagrams{}, "udp://127.0.0.1:0", WithNumEventLoop(1))
		for _, ask := range []string{"one", "another"} {
			p := newPeer()
			c, err := w.client(p).Dial("udp", s.address())
			if err != nil {
				w.Fatal(err)
			}
			_, port, _ := net.SplitHostPort(c.LocalAddr().String())
			want := fmt.Sprintf("%d 127.0.0.1:%s", len(ask), port)
			if ask[0] == 'a' {
				want = "late " + want
			}
			testenv.Eventually(w, patience, "answered", func() bool {
				if p.all() == "" { // a datagram may be lost
					_ = c.AsyncWrite([]byte(ask), nil)
				}
				return strings.HasPrefix(p.all(), want)
			})
			_ = c.Close()
			if err := wait(w, p.closed); err != nil {
				w.Errorf("OnClose has %v", err)
			}
		}
	})
}

// A connection of package net becomes one of a client's, or of an engine's.
func TestEnroll(t *testing.T) {
	eachReal(t, func(w *world) {
		h := newEcho()
		s := w.serve(h, "tcp://127.0.0.1:0")
		p := newPeer()
		c, err := w.client(p).Enroll(dial(w, s))
		if err != nil {
			w.Fatal(err)
		}
		_ = c.AsyncWrite([]byte("world"), nil)
		testenv.Eventually(w, patience, "answered", func() bool { return p.all() == "hello world" })

		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			w.Fatal(err)
		}
		defer l.Close()
		ctx := NewContext(NewNetAddrContext(context.Background(), l.Addr()), "mine")
		result, err := s.eng.Register(ctx)
		if err != nil {
			w.Fatal(err)
		}
		there, err := l.Accept()
		if err != nil {
			w.Fatal(err)
		}
		defer there.Close()
		r := wait(w, result)
		if r.Err != nil || r.Conn.Context() != "mine" {
			w.Fatalf("registered %v with %v", r.Err, r.Conn)
		}
		if got := ask(w, there, "again", 11); got != "hello again" {
			w.Errorf("%q", got)
		}
	})
}

// Nobody there is an error of Dial.
func TestDialFails(t *testing.T) {
	each(t, func(w *world) {
		cl := w.client(newPeer())
		if _, err := cl.Dial("tcp", "127.0.0.1:1"); err == nil {
			w.Error("connected to nobody")
		}
		if _, err := cl.Dial("carrier pigeon", "x"); !errors.Is(err, ErrUnsupportedProtocol) {
			w.Error(err)
		}
		if _, err := cl.Enroll(nil); !errors.Is(err, ErrInvalidNetConn) {
			w.Error(err)
		}
	})
}

// Addresses that are none, options that do not work: errors that say so.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		addr string
		o    Options
		want string
	}{
		{"", Options{}, "want NETWORK://ADDRESS"},
		{"127.0.0.1:80", Options{}, "want NETWORK://ADDRESS"},
		{"tcp://127.0.0.1:0/path", Options{}, "want tcp://HOST:PORT"},
		{"http://127.0.0.1:0", Options{}, "only unix, tcp"},
		{"tcp://127.0.0.1:x", Options{}, "invalid network address"},
		{"tcp://127.0.0.1:0", Options{LB: LeastConnections}, "WithLoadBalancing"},
		{"tcp://127.0.0.1:0", Options{LB: SourceAddrHash}, "WithLoadBalancing"},
		{"tcp://127.0.0.1:0", Options{LockOSThread: true, Backend: "netpoll"}, "WithLockOSThread"},
		{"tcp://127.0.0.1:0", Options{NumEventLoop: -1}, "WithNumEventLoop(-1)"},
		{"tcp://127.0.0.1:0", Options{ReadBufferCap: -1}, "negative size"},
		{"tcp://127.0.0.1:0", Options{WriteLimit: -1}, "negative size"},
		{"tcp://127.0.0.1:0", Options{TCPKeepCount: -1}, "negative keep-alive"},
		{"tcp://127.0.0.1:0", Options{SocketSendBuffer: -1}, "negative socket buffer"},
		{"tcp://127.0.0.1:0", Options{MulticastInterfaceIndex: -1}, "WithMulticastInterfaceIndex"},
		{"tcp://127.0.0.1:0", Options{BindToDevice: "lo"}, "WithBindToDevice"},
		{"tcp://127.0.0.1:0", Options{LogPath: "/no/such/directory/log"}, "WithLogPath"},
		{"tcp://127.0.0.1:0", Options{Backend: "punched cards"}, "punched cards"},
	} {
		c.o.Logger = silent{}
		if c.o.LogPath != "" {
			c.o.Logger = nil
		}
		err := Run(&refuser{}, c.addr, WithOptions(c.o))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q with %+v: %v, want %q", c.addr, c.o, err, c.want)
		}
	}
}

// A socket's options, and what is one only of streams.
type tuner struct {
	BuiltinEventEngine
	result chan error
}

func (u *tuner) OnOpen(c Conn) ([]byte, Action) {
	u.result <- errors.Join(c.SetNoDelay(false), c.SetKeepAlivePeriod(30e9),
		c.SetKeepAlive(true, 30e9, 10e9, 3), c.SetKeepAlive(false, 0, 0, 0),
		c.SetReadBuffer(1<<16), c.SetWriteBuffer(1<<16), c.SetLinger(-1), c.Flush())
	if c.SetReadBuffer(0) == nil || c.SetKeepAlive(true, 0, 0, 0) == nil {
		u.result <- errors.New("sizes of 0 were taken")
	}
	if _, err := c.SendTo(nil, c.RemoteAddr()); !errors.Is(err, ErrUnsupportedOp) {
		u.result <- err
	}
	_, err := c.ReadFrom(strings.NewReader("read from a reader"))
	u.result <- err
	_ = c.SetLinger(0)
	return nil, None
}

func (u *tuner) OnTraffic(c Conn) Action { return Close }

func TestSocketOptions(t *testing.T) {
	eachReal(t, func(w *world) {
		u := &tuner{result: make(chan error, 10)}
		s := w.serve(u, "tcp://127.0.0.1:0", WithTCPKeepAlive(60e9), WithTCPNoDelay(TCPDelay), WithSocketSendBuffer(1<<17),
			WithSocketRecvBuffer(1<<17), WithReuseAddr(true), WithLockOSThread(true), WithMulticore(true), WithEdgeTriggeredIO(true))
		c := dial(w, s)
		for range 2 {
			if err := wait(w, u.result); err != nil {
				w.Error(err)
			}
		}
		b := make([]byte, 18)
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "read from a reader" {
			w.Errorf("%q, %v", b, err)
		}
		_, _ = c.Write([]byte("x"))
		if _, err := c.Read(b); err == nil || err == io.EOF { // SetLinger(0)
			w.Errorf("closed by %v, want a reset", err)
		}
	})
}

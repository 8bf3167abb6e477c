//go:build linux

package netconn

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"mobius"
	"mobius/internal/testenv"
)

// The options of keep-alive are those that package net sets, on both ends.
func TestKeepAliveLikePackageNet(t *testing.T) {
	for _, given := range []struct {
		simple time.Duration
		config net.KeepAliveConfig
	}{
		{}, {simple: -1}, {simple: 33 * time.Second}, {config: net.KeepAliveConfig{Enable: true}},
		{config: net.KeepAliveConfig{Enable: true, Idle: 70 * time.Second, Interval: 3 * time.Second, Count: 4}},
		{simple: -1, config: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second}},
	} {
		want := keepAlives(t, &net.ListenConfig{KeepAlive: given.simple, KeepAliveConfig: given.config},
			&net.Dialer{KeepAlive: given.simple, KeepAliveConfig: given.config})
		everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
			got := keepAlives(t, &ListenConfig{Reactor: r, KeepAlive: given.simple, KeepAliveConfig: given.config},
				&Dialer{Reactor: r, KeepAlive: given.simple, KeepAliveConfig: given.config})
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%+v: got %v, package net has %v", given, got, want)
			}
		})
	}
}

// keepAlives returns the options of what is dialed and of what is accepted.
func keepAlives(t *testing.T, lc interface {
	Listen(ctx context.Context, network, address string) (net.Listener, error)
}, d dialer) (all []string) {
	t.Helper()
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := d.DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, c := range []net.Conn{c, s} {
		raw, err := c.(syscall.Conn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) {
			get := func(level, option int) int {
				n, err := syscall.GetsockoptInt(int(fd), level, option)
				if err != nil {
					t.Error(err)
				}
				return n
			}
			if on := get(syscall.SOL_SOCKET, syscall.SO_KEEPALIVE); on == 0 {
				all = append(all, "off")
				return
			}
			all = append(all, fmt.Sprintf("idle %d, interval %d, count %d", get(syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE),
				get(syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL), get(syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT)))
		})
	}
	return all
}

// deaf returns a port of ::1 that answers no connect any more: its queue is full.
func deaf(t *testing.T) int {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		testenv.Missing(t, "IPv6: %v", err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet6{Addr: netip.IPv6Loopback().As16()}); err != nil {
		testenv.Missing(t, "IPv6: %v", err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	port := sa.(*syscall.SockaddrInet6).Port
	for {
		c, err := net.DialTimeout("tcp", net.JoinHostPort("::1", strconv.Itoa(port)), 30*time.Millisecond)
		if err != nil {
			return port
		}
		t.Cleanup(func() { c.Close() })
	}
}

// names is a resolver for which every name is ::1 and 127.0.0.1.
func names(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	t.Cleanup(func() { server.Close(); <-served })
	go func() {
		defer close(served)
		p := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(p)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(p[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			answer := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60}}
			answer.Body = &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}
			if q.Type == dnsmessage.TypeAAAA {
				answer.Body = &dnsmessage.AAAAResource{AAAA: netip.IPv6Loopback().As16()}
			}
			m.Response, m.Answers, m.Additionals = true, []dnsmessage.Resource{answer}, nil
			if b, err := m.Pack(); err == nil {
				server.WriteTo(b, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

var late = regexp.MustCompile(`( is="(i/o timeout|context deadline exceeded)")+`)

// looked makes the error of a lookup that is too late that of a connect.
var looked = strings.NewReplacer("tcp6: lookup double.test:", "tcp6 [::1]:PORT:",
	"addr=<nil> err=*net.DNSError", "addr=*net.TCPAddr err=private")

// A dial of a name does not wait for an address that does not answer, unless it is
// told to, and ends when it is canceled or late.
func TestDialLikePackageNet(t *testing.T) {
	port := strconv.Itoa(deaf(t))
	l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	resolver := names(t)
	at := net.JoinHostPort("double.test", port)
	behave := func(t *testing.T, dial func(delay, timeout time.Duration, end time.Time) dialer) []string {
		r := &record{t: t}
		try := func(what string, ctx context.Context, network string, d dialer) {
			c, err := d.DialContext(ctx, network, at)
			r.note(what, err)
			if err == nil {
				r.note("to", c.RemoteAddr().String())
				c.Close()
			}
		}
		try("fallback", t.Context(), "tcp", dial(5*time.Millisecond, 0, time.Time{}))
		try("one family", t.Context(), "tcp4", dial(0, 0, time.Time{}))
		try("no fallback", t.Context(), "tcp", dial(-1, 30*time.Millisecond, time.Time{}))
		try("timeout before the fallback", t.Context(), "tcp", dial(time.Minute, 30*time.Millisecond, time.Time{}))
		try("deadline", t.Context(), "tcp6", dial(0, 0, time.Now().Add(30*time.Millisecond)))
		try("deadline in the past", t.Context(), "tcp6", dial(0, 0, time.Unix(1, 0)))
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		try("the context's deadline", ctx, "tcp6", dial(0, 0, time.Time{}))
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		try("canceled", ctx, "tcp6", dial(0, 0, time.Time{}))
		for i, line := range r.lines { // which of the two it is depends on who is first, with package net
			line = late.ReplaceAllString(line, " is late")
			if strings.HasPrefix(line, "no fallback") { // so does which of the addresses it tells
				line = strings.Replace(line, "127.0.0.1:PORT", "[::1]:PORT", 1)
			}
			if strings.HasPrefix(line, "deadline in the past") { // and whether the name was looked up first
				line = looked.Replace(line)
			}
			r.lines[i] = line
		}
		return r.lines
	}
	want := behave(t, func(delay, timeout time.Duration, end time.Time) dialer {
		return &net.Dialer{Resolver: resolver, FallbackDelay: delay, Timeout: timeout, Deadline: end}
	})
	everyRealBackend(t, func(t *testing.T, r *mobius.Reactor) {
		got := behave(t, func(delay, timeout time.Duration, end time.Time) dialer {
			return &Dialer{Reactor: r, Resolver: resolver, FallbackDelay: delay, Timeout: timeout, Deadline: end}
		})
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got\n%q\nwant\n%q", got, want)
		}
	})
}

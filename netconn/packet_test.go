package netconn

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
)

// everyPacketNet runs f with two packet connections, of UDP and of unix sockets.
func everyPacketNet(t *testing.T, o Options, f func(t *testing.T, a, b net.PacketConn)) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		dir := t.TempDir()
		for network, at := range map[string][2]string{
			"udp4": {"127.0.0.1:0", "127.0.0.1:0"}, "udp": {":0", "[::1]:0"},
			"unixgram": {filepath.Join(dir, "a"), filepath.Join(dir, "b")},
		} {
			t.Run(network, func(t *testing.T) {
				lc := ListenConfig{Reactor: r, Options: o}
				var conns [2]net.PacketConn
				for i := range conns {
					c, err := lc.ListenPacket(t.Context(), network, at[i])
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					conns[i] = c
				}
				f(t, conns[0], conns[1])
			})
		}
	})
}

// to is where other sockets of this host reach c.
func to(c net.PacketConn) net.Addr {
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok && a.IP.IsUnspecified() {
		return &net.UDPAddr{IP: net.IPv6loopback, Port: a.Port}
	}
	return c.LocalAddr()
}

func TestPacketsKeepTheirBounds(t *testing.T) {
	everyPacketNet(t, Options{}, func(t *testing.T, a, b net.PacketConn) {
		for _, text := range []string{"x", "", strings.Repeat("y", 1400)} {
			if n, err := a.WriteTo([]byte(text), to(b)); n != len(text) || err != nil {
				t.Fatalf("WriteTo: %d, %v", n, err)
			}
			p := make([]byte, 2000)
			n, from, err := b.ReadFrom(p)
			if err != nil || string(p[:n]) != text {
				t.Fatalf("ReadFrom: %d bytes, %v, want %d", n, err, len(text))
			}
			if n, err := b.WriteTo([]byte("back"), from); n != 4 || err != nil {
				t.Fatalf("WriteTo %v: %d, %v", from, n, err)
			}
			if n, _, err := a.ReadFrom(p[:2]); n != 2 || err != nil || string(p[:2]) != "ba" {
				t.Fatalf("ReadFrom of what does not fit: %d, %v", n, err)
			}
		}
	})
}

func TestPacketDeadlines(t *testing.T) {
	everyPacketNet(t, Options{}, func(t *testing.T, a, b net.PacketConn) {
		p := make([]byte, 10)
		late := func(what string, err error) {
			var ne net.Error
			if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
				t.Errorf("%s: %v, want a timeout", what, err)
			}
		}
		a.SetDeadline(time.Now().Add(-time.Second))
		_, _, err := a.ReadFrom(p)
		late("ReadFrom after its deadline", err)
		_, err = a.WriteTo(p, to(b))
		late("WriteTo after its deadline", err)
		a.SetDeadline(time.Now().Add(5 * time.Millisecond))
		_, _, err = a.ReadFrom(p)
		late("ReadFrom until its deadline", err)
		a.SetDeadline(time.Time{})
		failed := make(chan error, 1)
		go func() { _, _, err := a.ReadFrom(p); failed <- err }()
		r := a.(interface{ reader() *packetReader }).reader()
		blocked(t, &r.mu, &r.w)
		a.SetReadDeadline(time.Now().Add(time.Hour))
		a.SetReadDeadline(time.Now().Add(-time.Hour))
		late("a blocked ReadFrom", <-failed)
		a.SetReadDeadline(time.Time{})
		if _, err := b.WriteTo([]byte("on"), to(a)); err != nil {
			t.Fatal(err)
		}
		if n, _, err := a.ReadFrom(p); n != 2 || err != nil {
			t.Errorf("ReadFrom afterwards: %d, %v", n, err)
		}
	})
}

// blocked waits until a goroutine waits.
func blocked(t *testing.T, mu *sync.Mutex, w *waiter) {
	t.Helper()
	testenv.Eventually(t, testenv.Patience(), "somebody waits", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return w.waiting
	})
}

func (c *PacketConn) reader() *packetReader { return &c.r }

func TestPacketCloseWakesEveryone(t *testing.T) {
	everyPacketNet(t, Options{}, func(t *testing.T, a, b net.PacketConn) {
		const readers = 5
		failed := make(chan error, readers)
		for range readers {
			go func() { _, _, err := a.ReadFrom(make([]byte, 10)); failed <- err }()
		}
		r := a.(interface{ reader() *packetReader }).reader()
		blocked(t, &r.mu, &r.w)
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		for range readers {
			if err := <-failed; !errors.Is(err, net.ErrClosed) {
				t.Errorf("ReadFrom: %v, want %v", err, net.ErrClosed)
			}
		}
		if err := a.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if _, err := a.WriteTo([]byte("x"), to(b)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteTo: %v", err)
		}
	})
}

// Readers and writers of all sides at once: no datagram is cut or mixed up, and
// none is told twice.
func TestPacketsConcurrently(t *testing.T) {
	everyPacketNet(t, Options{}, func(t *testing.T, a, b net.PacketConn) {
		const writers, each = 4, 50
		var seen sync.Map
		var got atomic.Int64
		var all sync.WaitGroup
		for range writers {
			all.Go(func() {
				p := make([]byte, 100)
				for {
					n, from, err := b.ReadFrom(p)
					if err != nil {
						return
					}
					var w, i int
					if _, err := fmt.Sscanf(string(p[:n]), "%d %d", &w, &i); err != nil || from == nil {
						t.Errorf("%q from %v: %v", p[:n], from, err)
					}
					if _, twice := seen.LoadOrStore([2]int{w, i}, true); twice {
						t.Errorf("%q twice", p[:n])
					}
					got.Add(1)
				}
			})
		}
		var sends sync.WaitGroup
		for w := range writers {
			sends.Go(func() {
				for i := range each {
					if _, err := a.WriteTo(fmt.Appendf(nil, "%d %d", w, i), to(b)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		sends.Wait()
		testenv.Eventually(t, testenv.Patience(), "all have come", func() bool { return got.Load() == writers*each })
		b.Close()
		all.Wait()
	})
}

// A connection of which nobody reads keeps no more than its limit, and goes on
// afterwards.
func TestPacketLimit(t *testing.T) {
	everyPacketNet(t, Options{Datagrams: 4}, func(t *testing.T, a, b net.PacketConn) {
		r := b.(interface{ reader() *packetReader }).reader()
		p := make([]byte, 10)
		a.WriteTo([]byte{255}, to(b))
		if _, _, err := b.ReadFrom(p); err != nil { // the first read begins to receive
			t.Fatal(err)
		}
		a.SetWriteDeadline(time.Now().Add(testenv.Patience()))
		const sent = 8
		for i := range sent {
			if _, err := a.WriteTo([]byte{byte(i)}, to(b)); err != nil {
				t.Fatal(err)
			}
		}
		testenv.Eventually(t, testenv.Patience(), "the limit is reached", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.stopped && r.n >= 4
		})
		for i := range sent {
			if _, _, err := b.ReadFrom(p); err != nil || p[0] != byte(i) {
				t.Fatalf("datagram %d: %d, %v", i, p[0], err)
			}
		}
	})
}

func TestDialedPackets(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		s, err := ListenPacket(r, "udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c, err := Dial(r, "udp", s.LocalAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p := make([]byte, 10)
		if _, err := c.Write([]byte("hi")); err != nil {
			t.Fatal(err)
		}
		n, from, err := s.ReadFrom(p)
		if err != nil || string(p[:n]) != "hi" || from.String() != c.LocalAddr().String() {
			t.Fatalf("%q from %v, %v", p[:n], from, err)
		}
		if _, err := s.WriteTo([]byte("ho"), from); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(p); err != nil || string(p[:n]) != "ho" {
			t.Fatalf("%q, %v", p[:n], err)
		}
		s.Close()
		c.Write([]byte("nobody"))
		if _, err := c.Read(p); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("Read of a port that is closed: %v", err)
		}
		if _, err := c.(*UDPConn).WriteTo(p, from); !errors.Is(err, net.ErrWriteToConnected) {
			t.Errorf("WriteTo on a dialed connection: %v", err)
		}
	})
}

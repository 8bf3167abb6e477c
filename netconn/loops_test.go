package netconn

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"

	"mobius"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
)

// A listener deals its connections out to the loops in turn.
func TestSeveralLoops(t *testing.T) {
	for _, b := range backends.All() {
		t.Run(b.Name, func(t *testing.T) {
			testenv.Leaks(t)
			const loops = 3
			r := running(t, b, loops)
			n, err := Listen(r.Reactor, "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer n.Close()
			on := map[*mobius.Loop]int{}
			for range 2 * loops {
				c, err := Dial(r.Reactor, "tcp", n.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				s, err := n.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				on[s.(*TCPConn).l]++
				if _, err := c.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			for _, l := range r.Loops() {
				if on[l] != 2 {
					t.Errorf("loop %s has %d connections, want 2", l.Name(), on[l])
				}
			}
		})
	}
}

// The reactor's end wakes whoever is blocked, and says why.
func TestReactorStops(t *testing.T) {
	for _, b := range backends.All() {
		t.Run(b.Name, func(t *testing.T) {
			testenv.Leaks(t)
			o := mobius.Options{Logger: slog.New(slog.DiscardHandler)}
			o.Open = func(int) (proactor.Backend, error) { return b.Open() }
			r, err := Start(o)
			if err != nil {
				testenv.Missing(t, "%s: %v", b.Name, err)
			}
			n, err := Listen(r.Reactor, "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			client, server, err := connected(r.Reactor, "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			packets, err := ListenPacket(r.Reactor, "udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ends := make(chan error, 4)
			go func() { _, err := n.Accept(); ends <- err }()
			go func() { _, err := client.Read(make([]byte, 1)); ends <- err }()
			go func() { _, err := server.Write(make([]byte, 32<<20)); ends <- err }()
			go func() { _, _, err := packets.ReadFrom(make([]byte, 1)); ends <- err }()
			l, c, s, p := n.(*Listener), client.(*TCPConn), server.(*TCPConn), packets.(*UDPConn)
			blocked(t, &l.mu, &l.w)
			blocked(t, &s.w.mu, &s.w.w)
			blocked(t, &p.r.mu, &p.r.w)
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			for range 4 {
				if err := <-ends; err != nil && (!errors.Is(err, net.ErrClosed) || !errors.Is(err, mobius.ErrStopped)) {
					t.Errorf("%v, want %v and %v", err, net.ErrClosed, mobius.ErrStopped)
				}
			}
			if err := errors.Join(c.Close(), s.Close(), p.Close()); err != nil {
				t.Errorf("Close afterwards: %v", err)
			}
		})
	}
}

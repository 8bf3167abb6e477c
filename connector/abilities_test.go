package connector

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A TCP connection's options can be changed while it lives, and read back.
func TestTCPTransport(t *testing.T) {
	each(t, func(s *scene) {
		p := s.listen(s.quiet())
		end := s.plain(p.Addr())
		tcp, ok := transport.As[transport.TCPTransport](end.t)
		if !ok {
			s.Fatal("no such ability")
		}
		for _, on := range []bool{true, false, true} { // it is on by default
			if got, err := tcp.NoDelay(); got != on || err != nil {
				s.Errorf("NoDelay is %v, %v; want %v", got, err, on)
			}
			if err := tcp.SetNoDelay(!on); err != nil {
				s.Error(err)
			}
		}
		for _, idle := range []time.Duration{0, 90 * time.Second, -1, 0} {
			if err := tcp.SetKeepAlive(idle); err != nil {
				s.Error(err)
			}
			want := idle
			if idle == 0 {
				want = 15 * time.Second
			}
			if got, err := tcp.KeepAlive(); err != nil || got != want && !(got < 0 && want < 0) {
				s.Errorf("KeepAlive is %v, %v; want %v", got, err, want)
			}
		}
		unix, _ := transport.As[transport.UNIXTransport](end.t)
		if _, err := unix.PeerCredentials(); !errors.Is(err, proactor.ErrUnsupported) {
			s.Errorf("credentials over TCP: %v", err)
		}
		end.t.AbortConnection()
		s.Until("lost", func() bool { return end.err != nil })
		if _, err := tcp.NoDelay(); !errors.Is(err, net.ErrClosed) {
			s.Errorf("after the loss: %v", err)
		}
		if err := tcp.SetNoDelay(true); !errors.Is(err, net.ErrClosed) {
			s.Errorf("after the loss: %v", err)
		}
	})
}

// Each end of a unix stream knows who made the other.
func TestPeerCredentials(t *testing.T) {
	each(t, func(s *scene) {
		dir, err := os.MkdirTemp("", "m")
		if err != nil {
			s.Fatal(err)
		}
		s.Cleanup(func() { _ = os.RemoveAll(dir) })
		server := s.quiet()
		p, err := Listen([]*loop.Loop{s.l}, proactor.UnixAddress(filepath.Join(dir, "s")), server, ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		client := s.plain(p.Addr())
		s.Until("accepted", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		for name, end := range map[string]*talker{"client": client, "server": server.made[0]} {
			u, _ := transport.As[transport.UNIXTransport](end.t)
			got, err := u.PeerCredentials()
			if err != nil || s.Net == nil && (got.PID != os.Getpid() || got.UID != uint32(os.Getuid()) || got.GID != uint32(os.Getgid())) {
				s.Errorf("%s: %+v, %v", name, got, err)
			}
			tcp, _ := transport.As[transport.TCPTransport](end.t)
			if _, err := tcp.NoDelay(); !errors.Is(err, proactor.ErrUnsupported) {
				s.Errorf("%s: NoDelay of a unix stream: %v", name, err)
			}
		}
		client.t.AbortConnection()
		s.Until("lost", func() bool { return client.err != nil })
		u, _ := transport.As[transport.UNIXTransport](client.t)
		if _, err := u.PeerCredentials(); !errors.Is(err, net.ErrClosed) {
			s.Errorf("after the loss: %v", err)
		}
	})
}

package twisted

import (
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// eachUNIX runs a case on every backend, over unix sockets.
func eachUNIX(t *testing.T, f func(s *scene)) { eachOn(t, []wire{unix}, f) }

// eachFile is eachUNIX where there are files: not on a simulated network.
func eachFile(t *testing.T, f func(s *scene)) {
	backends.EachReal(t, func(w *backends.World) { f(newScene(w, unix)) })
}

func TestCase237Mode(t *testing.T) {
	eachFile(t, func(s *scene) {
		for _, mode := range []uint32{0o600, 0o622, 0o777} {
			p := s.listenWith(s.silent("server"), connector.ListenOptions{Socket: &proactor.SocketOptions{Mode: mode}})
			info, err := os.Stat(p.Addr().Path())
			if err != nil || info.Mode().Perm() != os.FileMode(mode) {
				s.Errorf("%v, %v; want %o", info.Mode(), err, mode)
			}
			s.stop(p)
		}
	})
}

func TestCase239CannotListen(t *testing.T) {
	eachUNIX(t, func(s *scene) {
		p := s.listen(s.silent("server"))
		_, err := connector.Listen([]*loop.Loop{s.l}, p.Addr(), s.silent("second"), connector.ListenOptions{})
		var e *transport.ConnError
		if !errors.As(err, &e) || e.Op != "listen" || e.Addr != p.Addr() || !errors.Is(err, syscall.EADDRINUSE) {
			s.Errorf("a path that is taken: %v", err)
		}
		if s.Net != nil {
			return
		}
		for path, want := range map[string]error{s.dir + "/no/such/directory": syscall.ENOENT, s.dir: syscall.EADDRINUSE} {
			_, err := connector.Listen([]*loop.Loop{s.l}, proactor.UnixAddress(path), s.silent("server"), connector.ListenOptions{})
			if !errors.As(err, &e) || !errors.Is(err, want) {
				s.Errorf("%s: %v, want %v", path, err, want)
			}
		}
	})
}

func TestCase240Addresses(t *testing.T) {
	eachUNIX(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		if a.t.RemoteAddr() != b.t.LocalAddr() || b.t.RemoteAddr() != a.t.LocalAddr() || a.t.LocalAddr().Path() == "" {
			s.Errorf("server %v to %v, client %v to %v", a.t.LocalAddr(), a.t.RemoteAddr(), b.t.LocalAddr(), b.t.RemoteAddr())
		}
	})
}

func TestCase241BoundClient(t *testing.T) {
	eachUNIX(t, func(s *scene) {
		server, local := s.silent("server"), s.address()
		p := s.listen(server)
		connector.Connect(s.l, connector.To(p.Addr()), s.silent("client"), connector.Options{Local: local})
		s.Until("connected", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		if server.peers[0] != local || server.made[0].t.RemoteAddr() != local {
			s.Errorf("built for %v, the peer is %v; want %v", server.peers[0], server.made[0].t.RemoteAddr(), local)
		}
	})
}

func TestCase244LiveServer(t *testing.T) {
	eachUNIX(t, func(s *scene) {
		first := s.silent("first")
		p := s.listen(first)
		second := s.plant("second")
		_, err := connector.Listen([]*loop.Loop{s.l}, p.Addr(), second, connector.ListenOptions{})
		if !errors.Is(err, syscall.EADDRINUSE) {
			s.Errorf("a second listener: %v", err)
		}
		s.expect()
		first.talker.onData = func(q *talker) { q.write("I serve") }
		client := s.silent("client")
		client.talker.onMade = func(q *talker) { q.write("?") }
		s.connect(p.Addr(), client)
		s.Until("the first one still serves", func() bool { return len(client.made) == 1 && string(client.made[0].got) == "I serve" })
	})
}

func TestCase245StaleSocket(t *testing.T) {
	eachFile(t, func(s *scene) {
		path := s.address().Path()
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			s.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		if err := dead.Close(); err != nil { // as if its process had died
			s.Fatal(err)
		}
		server := s.silent("server")
		p, err := connector.Listen([]*loop.Loop{s.l}, proactor.UnixAddress(path), server, connector.ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		s.connect(p.Addr(), s.silent("client"))
		s.Until("it serves", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		s.stop(p)
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			s.Errorf("after the stop: %v", err)
		}
	})
}

// A failed listen leaves nothing: no user of the factory, no file.
func TestX34FailedListen(t *testing.T) {
	eachFile(t, func(s *scene) {
		f := s.plant("server")
		path := s.address().Path()
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			s.Fatal(err)
		}
		if _, err := connector.Listen([]*loop.Loop{s.l}, proactor.UnixAddress(path), f, connector.ListenOptions{}); err == nil {
			s.Error("it listens at a file that is no socket")
		}
		if b, err := os.ReadFile(path); string(b) != "precious" {
			s.Errorf("the file: %q, %v", b, err)
		}
		s.expect()
		if f.Users() != 0 {
			s.Errorf("%d users", f.Users())
		}
		if err := os.Remove(path); err != nil {
			s.Fatal(err)
		}
		p, err := connector.Listen([]*loop.Loop{s.l}, proactor.UnixAddress(path), f, connector.ListenOptions{})
		if err != nil {
			s.Fatal(err)
		}
		s.stop(p)
	})
}

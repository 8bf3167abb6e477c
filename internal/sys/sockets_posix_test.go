//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// open returns Sockets that are closed at the end, with nothing left open.
func open(t *testing.T) *Sockets {
	t.Helper()
	s := &Sockets{}
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.CloseAll()
		if s.Handles() != 0 {
			t.Errorf("%d handles left", s.Handles())
		}
	})
	return s
}

func parse(t *testing.T, network, text string) proactor.Address {
	t.Helper()
	a, err := proactor.ParseAddress(network, text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func listen(t *testing.T, s *Sockets, a proactor.Address, o *proactor.SocketOptions) (proactor.Handle, proactor.Address) {
	t.Helper()
	h, bound, err := s.Listen(a, o)
	if err != nil {
		t.Fatalf("Listen(%v): %v", a, err)
	}
	return h, bound
}

// accept takes one connection that is on its way.
func accept(t *testing.T, s *Sockets, l proactor.Handle) (proactor.Handle, proactor.Address) {
	t.Helper()
	var raw RawAddr
	fd := -1
	testenv.Eventually(t, 5*time.Second, "a connection", func() bool {
		var err error
		fd, err = Accept(int(l.Index()), &raw)
		return err == nil
	})
	h, peer, ok := s.Accepted(s.Lookup(l), fd, &raw, true)
	if !ok {
		t.Fatal("peer is gone")
	}
	return h, peer
}

func option(t *testing.T, h proactor.Handle, level, opt int) int {
	t.Helper()
	v, err := unix.GetsockoptInt(int(h.Index()), level, opt)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSocketsAreNonBlockingCloexecNoDelay(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	c, err := s.Stream(bound, nil)
	if err != nil {
		t.Fatal(err)
	}
	var raw RawAddr
	if err := raw.Set(bound, 0); err != nil {
		t.Fatal(err)
	}
	if err := Connect(int(c.Index()), &raw); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	a, peer := accept(t, s, l)
	foreign, err := net.Dial("tcp", bound.String())
	if err != nil {
		t.Fatal(err)
	}
	file, err := foreign.(*net.TCPConn).File()
	foreign.Close()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd())) // blocking, and not CLOEXEC
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	adopted, err := s.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	local, _, err := s.Names(c)
	if err != nil || local != peer {
		t.Errorf("accepted peer %v, connected socket is %v, %v", peer, local, err)
	}
	for name, h := range map[string]proactor.Handle{"listener": l, "stream": c, "accepted": a, "adopted": adopted} {
		fl, _ := unix.FcntlInt(uintptr(h.Index()), unix.F_GETFL, 0)
		fdfl, _ := unix.FcntlInt(uintptr(h.Index()), unix.F_GETFD, 0)
		if fl&unix.O_NONBLOCK == 0 || fdfl&unix.FD_CLOEXEC == 0 {
			t.Errorf("%s: flags %#x, descriptor flags %#x", name, fl, fdfl)
		}
		if option(t, h, unix.IPPROTO_TCP, unix.TCP_NODELAY) == 0 {
			t.Errorf("%s: TCP_NODELAY is off", name)
		}
	}
}

func TestOptionsAreInherited(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), &proactor.SocketOptions{
		Delay: proactor.On, KeepAlive: -1, SendBuffer: 8192, RecvBuffer: 8192,
	})
	c, err := net.Dial("tcp", bound.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a, _ := accept(t, s, l)
	if option(t, a, unix.IPPROTO_TCP, unix.TCP_NODELAY) != 0 || option(t, a, unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0 ||
		option(t, a, unix.SOL_SOCKET, unix.SO_SNDBUF) > 16384 || option(t, a, unix.SOL_SOCKET, unix.SO_RCVBUF) > 16384 {
		t.Error("options of the listener are not those of the accepted socket")
	}
	if err := s.SetOptions(a, &proactor.SocketOptions{KeepAlive: time.Minute, SendBuffer: 65536}); err != nil {
		t.Fatal(err)
	}
	if option(t, a, unix.SOL_SOCKET, unix.SO_KEEPALIVE) == 0 || option(t, a, unix.SOL_SOCKET, unix.SO_SNDBUF) < 65536 {
		t.Error("SetOptions changed nothing")
	}
	if option(t, a, unix.IPPROTO_TCP, unix.TCP_NODELAY) != 0 {
		t.Error("a zero Delay turned TCP_NODELAY on")
	}
}

func TestStaleHandlesTouchNobody(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	if err := s.CloseFD(l); err != nil {
		t.Fatal(err)
	}
	again, _ := listen(t, s, bound, nil)
	if again.Index() != l.Index() || again == l {
		t.Fatalf("handles %v and %v: want one number, two generations", l, again)
	}
	_, _, names := s.Names(l)
	_, detach := s.Detach(l)
	_, refuse := s.Refuse(l, 1)
	_, write := s.TryWrite(l, [][]byte{{1}})
	for what, err := range map[string]error{
		"CloseFD": s.CloseFD(l), "Shutdown": s.Shutdown(l), "Reset": s.Reset(l), "SetOptions": s.SetOptions(l, nil),
		"Names": names, "Detach": detach, "Refuse": refuse, "TryWrite": write,
	} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s of a stale handle: %v", what, err)
		}
	}
	if s.Token(l) != nil || s.Token(again) == nil || s.Lookup(0) != nil {
		t.Error("Token or Lookup of a stale handle")
	}
	s.Lookup(again).Busy++
	if err := s.CloseFD(again); err != proactor.ErrBusy {
		t.Errorf("CloseFD of a busy handle: %v", err)
	}
	if _, err := s.Detach(again); err != proactor.ErrBusy {
		t.Errorf("Detach of a busy handle: %v", err)
	}
}

func TestBusyPortIsAnError(t *testing.T) {
	for _, text := range []string{"127.0.0.1:0", ":0"} {
		a, b := open(t), open(t)
		_, bound := listen(t, a, parse(t, "tcp", text), nil)
		for _, reuse := range []bool{false, true} {
			if _, _, err := b.Listen(bound, &proactor.SocketOptions{ReusePort: reuse}); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("%s: second Listen, ReusePort %v: %v, want EADDRINUSE", text, reuse, err)
			}
		}
	}
}

// A port that somebody else shares is busy all the same, and ours is to them.
func TestSharedPortIsOursAlone(t *testing.T) {
	share := &proactor.SocketOptions{ReusePort: true}
	for _, text := range []string{"127.0.0.1:0", ":0"} {
		a, b, c := open(t), open(t), open(t)
		first, bound := listen(t, a, parse(t, "tcp", text), share)
		second, _ := listen(t, b, bound, share)
		if _, _, err := c.Listen(bound, nil); !errors.Is(err, unix.EADDRINUSE) {
			t.Errorf("Listen without the option beside shared ones: %v", err)
		}
		if a.CloseFD(first) != nil || b.CloseFD(second) != nil {
			t.Fatal("CloseFD")
		}
		listen(t, c, bound, nil) // and it is free afterwards
	}
	stranger, err := newSocket(unix.AF_INET, unix.SOCK_STREAM)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stranger)
	s := open(t)
	var raw RawAddr
	if err := errors.Join(raw.Set(parse(t, "tcp", "127.0.0.1:0"), 0), shareBeforeBind(stranger), bind(stranger, &raw),
		unix.Listen(stranger, 1), getsockname(stranger, &raw)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Listen(s.Address(&raw, proactor.TCP), share); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("Listen on a port that a stranger shares: %v, want EADDRINUSE", err)
	}
}

func TestListenAgainTwentyTimes(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	for range 20 {
		c, err := net.Dial("tcp", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		h, _ := accept(t, s, l)
		if s.CloseFD(h) != nil || s.CloseFD(l) != nil {
			t.Fatal("CloseFD")
		}
		l, _ = listen(t, s, bound, nil)
		c.Close()
	}
}

func TestUnixSocketFile(t *testing.T) {
	s := open(t)
	path := filepath.Join(t.TempDir(), "socket")
	address := proactor.UnixAddress(path)
	l, bound := listen(t, s, address, &proactor.SocketOptions{Mode: 0o602})
	if bound != address {
		t.Errorf("bound to %v", bound)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o602 {
		t.Errorf("mode is %v, %v, want 0602", st.Mode(), err)
	}
	if _, _, err := s.Listen(address, nil); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("Listen on a live socket: %v", err)
	}
	if err := s.CloseFD(l); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("the file is still there: %v", err)
	}

	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, _ = listen(t, s, address, nil) // replaces it

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseFD(l); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Listen(address, nil); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("Listen on a file: %v", err)
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "precious" {
		t.Errorf("the file that took the socket's place: %q, %v", text, err)
	}
}

func TestRefuseWithoutADescriptorLeft(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	var clients []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	n, err := s.Refuse(l, 2)
	if n != 2 || err != nil {
		t.Fatalf("Refuse = %d, %v", n, err)
	}
	if n, err = s.Refuse(l, 10); n != 1 || err != nil || s.Refused != 3 {
		t.Fatalf("Refuse = %d, %v, %d in all", n, err, s.Refused)
	}
	if n, err = s.Refuse(l, 10); n != 0 || err != nil {
		t.Fatalf("Refuse of nobody = %d, %v", n, err)
	}
	for _, c := range clients {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("a refused client sees %v, want a reset", err)
		}
	}
	if s.reserve < 0 {
		t.Error("the reserve is gone")
	}
}

func TestResetSendsRST(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	c, err := net.Dial("tcp", bound.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h, _ := accept(t, s, l)
	if s.Reset(h) != nil || s.CloseFD(h) != nil {
		t.Fatal("Reset, CloseFD")
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("peer sees %v, want a reset", err)
	}
}

func TestDetachedDescriptorMovesToAnother(t *testing.T) {
	a, b := open(t), open(t)
	l, bound := listen(t, a, parse(t, "tcp", "127.0.0.1:0"), nil)
	c, err := net.Dial("tcp", bound.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h, peer := accept(t, a, l)
	fd, err := a.Detach(h)
	if err != nil {
		t.Fatal(err)
	}
	h2, err := b.Adopt(fd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Adopt(fd); err != unix.EEXIST {
		t.Errorf("adopting twice: %v", err)
	}
	if _, remote, err := b.Names(h2); remote != peer || err != nil {
		t.Errorf("peer is %v, %v, was %v", remote, err, peer)
	}
	if n, err := b.TryWrite(h2, [][]byte{[]byte("mo"), nil, []byte("bius")}); n != 6 || err != nil {
		t.Fatalf("TryWrite = %d, %v", n, err)
	}
	var got [6]byte
	if _, err := c.Read(got[:]); err != nil || string(got[:]) != "mobius" {
		t.Errorf("peer got %q, %v", got, err)
	}
	var pipe [2]int
	if err := unix.Pipe(pipe[:]); err != nil {
		t.Fatal(err)
	}
	unix.Close(pipe[1])
	if p, err := b.Adopt(pipe[0]); err != nil || b.Lookup(p).Kind != Other {
		t.Errorf("adopting a pipe: %v", err)
	}
}

//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// inChild runs the calling test once more in a process of its own, and reports
// whether this is that process.
func inChild(t *testing.T) bool {
	t.Helper()
	if os.Getenv("MOBIUS_CHILD") == t.Name() {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "MOBIUS_CHILD="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("in the child: %v\n%s", err, out)
	}
	return false
}

// exhaust lowers the limit of descriptors and uses all of them. free gives
// them back.
func exhaust(t *testing.T) (free func()) {
	t.Helper()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 64
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	var fds []int
	for {
		fd, err := unix.Dup(0)
		if err == unix.EMFILE {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	return func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}
}

func TestNoDescriptorsLeft(t *testing.T) {
	if !inChild(t) {
		return
	}
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	var clients []net.Conn
	for range 5 {
		c, err := net.Dial("tcp", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	before := s.Handles()
	free := exhaust(t)
	if _, err := s.Stream(bound, nil); err != unix.EMFILE {
		t.Errorf("Stream: %v, want EMFILE", err)
	}
	if _, _, err := s.Listen(parse(t, "tcp", "127.0.0.1:0"), nil); err != unix.EMFILE {
		t.Errorf("Listen: %v, want EMFILE", err)
	}
	var raw RawAddr
	if _, err := Accept(int(l.Index()), &raw); err != unix.EMFILE {
		t.Errorf("Accept: %v, want EMFILE", err)
	}
	n := 0
	testenv.Eventually(t, 5*time.Second, "all clients are refused", func() bool {
		more, err := s.Refuse(l, 100)
		if err != nil {
			t.Fatal(err)
		}
		n += more
		return n == len(clients)
	})
	for _, c := range clients {
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, unix.ECONNRESET) {
			t.Errorf("a refused client sees %v", err)
		}
	}
	if s.Handles() != before || s.reserve < 0 {
		t.Errorf("%d handles, were %d; reserve %d", s.Handles(), before, s.reserve)
	}
	free()
	if _, err := s.Stream(bound, nil); err != nil {
		t.Errorf("Stream once descriptors are free: %v", err)
	}
}

func TestPeerGoneBeforeItsNameWasKnown(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	c, err := net.Dial("tcp", bound.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close() // an RST
	var raw RawAddr
	fd := -1
	testenv.Eventually(t, 5*time.Second, "the connection to be reset, and accepted", func() bool {
		if fd, err = Accept(int(l.Index()), &raw); err != nil {
			return err == unix.ECONNABORTED
		}
		return true
	})
	if fd < 0 {
		return // this kernel drops it by itself
	}
	before := s.Handles()
	testenv.Eventually(t, 5*time.Second, "the reset to arrive", func() bool { return getpeername(fd, &raw) != nil })
	if h, _, ok := s.Accepted(s.Lookup(l), fd, nil, true); ok || h != 0 || s.PeerGone != 1 || s.Handles() != before {
		t.Errorf("handle %v, %v, %d counted", h, ok, s.PeerGone)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF {
		t.Error("its descriptor is still open")
	}
}

func TestWildcardTakesBothFamilies(t *testing.T) {
	s := open(t)
	l, bound := listen(t, s, parse(t, "tcp", ":0"), nil)
	if local, _, err := s.Names(l); err != nil || local != bound || bound.IP().IsValid() {
		t.Fatalf("bound to %v, named %v, %v", bound, local, err)
	}
	for _, ip := range []string{"127.0.0.1", "::1"} {
		c, err := net.Dial("tcp", net.JoinHostPort(ip, bound.String()[1:]))
		if err != nil {
			t.Fatal(err)
		}
		h, peer := accept(t, s, l)
		if peer != proactor.FromNetAddr(c.LocalAddr()) || peer.IP().String() != ip {
			t.Errorf("peer of %v is %v", c.LocalAddr(), peer)
		}
		if local, _, _ := s.Names(h); local.IP().String() != ip {
			t.Errorf("local address is %v", local)
		}
		c.Close()
	}
	only6, bound6 := listen(t, s, parse(t, "tcp", "[::]:0"), nil)
	if _, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", bound6.String()[len("[::]:"):])); err == nil {
		t.Error("[::] takes IPv4")
	}
	if err := s.CloseFD(only6); err != nil {
		t.Error(err)
	}
}

func TestStreamBindsLocally(t *testing.T) {
	s := open(t)
	local := parse(t, "tcp", "127.0.0.3:0")
	_, bound := listen(t, s, parse(t, "tcp", "127.0.0.1:0"), nil)
	h, err := s.Stream(bound, &proactor.SocketOptions{Local: local, UserTimeout: 0, KeepAlive: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var raw RawAddr
	if err := raw.Set(bound, 0); err != nil {
		t.Fatal(err)
	}
	if err := Connect(int(h.Index()), &raw); err != nil && err != unix.EINPROGRESS {
		t.Fatal(err)
	}
	if name, _, err := s.Names(h); err != nil || name.IP() != local.IP() {
		t.Errorf("named %v, %v", name, err)
	}
	if _, err := s.Stream(parse(t, "tcp", "[::1]:1"), &proactor.SocketOptions{Local: local}); err == nil {
		t.Error("a local address of another family is no error")
	}
	for _, network := range []proactor.Address{proactor.UnixgramAddress("x"), {}, parse(t, "udp", "127.0.0.1:1")} {
		if _, err := s.Stream(network, nil); err != unix.EPROTONOSUPPORT {
			t.Errorf("Stream to %v: %v", network, err)
		}
	}
}

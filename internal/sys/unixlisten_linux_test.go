//go:build linux

package sys

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

func TestAbstractAndUnnamedListeners(t *testing.T) {
	s := open(t)
	for _, path := range []string{"@mobius-test-" + t.Name(), ""} {
		l, bound := listen(t, s, proactor.UnixAddress(path), nil)
		if !bound.IsAbstract() || path != "" && bound != proactor.UnixAddress(path) {
			t.Errorf("Listen(%q) is bound to %v", path, bound)
		}
		if _, _, err := s.Listen(bound, nil); err != unix.EADDRINUSE {
			t.Errorf("second Listen: %v", err)
		}
		c, err := net.Dial("unix", bound.String())
		if err != nil {
			t.Fatal(err)
		}
		h, peer := accept(t, s, l)
		if peer != proactor.UnixAddress("") {
			t.Errorf("the unnamed peer is %q", peer)
		}
		if local, remote, err := s.Names(h); local != bound || remote != peer || err != nil {
			t.Errorf("names %v and %v, %v", local, remote, err)
		}
		c.Close()
	}
}

func TestUnixPathErrors(t *testing.T) {
	s := open(t)
	dir := t.TempDir()
	for path, want := range map[string]error{
		filepath.Join(dir, strings.Repeat("x", 120)): unix.ENAMETOOLONG,
		filepath.Join(dir, "none", "x"):              unix.ENOENT,
		dir:                                          unix.EADDRINUSE,
	} {
		if _, _, err := s.Listen(proactor.UnixAddress(path), nil); err != want {
			t.Errorf("Listen(%q): %v, want %v", path, err, want)
		}
	}
	if s.Handles() != 0 {
		t.Errorf("%d handles", s.Handles())
	}
}

// A listener whose queue is full answers nobody, but it lives.
func TestBusySocketFileIsNotReplaced(t *testing.T) {
	s := open(t)
	address := proactor.UnixAddress(filepath.Join(t.TempDir(), "s"))
	listen(t, s, address, &proactor.SocketOptions{Backlog: 1})
	for range 10 {
		fd, err := newSocket(unix.AF_UNIX, unix.SOCK_STREAM)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		var raw RawAddr
		if err := raw.Set(address, 0); err != nil {
			t.Fatal(err)
		}
		if Connect(fd, &raw) == unix.EAGAIN {
			break
		}
	}
	if _, _, err := s.Listen(address, nil); err != unix.EADDRINUSE {
		t.Errorf("Listen: %v", err)
	}
}

// A detached listener's file stays for its new owner.
func TestDetachedListenerKeepsItsFile(t *testing.T) {
	s := open(t)
	path := filepath.Join(t.TempDir(), "s")
	l, _ := listen(t, s, proactor.UnixAddress(path), nil)
	fd, err := s.Detach(l)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestTryWriteOfManyPieces(t *testing.T) {
	s := open(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[1])
	h, err := s.Adopt(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	var pieces [][]byte
	var want []byte
	for i := range 3 * maxVectors {
		pieces = append(pieces, bytes.Repeat([]byte{byte(i)}, i%3))
		want = append(want, pieces[i]...)
	}
	var sent int
	if allocs := testing.AllocsPerRun(1, func() {
		n, err := s.TryWrite(h, pieces)
		if err != nil {
			t.Error(err)
		}
		sent += n
	}); allocs != 0 {
		t.Errorf("TryWrite allocates %v times", allocs)
	}
	got := make([]byte, 2*len(want))
	n, err := unix.Read(fds[1], got)
	if err != nil || n != sent || !bytes.HasPrefix(want, got[:sent/2]) {
		t.Errorf("%d bytes sent, %d arrived, %v", sent, n, err)
	}
	for err == nil { // until it is full
		if n, err = s.TryWrite(h, [][]byte{make([]byte, 64<<10)}); n == 0 {
			break
		}
	}
	if n != 0 || err != nil {
		t.Errorf("TryWrite to a full socket: %d, %v", n, err)
	}
	if n, err := s.TryWrite(h, nil); n != 0 || err != nil {
		t.Errorf("TryWrite of nothing: %d, %v", n, err)
	}
	unix.Close(fds[1])
	fds[1] = -1
	if _, err := s.TryWrite(h, [][]byte{{1}}); err != unix.EPIPE {
		t.Errorf("TryWrite to nobody: %v", err)
	}
}

//go:build linux

package mobius

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// opened returns a file's number, which is closed at the end of the test.
func opened(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0o600)
	return own(t, fd, err)
}

// own closes a descriptor at the end of the test.
func own(t *testing.T, fd int, err error) int {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	return fd
}

// piped returns the ends of a pipe.
func piped(t *testing.T) (read, write int) {
	t.Helper()
	var fds [2]int
	if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	return own(t, fds[0], nil), own(t, fds[1], nil)
}

// socketOf returns a socket that listens if it should.
func socketOf(t *testing.T, domain, kind int, listens bool) int {
	t.Helper()
	fd, err := syscall.Socket(domain, kind|syscall.SOCK_CLOEXEC, 0)
	own(t, fd, err)
	if listens {
		if domain == syscall.AF_UNIX {
			err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: filepath.Join(t.TempDir(), "s")})
		}
		if err = errors.Join(err, syscall.Listen(fd, 1)); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

// pairOf returns one end of a connected pair, and keeps the other.
func pairOf(t *testing.T, kind int) (fd, peer int) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, kind|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	return own(t, fds[0], nil), own(t, fds[1], nil)
}

// What is not what it should be is refused, by an error that says why; it stays its
// owner's, and nothing else is left.
func TestAdoptionOfWhatIsNone(t *testing.T) {
	const ok = syscall.Errno(0)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		make                   func(t *testing.T) int
		port, stream, datagram syscall.Errno
	}{
		"no number": {func(*testing.T) int { return -1 }, syscall.EBADF, syscall.EBADF, syscall.EBADF},
		"the limit": {func(*testing.T) int { return int(limit.Cur) }, syscall.EBADF, syscall.EBADF, syscall.EBADF},
		"the most":  {func(*testing.T) int { return 1<<31 - 1 }, syscall.EBADF, syscall.EBADF, syscall.EBADF},
		"a wrap":    {func(*testing.T) int { return 1<<32 + 1 }, syscall.EBADF, syscall.EBADF, syscall.EBADF},
		"a pipe":    {func(t *testing.T) int { r, _ := piped(t); return r }, syscall.ENOTSOCK, syscall.ENOTSOCK, syscall.ENOTSOCK},
		"a folder":  {func(t *testing.T) int { return opened(t, "/", 0) }, syscall.ENOTSOCK, syscall.ENOTSOCK, syscall.ENOTSOCK},
		"a device":  {func(t *testing.T) int { return opened(t, os.DevNull, 2) }, syscall.ENOTSOCK, syscall.ENOTSOCK, syscall.ENOTSOCK},
		"a path":    {func(t *testing.T) int { return opened(t, "/", unix.O_PATH) }, syscall.EBADF, syscall.EBADF, syscall.EBADF},
		"a selector": {func(t *testing.T) int { fd, err := syscall.EpollCreate1(0); return own(t, fd, err) },
			syscall.ENOTSOCK, syscall.ENOTSOCK, syscall.ENOTSOCK},
		"a stream": {func(t *testing.T) int { fd, _ := pairOf(t, syscall.SOCK_STREAM); return fd },
			syscall.EINVAL, ok, syscall.EPROTONOSUPPORT},
		"packets": {func(t *testing.T) int { fd, _ := pairOf(t, syscall.SOCK_SEQPACKET); return fd },
			syscall.EPROTONOSUPPORT, syscall.EPROTONOSUPPORT, syscall.EPROTONOSUPPORT},
		"a datagram socket": {func(t *testing.T) int { return socketOf(t, syscall.AF_INET, syscall.SOCK_DGRAM, false) },
			syscall.EPROTONOSUPPORT, syscall.EPROTONOSUPPORT, ok},
		"an idle socket": {func(t *testing.T) int { return socketOf(t, syscall.AF_INET, syscall.SOCK_STREAM, false) },
			syscall.EINVAL, syscall.ENOTCONN, syscall.EPROTONOSUPPORT},
		"a listener": {func(t *testing.T) int { return socketOf(t, syscall.AF_INET6, syscall.SOCK_STREAM, true) },
			ok, syscall.EINVAL, syscall.EPROTONOSUPPORT},
		"a unix listener": {func(t *testing.T) int { return socketOf(t, syscall.AF_UNIX, syscall.SOCK_STREAM, true) },
			ok, syscall.EINVAL, syscall.EPROTONOSUPPORT},
		"a netlink socket": {func(t *testing.T) int { return socketOf(t, syscall.AF_NETLINK, syscall.SOCK_RAW, false) },
			syscall.EPROTONOSUPPORT, syscall.EPROTONOSUPPORT, syscall.EPROTONOSUPPORT},
	} {
		t.Run(what, func(t *testing.T) {
			everyBackend(t, func(t *testing.T, name string) {
				r := start(t, Options{Backend: name})
				fd := c.make(t)
				before := len(testenv.Descriptors())
				check := func(as string, err error, want syscall.Errno) {
					t.Helper()
					if want == ok && err == nil {
						return
					}
					if !errors.Is(err, want) || !strings.Contains(err.Error(), "adopt") {
						t.Errorf("as %s: %v, want %v", as, err, want)
					}
					if after := len(testenv.Descriptors()); after != before {
						t.Errorf("as %s: %d descriptors, before %d", as, after, before)
					}
				}
				f := FactoryFunc(func(Address) Protocol { return hail{} })
				if c.port != ok {
					_, err := r.AdoptStreamPort(fd, f, ListenOptions{})
					check("a port", err, c.port)
				}
				if c.stream != ok {
					_, err := r.AdoptStreamConnection(fd, f, nil)
					check("a connection", err, c.stream)
				}
				if c.datagram != ok {
					_, err := r.AdoptDatagramPort(fd, &udpEcho{}, DatagramOptions{})
					check("a datagram port", err, c.datagram)
				}
			})
		})
	}
}

// odd is what standard input or output may be, and how an echo on it ends.
type odd struct {
	in, out func(t *testing.T, text string) int
	want    error // the cause; io.EOF and nil are orderly ends
}

// Whatever standard input and output are, an echo on them ends, and says why.
func TestStdioOfOddDescriptors(t *testing.T) {
	file := func(flags int) func(t *testing.T, text string) int {
		return func(t *testing.T, text string) int {
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return opened(t, path, flags)
		}
	}
	at := func(path string, flags int) func(t *testing.T, text string) int {
		return func(t *testing.T, _ string) int { return opened(t, path, flags) }
	}
	// input is a pipe with the text, whose writer is still there.
	input := func(t *testing.T, text string) int {
		r, w := piped(t)
		if _, err := syscall.Write(w, []byte(text)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	deaf := func(t *testing.T, _ string) int {
		var fds [2]int
		if err := syscall.Pipe2(fds[:], syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		_ = syscall.Close(fds[0])
		return own(t, fds[1], nil)
	}
	wrong := func(t *testing.T, _ string) int { _, w := piped(t); return w }
	mute := func(t *testing.T, _ string) int { r, _ := piped(t); return r }
	for what, c := range map[string]odd{
		"nothing":                  {at(os.DevNull, os.O_RDONLY), at(os.DevNull, os.O_WRONLY), io.EOF},
		"files":                    {file(os.O_RDONLY), file(os.O_WRONLY), io.EOF},
		"appending":                {file(os.O_RDONLY), file(os.O_WRONLY | os.O_APPEND), io.EOF},
		"no room":                  {file(os.O_RDONLY), at("/dev/full", os.O_WRONLY), syscall.ENOSPC},
		"from a folder":            {at("/", os.O_RDONLY), at(os.DevNull, os.O_WRONLY), syscall.EISDIR},
		"to a folder":              {file(os.O_RDONLY), at("/", os.O_RDONLY), syscall.EBADF},
		"from what is written":     {file(os.O_WRONLY), at(os.DevNull, os.O_WRONLY), syscall.EBADF},
		"to what is read":          {file(os.O_RDONLY), file(os.O_RDONLY), syscall.EBADF},
		"the wrong end as input":   {wrong, at(os.DevNull, os.O_WRONLY), syscall.EBADF},
		"the wrong end as output":  {input, mute, syscall.EBADF},
		"nobody reads":             {input, deaf, syscall.EPIPE},
		"from a socket that waits": {listenerFD, at(os.DevNull, os.O_WRONLY), proactor.ErrUnsupported},
		"to a socket that waits":   {input, listenerFD, proactor.ErrUnsupported},
		"from datagrams":           {datagramFD, at(os.DevNull, os.O_WRONLY), proactor.ErrUnsupported},
		"to datagrams":             {input, datagramFD, proactor.ErrUnsupported},
	} {
		t.Run(what, func(t *testing.T) {
			everyBackend(t, func(t *testing.T, name string) {
				const text = "some text"
				in, out := c.in(t, text), c.out(t, "")
				if err := echoOn(t, name, in, out); !errors.Is(err, c.want) {
					t.Errorf("it ended with %v, want %v", err, c.want)
				}
			})
		})
	}
}

func listenerFD(t *testing.T, _ string) int {
	return socketOf(t, syscall.AF_INET, syscall.SOCK_STREAM, true)
}

func datagramFD(t *testing.T, _ string) int {
	return socketOf(t, syscall.AF_INET, syscall.SOCK_DGRAM, false)
}

// echoOn runs an echo between two descriptors on a backend, and returns how it
// ended.
func echoOn(t *testing.T, backend string, in, out int) error {
	t.Helper()
	r, err := New(Options{Backend: backend})
	if err != nil {
		t.Fatal(err)
	}
	e := &echoer{r: r}
	if _, err := r.stdio(e, in, out); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	if err := r.Run(ctx); err != nil {
		t.Error(err)
	}
	if ctx.Err() != nil {
		t.Error("it did not end by itself")
	}
	return e.err
}

// Standard input that is closed is an error, which says what is.
func TestStdioThatIsClosed(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name})
		if err != nil {
			t.Fatal(err)
		}
		null := opened(t, os.DevNull, os.O_RDWR)
		for what, c := range map[string][2]int{"standard input": {-1, null}, "standard output": {null, 1 << 30}} {
			before := len(testenv.Descriptors())
			_, err := r.stdio(&echoer{r: r}, c[0], c[1])
			if !errors.Is(err, syscall.EBADF) || !strings.Contains(err.Error(), what) {
				t.Errorf("%s closed: %v", what, err)
			}
			if after := len(testenv.Descriptors()); after != before {
				t.Errorf("%s closed: %d descriptors, before %d", what, after, before)
			}
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// One socket may be both, as inetd(8) has it.
func TestStdioOfOneSocket(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		fd, peer := pairOf(t, syscall.SOCK_STREAM)
		if _, err := syscall.Write(peer, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Shutdown(peer, syscall.SHUT_WR); err != nil {
			t.Fatal(err)
		}
		if err := echoOn(t, name, fd, fd); !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			t.Errorf("it ended with %v", err)
		}
		buf := make([]byte, 10)
		if n, err := syscall.Read(peer, buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("%q, %v", buf[:max(0, n)], err)
		}
	})
}

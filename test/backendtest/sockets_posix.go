//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// Sentence 9 as the kernel sees it: flags and options of descriptors.

// detached gives h's descriptor to f, and closes it.
func (d *driver) detached(h proactor.Handle, f func(fd int)) {
	d.w.Helper()
	fd, err := d.b.Detach(h)
	if err != nil {
		d.w.Fatalf("Detach: %v", err)
	}
	d.disown(h)
	f(fd)
	unix.Close(fd)
}

// wantFlags checks what every descriptor of a backend must be.
func (w *world) wantFlags(what string, fd int, nodelay bool) {
	w.Helper()
	if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
		w.Errorf("%s: not CLOEXEC (%v)", what, err)
	}
	if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || fl&unix.O_NONBLOCK == 0 {
		w.Errorf("%s: not O_NONBLOCK (%v)", what, err)
	}
	if w.network != proactor.TCP {
		return
	}
	if on, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); err != nil || (on != 0) != nodelay {
		w.Errorf("%s: TCP_NODELAY is %d (%v), want on: %v", what, on, err, nodelay)
	}
}

func s9FlagsOfEverySocket(w *world) {
	w.each(func() {
		a, b := w.connect()
		l := w.server.bind(w.freshAddress(), nil)
		h := w.client.socket(l.local, nil)
		w.client.detached(a.h, func(fd int) { w.wantFlags("a connected socket", fd, true) })
		w.server.detached(b.h, func(fd int) { w.wantFlags("an accepted socket", fd, true) })
		w.client.detached(h, func(fd int) { w.wantFlags("a new socket", fd, true) })
		w.server.detached(l.h, func(fd int) { w.wantFlags("a listener", fd, w.network == proactor.TCP) })

		domain := unix.AF_INET
		if w.network == proactor.Unix {
			domain = unix.AF_UNIX
		}
		fd, err := unix.Socket(domain, unix.SOCK_STREAM, 0) // blocking, inherited, with Nagle's algorithm
		if err != nil {
			w.Fatal(err)
		}
		adopted, err := w.server.b.Adopt(fd)
		if err != nil {
			w.Fatalf("Adopt: %v", err)
		}
		w.server.detached(w.server.own(adopted), func(fd int) { w.wantFlags("an adopted socket", fd, true) })
	})
}

func s9OptionsAreInherited(w *world) {
	o := &proactor.SocketOptions{
		Delay: proactor.On, KeepAlive: 40 * time.Second, UserTimeout: 7 * time.Second, SendBuffer: 50_000, RecvBuffer: 60_000,
	}
	a, b, _ := w.connectWith(o)
	w.client.detached(a.h, func(fd int) { w.wantOptions("client", fd, o) })
	w.server.detached(b.h, func(fd int) { w.wantOptions("accepted", fd, o) })
	c, d, _ := w.connectWith(&proactor.SocketOptions{KeepAlive: -1})
	w.client.detached(c.h, func(fd int) { w.wantOptions("client", fd, &proactor.SocketOptions{KeepAlive: -1}) })
	w.server.detached(d.h, func(fd int) { w.wantOptions("accepted", fd, &proactor.SocketOptions{KeepAlive: -1}) })
	e, f := w.connect()
	w.client.detached(e.h, func(fd int) { w.wantOptions("client", fd, &proactor.SocketOptions{KeepAlive: 15 * time.Second}) })
	w.server.detached(f.h, func(fd int) { w.wantOptions("accepted", fd, &proactor.SocketOptions{KeepAlive: 15 * time.Second}) })
}

func s9OptionsOfALiveSocket(w *world) {
	o := &proactor.SocketOptions{
		Delay: proactor.On, KeepAlive: 33 * time.Second, UserTimeout: 5 * time.Second, SendBuffer: 40_000, RecvBuffer: 30_000,
	}
	a, b := w.connect()
	for _, s := range []stream{a, b} {
		if err := s.d.b.SetOptions(s.h, o); err != nil {
			w.Fatalf("SetOptions: %v", err)
		}
		s.d.detached(s.h, func(fd int) { w.wantOptions("live", fd, o) })
	}
}

// wantOptions checks what can be seen of o on fd.
func (w *world) wantOptions(what string, fd int, o *proactor.SocketOptions) {
	w.Helper()
	get := func(level, name int) int {
		v, err := unix.GetsockoptInt(fd, level, name)
		if err != nil {
			w.Errorf("%s: getsockopt(%d, %d): %v", what, level, name, err)
		}
		return v
	}
	if on := get(unix.IPPROTO_TCP, unix.TCP_NODELAY) != 0; on == (o.Delay == proactor.On) {
		w.Errorf("%s: TCP_NODELAY is on: %v", what, on)
	}
	if on := get(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 0; on != (o.KeepAlive > 0) {
		w.Errorf("%s: SO_KEEPALIVE is on: %v", what, on)
	}
	if n := get(unix.SOL_SOCKET, unix.SO_SNDBUF); o.SendBuffer > 0 && n != o.SendBuffer && n != 2*o.SendBuffer {
		w.Errorf("%s: SO_SNDBUF is %d, want %d", what, n, o.SendBuffer)
	}
	if n := get(unix.SOL_SOCKET, unix.SO_RCVBUF); o.RecvBuffer > 0 && n != o.RecvBuffer && n != 2*o.RecvBuffer {
		w.Errorf("%s: SO_RCVBUF is %d, want %d", what, n, o.RecvBuffer)
	}
	w.wantTimes(what, get, o)
}

func s9AStaleUnixFileIsReplaced(w *world) {
	path := filepath.Join(w.dir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		w.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	l := w.server.bind(proactor.UnixAddress(path), nil) // nobody answers there
	if err := os.WriteFile(path+".txt", []byte("precious"), 0o600); err != nil {
		w.Fatal(err)
	}
	if h, _, err := w.server.b.Listen(proactor.UnixAddress(path+".txt"), nil); err == nil {
		w.server.own(h)
		w.Error("Listen replaced a file that is not a socket")
	}
	if text, _ := os.ReadFile(path + ".txt"); string(text) != "precious" {
		w.Error("Listen harmed a file that is not a socket")
	}
	w.server.close(l.h)
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		w.Errorf("the socket's file is still there after CloseFD: %v", err)
	}
}

func s9CloseRemovesOnlyItsOwnFile(w *world) {
	path := filepath.Join(w.dir(), "s")
	l := w.server.bind(proactor.UnixAddress(path), &proactor.SocketOptions{Mode: 0o600})
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		w.Errorf("mode %v (%v), want 0600", fi.Mode(), err)
	}
	if err := os.Remove(path); err != nil {
		w.Fatal(err)
	}
	other, err := net.Listen("unix", path) // somebody else's by now
	if err != nil {
		w.Fatal(err)
	}
	defer other.Close()
	w.server.close(l.h)
	if _, err := os.Lstat(path); err != nil {
		w.Errorf("CloseFD removed a file that was no longer its own: %v", err)
	}
}

func s9AbstractNames(w *world) {
	at := proactor.UnixAddress("@mobius-" + filepath.Base(w.dir()))
	h, local, err := w.server.b.Listen(at, nil)
	if err != nil {
		w.Fatalf("Listen(%v): %v", at, err)
	}
	l := w.server.listener(w.server.own(h), local)
	l.submit()
	if local != at {
		w.Errorf("bound to %v, want %v", local, at)
	}
	a, b := w.join(l)
	if _, remote, err := a.d.b.Names(a.h); err != nil || remote != at {
		w.Errorf("the peer is %v (%v), want %v", remote, err, at)
	}
	if local, _, err := b.d.b.Names(b.h); err != nil || local != at {
		w.Errorf("the server is %v (%v), want %v", local, err, at)
	}
}

// s9NothingIsLeftToChildren looks at every descriptor that a backend makes,
// its own included.
func s9NothingIsLeftToChildren(w *world) {
	before := testenv.Descriptors()
	c := w.chain(proactor.TCP, proactor.TCP, nil)
	x := w.server.relay(c.in.h, c.out.h) // which may have a pipe
	x.submit()
	r := c.sink.read(1)
	total := int64(w.size(4 << 20))
	c.source.write(1, total, nil)
	w.another()
	w.until("bulk is relayed", r.has(total))
	for fd, what := range testenv.Descriptors() {
		n, err := strconv.Atoi(fd)
		if err != nil || before[fd] == what {
			continue
		}
		if fl, err := unix.FcntlInt(uintptr(n), unix.F_GETFD, 0); err == nil && fl&unix.FD_CLOEXEC == 0 {
			w.Errorf("descriptor %s, %s, is not CLOEXEC", fd, what)
		}
	}
}

package netconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// unixStream has the methods of a unix stream connection that a TCP connection has not.
type unixStream interface {
	net.Conn
	ReadMsgUnix(p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error)
	WriteMsgUnix(p, oob []byte, addr *net.UnixAddr) (n, oobn int, err error)
	ReadFromUnix(p []byte) (int, *net.UnixAddr, error)
	WriteToUnix(p []byte, addr *net.UnixAddr) (int, error)
}

// listening has the methods that listeners have in common.
type listening interface {
	net.Listener
	SetDeadline(time.Time) error
	SyscallConn() (syscall.RawConn, error)
	File() (*os.File, error)
}

// sockets are behaviours of descriptors, and of what travels beside the bytes.
var sockets = map[string]func(r *record, s stack, network, address string){
	"descriptors beside bytes": func(r *record, s stack, network, address string) {
		if network != "unix" {
			return
		}
		c, peer := r.conns(s, network, address)
		a, b := c.(unixStream), peer.(unixStream)
		f, err := os.Open(os.DevNull)
		if err != nil {
			r.t.Fatal(err)
		}
		defer f.Close()
		oob := syscall.UnixRights(int(f.Fd()), int(f.Fd()))
		for _, text := range []string{"one", "", "three"} {
			n, oobn, err := a.WriteMsgUnix([]byte(text), oob, nil)
			r.note("write", n, oobn, err)
		}
		a.Write([]byte("plain"))
		room := make([]byte, 100)
		for range 3 {
			p := make([]byte, 100)
			n, oobn, flags, from, err := b.ReadMsgUnix(p, room)
			r.note("read", string(p[:n]), oobn == len(oob), flags&syscall.MSG_CTRUNC, from == nil, err)
			r.note("descriptors", r.take(room[:oobn]))
		}
		p := make([]byte, 100)
		n, oobn, _, _, err := b.ReadMsgUnix(p, room)
		r.note("read plain", string(p[:n]), oobn, err)
		a.WriteMsgUnix([]byte("cut off"), oob, nil)
		n, oobn, flags, _, err := b.ReadMsgUnix(p, room[:syscall.CmsgSpace(4)])
		r.note("no room", string(p[:n]), flags&syscall.MSG_CTRUNC != 0, r.take(room[:oobn]) > 0, err)
		a.WriteMsgUnix([]byte("for nobody"), oob, nil)
		n, err = b.Read(p[:3])
		r.note("read without", string(p[:n]), err)
		n, oobn, _, _, err = b.ReadMsgUnix(p, room)
		r.note("the rest", string(p[:n]), oobn, err)
		_, _, err = a.WriteMsgUnix(p[:1], nil, &net.UnixAddr{Name: "x", Net: "unix"})
		r.note("write to", err)
		_, err = a.WriteToUnix(p[:1], &net.UnixAddr{Name: "x", Net: "unix"})
		r.note("write to", err)
		a.Write([]byte("from"))
		n, from, err := b.ReadFromUnix(p)
		r.note("read from", string(p[:n]), from == nil, err)
		b.SetReadDeadline(time.Unix(1, 0))
		_, _, _, _, err = b.ReadMsgUnix(p, room)
		r.note("read late", err)
		b.SetReadDeadline(time.Time{})
		a.Close()
		_, _, _, _, err = b.ReadMsgUnix(p, room)
		r.note("end", errors.Unwrap(err) == nil, fmt.Sprint(err))
		_, _, err = a.WriteMsgUnix(p[:1], nil, nil)
		r.note("write closed", err)
		_, _, _, _, err = a.ReadMsgUnix(p, room)
		r.note("read closed", err)
	},
	"a listener's descriptor": func(r *record, s stack, network, address string) {
		l, err := s.listen(network, address)
		if err != nil {
			r.t.Fatal(err)
		}
		n := l.(listening)
		f, err := n.File()
		r.note("file", err)
		other, err := net.FileListener(f)
		r.note("listener", err, other.Addr().String() == n.Addr().String())
		other.Close()
		r.note("blocking", f.Close())
		raw, err := n.SyscallConn()
		r.note("raw", err)
		kind := 0
		err = raw.Control(func(fd uintptr) { kind, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN) })
		r.note("control", kind, err)
		r.note("read", raw.Read(func(uintptr) bool { return true }), raw.Write(func(uintptr) bool { return true }))
		r.note("deadline", n.SetDeadline(time.Now().Add(10*time.Millisecond)))
		_, err = n.Accept()
		r.note("accept", err)
		r.note("deadline", n.SetDeadline(time.Time{}))
		if u, ok := l.(interface{ SetUnlinkOnClose(bool) }); ok && network == "unix" {
			u.SetUnlinkOnClose(false)
		}
		r.note("close", n.Close())
		_, err = n.File()
		r.note("file afterwards", err)
		r.note("control afterwards", raw.Control(func(uintptr) {}))
		if network == "unix" {
			_, err = os.Stat(address)
			r.note("the file", err, os.Remove(address))
		}
	},
	"a connection's descriptor": func(r *record, s stack, network, address string) {
		c, peer := r.conns(s, network, address)
		h := c.(half)
		f, err := h.File()
		r.note("file", err)
		other, err := net.FileConn(f)
		r.note("conn", err, other.RemoteAddr().String() == c.RemoteAddr().String())
		f.Close()
		other.Write([]byte("by another"))
		other.Close()
		p := make([]byte, 20)
		n, err := peer.Read(p)
		r.note("read", string(p[:n]), err)
		raw, err := h.SyscallConn()
		r.note("raw", err)
		err = raw.Read(func(fd uintptr) bool { _, err = syscall.Read(int(fd), p); return true })
		r.note("a look", err)
		peer.Close()
		err = raw.Read(func(fd uintptr) bool { n, err = syscall.Read(int(fd), p); return err != syscall.EAGAIN })
		r.note("a look at the end", n, err)
		c.SetDeadline(time.Unix(1, 0))
		r.note("late", raw.Read(func(uintptr) bool { return true }), raw.Write(func(uintptr) bool { return true }))
		c.Close()
		r.note("closed", raw.Read(func(uintptr) bool { return true }), raw.Write(func(uintptr) bool { return true }))
	},
	"control": func(r *record, s stack, network, address string) {
		refused := errors.New("refused")
		calls := 0
		see := func(ctx context.Context, n, a string, c syscall.RawConn) error {
			calls++
			kind := 0
			err := c.Control(func(fd uintptr) { kind, _ = syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_TYPE) })
			r.note("called", n, a, kind, err, ctx != nil)
			if calls > 2 {
				return refused
			}
			return nil
		}
		l, err := s.listenWith(see, network, address)
		if err != nil {
			r.t.Fatal(err)
		}
		defer l.Close()
		c, err := s.dialWith(see, network, l.Addr().String())
		r.note("dial", err)
		if err == nil {
			c.Close()
		}
		_, err = s.dialWith(see, network, l.Addr().String())
		r.note("dial", errors.Is(err, refused), err)
		l.Close()
		_, err = s.listenWith(see, network, address)
		r.note("listen", errors.Is(err, refused), err)
	},
}

// take closes the descriptors of control data, and returns how many there were. None
// of them is inherited by children.
func (r *record) take(oob []byte) int {
	r.t.Helper()
	all := 0
	messages, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		r.t.Error(err)
	}
	for _, m := range messages {
		fds, err := syscall.ParseUnixRights(&m)
		if err != nil {
			r.t.Error(err)
		}
		for _, fd := range fds {
			flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFD, 0)
			if errno != 0 || flags&syscall.FD_CLOEXEC == 0 {
				r.t.Errorf("descriptor %d: flags %d, %v", fd, flags, errno)
			}
			syscall.Close(fd)
			all++
		}
	}
	return all
}

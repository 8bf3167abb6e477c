//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import (
	"errors"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// TryWrite implements proactor.Backend: one sendmsg(2) that neither waits nor
// raises SIGPIPE. Any goroutine that has entered h's token.
func (s *Sockets) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) {
	e := s.Lookup(h)
	if e == nil {
		return 0, proactor.ErrClosed
	}
	return Tried(WriteBuffers(int(h.Index()), e.Kind, bufs))
}

// Tried is what TryWrite says of a write. EINTR is as good as EAGAIN: the
// caller goes on with a Send.
func Tried(n int, e unix.Errno) (int, error) {
	if e == 0 || e == unix.EAGAIN || e == unix.EINTR {
		return n, nil
	}
	return 0, e
}

// Quick is up to how many bytes a Send may have; see Linux's.
const Quick = 64 << 10

// Send is Write to a socket.
func Send(fd int, p []byte) (uintptr, unix.Errno) {
	n, e := Write(fd, Stream, p)
	return uintptr(n), e
}

// Recv is Read from a socket.
func Recv(fd int, p []byte) (uintptr, unix.Errno) {
	n, e := Read(fd, Stream, p)
	return uintptr(n), e
}

// WriteBuffers makes one non-blocking write of bufs.
func WriteBuffers(fd int, kind Kind, bufs [][]byte) (int, unix.Errno) {
	if kind != Other {
		n, err := unix.SendmsgBuffers(fd, bufs, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		return n, errno(err)
	}
	for _, b := range bufs {
		if len(b) > 0 {
			return Write(fd, kind, b)
		}
	}
	return 0, 0
}

// Write makes one non-blocking write of p, which must not be empty.
func Write(fd int, kind Kind, p []byte) (int, unix.Errno) {
	if kind == Other {
		n, err := unix.Write(fd, p)
		return n, errno(err)
	}
	n, err := unix.SendmsgN(fd, p, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	return n, errno(err)
}

// Read makes one non-blocking read into p, which must not be empty.
func Read(fd int, _ Kind, p []byte) (int, unix.Errno) {
	n, err := unix.Read(fd, p)
	return n, errno(err)
}

// errno returns the number inside an error of package unix.
func errno(err error) unix.Errno {
	if err == nil {
		return 0
	}
	var e unix.Errno
	if errors.As(err, &e) {
		return e
	}
	return unix.EIO
}

//go:build linux

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/proactor"
)

// maxVectors is how many pieces one system call takes here.
const maxVectors = 64

// Quick is up to how many bytes a write does not tell the scheduler: it does
// not wait, and a garbage collection can wait for it. A longer one takes a
// while, on loopback with all that the receiver does.
const Quick = 64 << 10

// TryWrite implements proactor.Backend: one sendmsg(2) that neither waits nor
// raises SIGPIPE. Any goroutine that has entered h's token.
func (s *Sockets) TryWrite(h proactor.Handle, bufs [][]byte) (int, error) {
	e := s.Lookup(h)
	if e == nil {
		return 0, proactor.ErrClosed
	}
	if _, is := placed(h); is {
		return 0, nil // only the ring can
	}
	if len(bufs) == 1 && len(bufs[0]) > 0 {
		return Tried(Write(int(h.Index()), e.Kind, bufs[0]))
	}
	var vectors [maxVectors]unix.Iovec
	n := 0
	for _, b := range bufs {
		if len(b) > 0 && n < maxVectors {
			vectors[n].Base = &b[0]
			vectors[n].SetLen(len(b))
			n++
		}
	}
	if n == 0 {
		return 0, nil
	}
	return Tried(WriteVectors(int(h.Index()), e.Kind, vectors[:n]))
}

// Tried is what TryWrite says of a write. EINTR is as good as EAGAIN: the
// caller goes on with a Send.
func Tried(n int, e unix.Errno) (int, error) {
	if e == 0 || e == unix.EAGAIN || e == unix.EINTR {
		return n, nil
	}
	return 0, e
}

// WriteVectors makes one non-blocking write of at least one vector.
func WriteVectors(fd int, kind Kind, vectors []unix.Iovec) (int, unix.Errno) {
	if kind == Other {
		n, _, e := unix.Syscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&vectors[0])), uintptr(len(vectors)))
		return count(n, e)
	}
	var msg unix.Msghdr
	msg.Iov = &vectors[0]
	msg.SetIovlen(len(vectors))
	n, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&msg)), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	return count(n, e)
}

// count is what a system call returned: on an error nothing was moved, though
// the register says -1.
func count(n uintptr, e unix.Errno) (int, unix.Errno) {
	if e != 0 {
		return 0, e
	}
	return int(n), 0
}

// Write makes one non-blocking write of p, which must not be empty.
func Write(fd int, kind Kind, p []byte) (int, unix.Errno) {
	switch {
	case kind == Other:
		n, _, e := syscall.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		return count(n, e)
	case len(p) > Quick:
		n, _, e := syscall.Syscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), sendNow, 0, 0)
		return count(n, e)
	}
	return count(Send(fd, p))
}

// Read makes one non-blocking read into p, which must not be empty.
func Read(fd int, kind Kind, p []byte) (int, unix.Errno) {
	if kind == Other {
		n, _, e := syscall.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
		return count(n, e)
	}
	return count(Recv(fd, p))
}

const sendNow = unix.MSG_NOSIGNAL | unix.MSG_DONTWAIT

// Send is Write, of Quick bytes at most, to a socket, and Recv is Read from one; they return the
// register, which is -1 beside an error. They are inlined, and package syscall's calls have two frames fewer than
// package unix's: the kernel leaves its own in the processor's stack of return
// addresses, so that each return after a system call is mispredicted.
func Send(fd int, p []byte) (n uintptr, e unix.Errno) {
	n, _, e = syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		sendNow, 0, 0)
	return
}

// Recv: see Send.
func Recv(fd int, p []byte) (n uintptr, e unix.Errno) {
	n, _, e = syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_DONTWAIT, 0, 0)
	return
}

package netconn

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// File returns a duplicate of the descriptor, which is the caller's, and
// blocking. What the loop has accepted already is not in it. (net.TCPListener.)
func (n *Listener) File() (*os.File, error) {
	f, err := n.file(n.network + ":" + n.local.String() + "->")
	if err != nil {
		return nil, n.opError("file", errors.Unwrap(err))
	}
	return f, nil
}

// SyscallConn returns a raw connection, as package net's: for Control.
func (n *Listener) SyscallConn() (syscall.RawConn, error) { return (*rawListener)(n), nil }

// SetUnlinkOnClose says whether the end of the listener removes the file of its
// unix socket, as it does by default. (net.UnixListener.)
func (n *Listener) SetUnlinkOnClose(unlink bool) { n.keeps.Store(!unlink) }

// release closes the descriptor. Loop goroutine.
func (n *Listener) release() {
	if n.keeps.Load() {
		if fd, err := n.l.Sockets().Detach(n.h); err == nil { // which removes no file
			_ = n.l.Sockets().Discard(fd)
			return
		}
	}
	_ = n.l.Sockets().CloseFD(n.h) // nothing is active on it
}

// rawListener is a Listener as its SyscallConn has it.
type rawListener Listener

// Control calls f with the descriptor's number, which stays what it is
// meanwhile.
func (r *rawListener) Control(f func(fd uintptr)) error {
	n := (*Listener)(r)
	if err := n.with(func(fd int) error { f(uintptr(fd)); return nil }); err != nil {
		return &net.OpError{Op: "raw-control", Net: n.network, Addr: n.local, Err: err}
	}
	return nil
}

// Read is not for listeners.
func (*rawListener) Read(func(fd uintptr) bool) error { return syscall.EINVAL }

// Write is not for listeners.
func (*rawListener) Write(func(fd uintptr) bool) error { return syscall.EINVAL }

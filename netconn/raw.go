package netconn

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// bare is a new socket's number, as a syscall.RawConn for Control functions.
type bare int

// A control is a proactor.Controller made of a function.
type control struct{ f func(fd int) error }

// Control calls the function.
func (c *control) Control(fd int) error { return c.f(fd) }

// Control calls f with the number.
func (b bare) Control(f func(fd uintptr)) error {
	f(uintptr(b))
	return nil
}

// Read is not for sockets that are not connected.
func (bare) Read(func(uintptr) bool) error { return syscall.EINVAL }

// Write is not for sockets that are not connected.
func (bare) Write(func(uintptr) bool) error { return syscall.EINVAL }

// SyscallConn returns a raw connection. Its Control is as that of package net's,
// for socket options. Its Read and Write return an error that is
// errors.ErrUnsupported: the loop receives ahead, so what the descriptor would
// give is not what comes next.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	return (*raw)(c), nil
}

// raw is a Conn as its SyscallConn has it.
type raw Conn

// Control calls f with the descriptor's number, which stays what it is
// meanwhile.
func (r *raw) Control(f func(fd uintptr)) error {
	c := (*Conn)(r)
	if err := c.with(func(fd int) error { f(uintptr(fd)); return nil }); err != nil {
		return &net.OpError{Op: "raw-control", Net: c.network, Addr: c.local, Err: err}
	}
	return nil
}

// Read returns an error.
func (r *raw) Read(func(uintptr) bool) error { return r.unsupported("raw-read") }

// Write returns an error.
func (r *raw) Write(func(uintptr) bool) error { return r.unsupported("raw-write") }

func (r *raw) unsupported(op string) error {
	return &net.OpError{Op: op, Net: r.network, Addr: r.local, Err: errors.ErrUnsupported}
}

// File returns a duplicate of the descriptor, which is the caller's, and
// blocking. What the loop has received already is not in it.
func (c *Conn) File() (*os.File, error) {
	return c.file(c.network + ":" + c.local.String() + "->" + c.remote.String())
}

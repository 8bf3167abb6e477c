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

// SyscallConn returns a raw connection, as package net's. While its Read runs the
// loop does not receive; what it has received before, if that was not read yet,
// is not in the descriptor any more, and then the error is errors.ErrUnsupported.
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

// Read calls f whenever the descriptor is readable, until f returns true.
func (r *raw) Read(f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	c.r.turn.Lock()
	defer c.r.turn.Unlock()
	defer c.resumeReceiving()
	err := c.stopReceiving()
	for done := false; err == nil && !done; {
		if err = c.unread(); err == nil {
			err = c.with(func(fd int) error { done = f(uintptr(fd)); return nil })
		}
		if err == nil && !done {
			c.awaitReadable()
		}
	}
	if err != nil {
		return c.opError("raw-read", err)
	}
	return nil
}

// unread returns why the descriptor is not to be read from.
func (c *Conn) unread() error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if err := c.unreadable(); err != nil {
		return err
	}
	c.useLocked()
	if c.r.q.n > 0 {
		return errors.ErrUnsupported
	}
	return nil
}

// awaitReadable waits until the descriptor may be readable, or the state has
// changed.
func (c *Conn) awaitReadable() {
	r := &c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.unreadable() != nil {
		return
	}
	r.polling = true
	c.post()
	r.await()
}

// Write calls f whenever the socket takes something, until f returns true.
func (r *raw) Write(f func(fd uintptr) bool) error {
	c := (*Conn)(r)
	c.w.turn.Lock()
	defer c.w.turn.Unlock()
	if err := c.writeRaw(func(fd int) bool { return f(uintptr(fd)) }); err != nil {
		return c.opError("raw-write", err)
	}
	return nil
}

// writeRaw calls f, which writes to the socket, now and whenever it takes
// something, until f returns true. The turn is the caller's.
func (c *Conn) writeRaw(f func(fd int) bool) error {
	w := &c.w
	for {
		if err := c.unwritable(); err != nil {
			return err
		}
		done := false
		if c.token.Enter(c.h) {
			err := c.with(func(fd int) error { done = f(fd); return nil })
			c.token.Leave(c.h)
			if err != nil {
				return err
			}
		}
		if done {
			return nil
		}
		w.mu.Lock()
		w.task = taskRoom
		_, err := w.run(&c.socket)
		w.task = taskSend
		w.mu.Unlock()
		if err != nil {
			return err
		}
	}
}

// File returns a duplicate of the descriptor, which is the caller's, and
// blocking. What the loop has received already is not in it.
func (c *Conn) File() (*os.File, error) {
	return c.file(c.network + ":" + c.local.String() + "->" + c.remote.String())
}

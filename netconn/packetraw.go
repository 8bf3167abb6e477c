package netconn

import (
	"errors"
	"net"
	"os"
	"syscall"
)

// SyscallConn returns a raw connection, as package net's. Its Read is for
// connections of which nothing was read by other methods: they make the loop
// receive, and then the error is errors.ErrUnsupported.
func (c *PacketConn) SyscallConn() (syscall.RawConn, error) { return (*rawPacket)(c), nil }

// rawPacket is a PacketConn as its SyscallConn has it.
type rawPacket PacketConn

func (r *rawPacket) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: r.network, Addr: r.local, Err: err}
}

// Control calls f with the descriptor's number, which stays what it is
// meanwhile.
func (r *rawPacket) Control(f func(fd uintptr)) error {
	if err := (*PacketConn)(r).with(func(fd int) error { f(uintptr(fd)); return nil }); err != nil {
		return r.opError("raw-control", err)
	}
	return nil
}

// Read calls f whenever the descriptor is readable, until f returns true.
func (r *rawPacket) Read(f func(fd uintptr) bool) error {
	c := (*PacketConn)(r)
	c.r.turn.Lock()
	defer c.r.turn.Unlock()
	for {
		if err := c.readable(); err != nil {
			return r.opError("raw-read", err)
		}
		var done bool
		if err := c.with(func(fd int) error { done = f(uintptr(fd)); return nil }); err != nil {
			return r.opError("raw-read", err)
		}
		if done {
			return nil
		}
		c.awaitReadable()
	}
}

// readable returns why the descriptor must not be read from.
func (c *PacketConn) readable() error {
	c.r.mu.Lock()
	defer c.r.mu.Unlock()
	if err := c.closing(); err != nil {
		return err
	}
	if c.r.deadline.over() {
		return os.ErrDeadlineExceeded
	}
	if c.r.begun {
		return errors.ErrUnsupported
	}
	return nil
}

// awaitReadable waits until the descriptor may be readable, or the state has
// changed.
func (c *PacketConn) awaitReadable() {
	r := &c.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.closing() == nil && !r.deadline.over() {
		r.polling = true
		c.post()
		r.awaitTurn(c.k)
	}
}

// Write calls f whenever the descriptor is writable, until f returns true.
func (r *rawPacket) Write(f func(fd uintptr) bool) error {
	c := (*PacketConn)(r)
	c.w.turn.Lock()
	defer c.w.turn.Unlock()
	for {
		var done bool
		err := c.unwritable()
		if err == nil {
			err = c.with(func(fd int) error { done = f(uintptr(fd)); return nil })
		}
		if err == nil && !done {
			c.w.mu.Lock()
			_, err = c.awaitWrite(true)
		}
		if err != nil {
			return r.opError("raw-write", err)
		}
		if done {
			return nil
		}
	}
}

// File returns a duplicate of the descriptor, which is the caller's.
func (c *PacketConn) File() (*os.File, error) {
	return c.file(c.network + ":" + c.local.String())
}

package netconn

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// opError is err as package net returns it from a connection.
func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.network, Source: c.local, Addr: c.remote, Err: inCall(op, err)}
}

// inCall gives an errno the name of the system call, as package net does.
func inCall(call string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if call == "dial" {
			call = "connect"
		}
		return os.NewSyscallError(call, errno)
	}
	return err
}

// Errors of a dial that ended before it was over, as package net has them.
var (
	errTimeout  error = &dialTimeout{}
	errCanceled error = dialCanceled{}
)

type dialTimeout struct{}

func (*dialTimeout) Error() string   { return "i/o timeout" }
func (*dialTimeout) Timeout() bool   { return true }
func (*dialTimeout) Temporary() bool { return true }
func (*dialTimeout) Is(err error) bool { // package net's is now the one, now the other
	return err == context.DeadlineExceeded || err == os.ErrDeadlineExceeded
}

type dialCanceled struct{}

func (dialCanceled) Error() string     { return "operation was canceled" }
func (dialCanceled) Is(err error) bool { return err == context.Canceled }

// ofContext is a context's error as package net returns it.
func ofContext(err error) error {
	switch err {
	case context.Canceled:
		return errCanceled
	case context.DeadlineExceeded:
		return errTimeout
	}
	return err
}

package tls

import (
	"errors"
	"fmt"
	"net"
)

// Errors of this package.
var (
	// ErrTooManyHandshakes is the cause of a connection's end that came when
	// Options.MaxHandshakes were in progress on its loop.
	ErrTooManyHandshakes = errors.New("tls: too many handshakes in progress")

	// ErrDetach answers Detach: the keys of the connection cannot go with its
	// handle.
	ErrDetach = errors.New("tls: a TLS connection cannot be detached, since its keys stay here")

	// ErrCannot answers Start on a transport that is no transport.Upgrader.
	ErrCannot = errors.New("tls: the transport is no transport.Upgrader, so nothing can be put on it")

	errGoexit = errors.New("tls: a callback of the config ended its goroutine (runtime.Goexit)")
	errClosed = fmt.Errorf("tls: the connection ended during the handshake: %w", net.ErrClosed)
)

// wait is what crypto/tls is told when no complete record is there. Since it
// calls itself temporary, the tls.Conn goes on where it was at the next Read
// (crypto/tls conn.go, readRecordOrCCS).
type wait struct{}

// Error implements error.
func (wait) Error() string { return "tls: no complete record yet" }

// Timeout is false: no deadline has passed.
func (wait) Timeout() bool { return false }

// Temporary is what makes a tls.Conn resumable.
func (wait) Temporary() bool { return true }

var _ net.Error = wait{}

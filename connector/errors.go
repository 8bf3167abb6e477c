package connector

import (
	"errors"
	"os"
	"syscall"

	"mobius/proactor"
	"mobius/transport"
)

// Errors of connectors and ports.
var (
	// ErrNotIdle answers Connect of a connector that is connecting or
	// connected, and Start of a port that listens.
	ErrNotIdle = errors.New("already under way")

	// ErrNotConnecting answers StopConnecting when there is nothing to stop
	// (Twisted's NotConnectingError).
	ErrNotConnecting = errors.New("no connection attempt to stop")

	// ErrUserStopped is the cause of an attempt that StopConnecting or
	// Disconnect ended (Twisted's UserError).
	ErrUserStopped = errors.New("the user stopped the attempt")

	// ErrNoProtocol is the cause of an attempt for which BuildProtocol returned
	// nil.
	ErrNoProtocol = errors.New("the factory built no protocol")

	// ErrAdopted is transport.ErrAdopted.
	ErrAdopted = transport.ErrAdopted

	// ErrNoAddress is the cause of an attempt whose host has no address.
	ErrNoAddress = errors.New("the host has no address")
)

// connError says how an attempt failed, in the words of a connection's end.
func connError(op string, to proactor.Address, err error) *transport.ConnError {
	kind := transport.Failed
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		kind = transport.Refused
	case errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, os.ErrDeadlineExceeded):
		kind = transport.TimedOut
	}
	return &transport.ConnError{Op: op, Addr: to, Kind: kind, Err: err}
}

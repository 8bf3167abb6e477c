package compat

import (
	"errors"
	"fmt"

	"mobius/loop"
)

// Errors, by gnet's names where it has one.
var (
	// ErrEmptyEngine answers the methods of an Engine that is none, or does not listen.
	ErrEmptyEngine = errors.New("compat: the engine is empty")

	// ErrEngineShutdown, returned by a callback, ends the engine.
	ErrEngineShutdown = errors.New("compat: the engine is going to be shut down")

	// ErrEngineInShutdown answers the methods of an Engine that has ended, or is
	// about to.
	ErrEngineInShutdown = errors.New("compat: the engine is in shutdown already")

	// ErrUnsupportedProtocol answers an address of an unknown network.
	ErrUnsupportedProtocol = errors.New("compat: only unix, tcp, tcp4, tcp6, udp, udp4 and udp6 are supported")

	// ErrUnsupportedOp answers what the Conn or the options cannot do.
	ErrUnsupportedOp = fmt.Errorf("compat: unsupported operation: %w", errors.ErrUnsupported)

	// ErrInvalidNetworkAddress answers what is no address.
	ErrInvalidNetworkAddress = errors.New("compat: invalid network address")

	// ErrInvalidNetConn answers the enrolment of a net.Conn that is nil, or that
	// has no descriptor.
	ErrInvalidNetConn = errors.New("compat: the net.Conn is empty")

	// ErrNilRunnable answers Execute and Schedule of nil.
	ErrNilRunnable = errors.New("compat: a nil runnable")

	// ErrInboundFull is the end of a connection that has left more unread than
	// [WithReadLimit] allows.
	ErrInboundFull = errors.New("compat: too much received and not read")

	// ErrOnLoop answers what would wait for the very loop that it is called on.
	ErrOnLoop = loop.ErrOnLoop
)

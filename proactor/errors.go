package proactor

import (
	"errors"
	"net"
)

// Errors of ops and of backends. An op's Err is one of these, io.EOF, or a
// syscall.Errno as the kernel gave it; nothing is wrapped below the public
// edge.
var (
	// ErrCanceled ends an op that was cancelled.
	ErrCanceled = errors.New("operation canceled")

	// ErrClosed answers a use of a handle that names nothing any more, and of
	// a backend after its Close. errors.Is(err, net.ErrClosed) holds.
	ErrClosed = net.ErrClosed

	// ErrBusy answers CloseFD and Detach while an op is active on the handle.
	ErrBusy = errors.New("an operation is active on the handle")

	// ErrUnsupported answers what a backend, or this kernel, cannot do.
	// errors.Is(err, errors.ErrUnsupported) holds.
	ErrUnsupported = errors.ErrUnsupported

	// ErrWrongThread answers Poll from another thread than the first Poll's, where
	// a thread owns the backend (OneThread).
	ErrWrongThread = errors.New("poll from a thread that does not own the backend")

	// ErrLost ends a backend that the kernel has lost completions of (EBADR):
	// none of its ops can be trusted any more.
	ErrLost = errors.New("the kernel lost completions")

	// ErrLimit answers what would go beyond a limit of the backend's options.
	ErrLimit = errors.New("a limit of the backend is reached")

	// ErrSegments ends a RecvFrom without a Msg on a socket that has
	// SocketOptions.SegmentedReceive on, and answers a SetOptions that would turn
	// it on under such a RecvFrom: only Msg.SegmentSize tells where each of several
	// datagrams ends.
	ErrSegments = errors.New("receiving several datagrams as one needs a Msg, which says where each of them ends")
)

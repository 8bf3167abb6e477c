package transport

import (
	"errors"
	"fmt"
	"net"

	"mobius/loop"
	"mobius/proactor"
)

// A Kind says in one word how a connection, or the attempt to get one, ended.
type Kind uint8

// The kinds of end. Twisted's exceptions stand in parentheses.
const (
	Done     Kind = iota + 1 // cleanly: by LoseConnection, or by the peer's end (ConnectionDone)
	Lost                     // by an error of the network or the peer: reset, broken pipe, … (ConnectionLost)
	Aborted                  // by AbortConnection (ConnectionAborted)
	TimedOut                 // by one of the deadlines (TimeoutError)
	Refused                  // the peer refused the attempt (ConnectionRefusedError)
	Failed                   // by CloseWithError, or the attempt failed otherwise (ConnectError)
	Panicked                 // by a panic in the protocol
	Stopped                  // because the loop stopped
	Detached                 // by Detach: it lives on with somebody else
	kinds
)

var kindNames = [kinds]string{
	"not ended", "done", "lost", "aborted", "timed out", "refused", "failed", "panicked", "stopped", "detached",
}

// String returns the kind in lower case.
func (k Kind) String() string {
	if k < kinds {
		return kindNames[k]
	}
	return "unknown"
}

// A ConnError is the end of a connection. errors.Is and errors.As reach its
// cause: io.EOF if the peer finished, a syscall.Errno as the kernel gave it,
// os.ErrDeadlineExceeded for every deadline, net.ErrClosed for what this side
// asked for (LoseConnection, AbortConnection, Detach), the error given to
// CloseWithError, a *[PanicError], or the loop's reason to stop.
type ConnError struct {
	Op   string           // what met it: "read", "write", "close", "abort", "idle", "half-closed", "connect", …
	Addr proactor.Address // the peer
	Kind Kind
	Err  error // the cause; never nil
}

// Error returns operation, peer, kind and cause.
func (e *ConnError) Error() string {
	if !e.Addr.IsValid() { // of a name that has not been looked up
		return fmt.Sprintf("%s: %v: %v", e.Op, e.Kind, e.Err)
	}
	return fmt.Sprintf("%s %v %v: %v: %v", e.Op, e.Addr.Kind(), e.Addr, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *ConnError) Unwrap() error { return e.Err }

// Timeout reports whether a deadline made the end, or a timeout in the
// kernel; with Temporary it makes e a net.Error.
func (e *ConnError) Timeout() bool {
	var t interface{ Timeout() bool }
	return e.Kind == TimedOut || errors.As(e.Err, &t) && t.Timeout()
}

// Temporary is false: a connection that ended stays so.
func (e *ConnError) Temporary() bool { return false }

// A PanicError is the cause of an end of Kind Panicked.
type PanicError = loop.PanicError

// Errors of the writes.
var (
	// ErrFull answers a Write that would pass Options.HardLimit; nothing of it
	// was queued.
	ErrFull = errors.New("transport: write queue is full")

	// ErrFileOverrun ends a connection on which more descriptors than bytes were
	// to be sent (Twisted's FileDescriptorOverrun); see [FileSender].
	ErrFileOverrun = errors.New("transport: more descriptors than bytes")

	// ErrNotWritable answers a Write after the writing side was closed, by
	// either side or by an error. errors.Is(err, net.ErrClosed) holds.
	ErrNotWritable = fmt.Errorf("transport: writing side is closed: %w", net.ErrClosed)
)

// ErrAdopted answers the second start of a port that was adopted, of streams or
// of datagrams: its socket is closed.
var ErrAdopted = errors.New("an adopted port does not start again")

var _ net.Error = (*ConnError)(nil)

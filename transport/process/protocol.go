package process

import (
	"errors"
	"fmt"
	"syscall"
)

// A Protocol is the application's end of a child. ConnectionMade comes first,
// ProcessEnded last, each once. A panic in one of its methods is reported; one
// in ChildDataReceived closes the pipe, too.
type Protocol interface {
	// ConnectionMade hands over the child, inside Spawn, before any output.
	ConnectionMade(p *Process)

	// ChildDataReceived delivers what the child has written to its descriptor
	// fd; a terminal's output comes as that of 1. data is lent until the method
	// returns.
	ChildDataReceived(fd int, data []byte)

	// ChildConnectionLost is the end of one pipe: the child has closed it, or
	// this side has. It is called once for each pipe, a terminal counting as 1.
	ChildConnectionLost(fd int)

	// ProcessExited comes as soon as the child has exited: nil if its status is
	// 0, else an *[ExitError]; or the loop's reason if it stops before that.
	// Output may still follow, and the pipes' ends.
	ProcessExited(err error)

	// ProcessEnded comes after ProcessExited, when all pipes have ended, with
	// the same error.
	ProcessEnded(err error)
}

// A Drainer is a [Protocol] that wants to know when to stop and when to go on
// writing to a child's descriptor. Calls for one descriptor alternate.
type Drainer interface {
	// PauseChildWriting is called, inside the write that does it, when more than
	// Options.HighWater bytes are queued for the child's descriptor fd.
	PauseChildWriting(fd int)

	// ResumeChildWriting is called when that queue has fallen to
	// Options.LowWater.
	ResumeChildWriting(fd int)
}

// An ExitError says how a child has ended, if not with status 0. (Twisted's
// ProcessTerminated.)
type ExitError struct {
	Code   int            // the exit status, -1 if it was a signal
	Signal syscall.Signal // what killed it, or 0
	Core   bool           // the signal made a core dump
	Err    error          // if not nil, the status could not be had (wait(2)), and Code is -1
}

// Error returns code or signal.
func (e *ExitError) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("process: its status is unknown: %v", e.Err)
	case e.Signal != 0:
		return fmt.Sprintf("process: killed by signal %d (%v)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("process: exit status %d", e.Code)
}

// Unwrap returns Err.
func (e *ExitError) Unwrap() error { return e.Err }

// exit returns the error for a wait status (wait(2)).
func exit(status int, err error) error {
	switch {
	case err != nil:
		return &ExitError{Code: -1, Err: err}
	case status&0x7f != 0:
		return &ExitError{Code: -1, Signal: syscall.Signal(status & 0x7f), Core: status&0x80 != 0}
	case status>>8&0xff != 0:
		return &ExitError{Code: status >> 8 & 0xff}
	}
	return nil
}

// Errors of a Process.
var (
	// ErrExited answers a signal for a child that has exited. (Twisted's
	// ProcessExitedAlready.)
	ErrExited = errors.New("process: already exited")

	// ErrNoPipe answers a write to a descriptor of the child's that this side
	// has no pipe to.
	ErrNoPipe = errors.New("process: no pipe to that descriptor")

	// ErrSignal answers a name that is none of HUP, INT, KILL, STOP, TERM.
	ErrSignal = errors.New("process: want HUP, INT, KILL, STOP or TERM")
)

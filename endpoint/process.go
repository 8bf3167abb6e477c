package endpoint

import (
	"context"
	"fmt"
	"time"

	"mobius"
	"mobius/loop"
)

// A Spawner is a [Reactor] that starts child processes. A *mobius.Reactor is
// one.
type Spawner interface {
	Reactor

	// SpawnProcess is mobius.Reactor's.
	SpawnProcess(p mobius.ProcessProtocol, c mobius.Command) (*mobius.Process, error)
}

var _ Spawner = (*mobius.Reactor)(nil)

// A StandardError says what becomes of what a child writes to its descriptor 2.
type StandardError uint8

// What may become of it.
const (
	LogStderr  StandardError = iota // it is logged, at level Warn, by the loop's logger
	DropStderr                      // it is read, and nothing else
)

// A ProcessClient connects to a child process that it starts: what is written
// goes to the child's standard input, what it writes to its standard output is
// received. (Twisted's ProcessEndpoint.)
//
// The connection's end is that of the child and of its pipes. It is of kind Done if
// the child has exited with status 0, and of kind Lost with a *mobius.ExitError as
// the cause if it has not, also after LoseConnection; unless AbortConnection,
// CloseWithError, a panic or the loop's stop says more. What the child's end was
// is only known once it has exited, so a protocol that is no HalfCloser is not told
// of the end of its output before.
//
// LoseConnection closes the standard input once everything written is sent, reads on
// for CloseTimeout and drops what comes, so that a child which is about to finish can,
// and then closes all pipes; a child that goes on all the same is waited for.
// AbortConnection kills it (SIGKILL). PauseReading concerns the standard error, too.
// There is no Detach, and there are no addresses. With Command.PTY, LoseConnection
// hangs the terminal up, and LoseWriteConnection does nothing.
type ProcessClient struct {
	Reactor Reactor // a [Spawner]

	// Command is what to start, and how. What the child writes to descriptors
	// other than 1 and 2, if Pipes says that it may, is dropped. Of its Options,
	// the limits are those of the connection.
	Command mobius.Command

	// Stderr is what becomes of the standard error.
	Stderr StandardError

	// CloseTimeout is how long a child may write on after LoseConnection has
	// closed its standard input. Default transport.DefaultCloseTimeout; negative:
	// for ever.
	CloseTimeout time.Duration
}

// Connect implements [Client]. f builds the protocol for a peer without an address,
// and is told of nothing else: there is no Connector, and nothing to try again. A
// program that cannot be started is the future's error, a *mobius.ConnError of kind
// Failed that unwraps to ENOENT, for example, and errors.ErrUnsupported if the
// reactor starts none. The child lives on the loop that is the caller's, or else on
// the first.
func (c ProcessClient) Connect(ctx context.Context, f mobius.Factory) *mobius.Future[mobius.Protocol] {
	r, ok := c.Reactor.(Spawner)
	if !ok {
		return failed[mobius.Protocol](c.Reactor, fmt.Errorf("endpoint %v: %w", c, unable(c.Reactor, "starts no processes")))
	}
	l := loopOf(r)
	future := loop.NewFuture[mobius.Protocol](l)
	future.OnCancel(func() { future.Complete(nil, c.aborted(loop.ErrCanceled)) }) // nobody else has it yet
	if err := onto(l, func() { c.begin(ctx, r, f, future) }); err != nil {
		return failed[mobius.Protocol](r, &mobius.ConnError{Op: "spawn", Kind: mobius.Stopped, Err: err})
	}
	return future
}

// loopOf returns the loop whose goroutine the caller's is, or else the first.
func loopOf(r Reactor) *mobius.Loop {
	for _, l := range r.Loops() {
		if l.Inside() {
			return l
		}
	}
	return r.Loops()[0]
}

func (c ProcessClient) aborted(cause error) error {
	return &mobius.ConnError{Op: "spawn", Kind: mobius.Aborted, Err: fmt.Errorf("%s: %w", c.Command.Path, cause)}
}

// begin builds the protocol and starts the child, on the child's loop.
func (c ProcessClient) begin(ctx context.Context, r Spawner, f mobius.Factory, future *mobius.Future[mobius.Protocol]) {
	if _, done, _ := future.Peek(); done {
		return // it was cancelled
	}
	if ctx.Err() != nil {
		future.Complete(nil, c.aborted(context.Cause(ctx)))
		return
	}
	p, err := build(future.Loop(), f, "spawn")
	if err != nil {
		future.Complete(nil, err)
		return
	}
	if _, err := r.SpawnProcess(newChild(&c, p, future), c.Command); err != nil {
		err = &mobius.ConnError{Op: "spawn", Kind: mobius.Failed, Err: fmt.Errorf("%s: %w", c.Command.Path, err)}
		future.Complete(nil, err)
	}
}

// String returns process: and the program's path. There is no such description:
// whoever writes configuration files should not thereby start programs.
func (c ProcessClient) String() string {
	return Description{Type: "process", Args: []Arg{{Value: c.Command.Path}}}.String()
}

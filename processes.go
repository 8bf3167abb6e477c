package mobius

import (
	"mobius/proactor"
	"mobius/transport/process"
)

// What child processes are made of. The documentation is where the types are.
type (
	Process         = process.Process    // a child: its transport
	ProcessProtocol = process.Protocol   // the application's end of it
	ProcessOptions  = process.Options    // the limits of its pipes, and what becomes of it
	Command         = process.Command    // what to start
	Exec            = proactor.Command   // the program's part of that
	ExitError       = process.ExitError  // how a child ended, if not with status 0
	ChildPipe       = proactor.ChildPipe // a pipe between parent and child
	ChildFile       = proactor.ChildFile // a descriptor that the child inherits
	User            = proactor.User      // whom it runs as
)

// The answers of a [Process].
var (
	ErrExited = process.ErrExited // to a signal that comes too late
	ErrNoPipe = process.ErrNoPipe // to a write where there is no pipe
)

// SpawnProcess starts a program and makes it p's, whose ConnectionMade is
// called before it returns. On the goroutine of a loop it does so on that loop,
// else on the loops in turn; the Process's methods are for that loop's
// goroutine. That there is no such program is an error. (Twisted's
// IReactorProcess.spawnProcess.)
func (r *Reactor) SpawnProcess(p ProcessProtocol, c Command) (*Process, error) {
	var child *Process
	var failed error
	l := r.dialer()
	if err := r.on(l, func() { child, failed = process.Spawn(l, p, c) }); err != nil {
		return nil, err
	}
	return child, failed
}

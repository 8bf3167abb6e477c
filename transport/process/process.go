package process

import (
	"net"
	"runtime/debug"
	"syscall"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport/pipe"
)

// A Process is a child: its transport. Make one with [Spawn].
type Process struct {
	l      *loop.Loop
	p      Protocol
	o      Options
	pid    int
	wait   proactor.Op
	ends   []*end
	open   int // ends that have not ended
	grace  loop.Timer
	member loop.Member
	err    error // how the child exited
	state  state
}

// A state is where a Process is in its life.
//
//	alive ──reaped, or the loop stops──▶ exited ──last pipe ended──▶ ended
type state uint8

const (
	alive state = iota
	exited
	ended
)

// Spawn starts c on l and makes it p's. Errors are those of
// proactor.Sockets.Spawn, ENOENT for example, and loop.ErrStopped: then there
// is no child, p is told nothing, and nothing is left behind.
func Spawn(l *loop.Loop, p Protocol, c Command) (*Process, error) {
	if l.Ending() {
		return nil, loop.ErrStopped
	}
	command, err := c.prepare()
	if err != nil {
		return nil, err
	}
	child, pipes, err := l.Sockets().Spawn(command)
	if err != nil {
		return nil, err
	}
	x := &Process{l: l, p: p, o: c.Options}
	x.pid, _ = l.Sockets().ProcessID(child)
	x.wait = proactor.Op{Kind: proactor.OpChild, Handle: child, Owner: (*events)(x)}
	x.grace.Func = func() { x.closeAll(net.ErrClosed) }
	x.member.Owner = (*events)(x)
	x.connect(command, pipes)
	l.Join(&x.member)
	l.Submit(&x.wait)
	x.call(func() { p.ConnectionMade(x) })
	return x, nil
}

// connect makes the ends of the pipes.
func (x *Process) connect(c *proactor.Command, pipes []proactor.Handle) {
	limits := x.o.limits()
	if c.PTY {
		e := &end{process: x, fd: 1, terminal: true}
		x.ends = append(x.ends, e)
		e.in = pipe.NewReader(x.l, pipes[0], true, e)
		e.out = pipe.NewWriter(x.l, pipes[0], true, limits, e)
		pipes = pipes[1:]
	}
	for i, h := range pipes {
		e := &end{process: x, fd: c.Pipes[i].FD}
		x.ends = append(x.ends, e)
		if c.Pipes[i].Write {
			e.out = pipe.NewWriter(x.l, h, false, limits, e)
		} else {
			e.in = pipe.NewReader(x.l, h, false, e)
		}
	}
	x.open = len(x.ends)
}

// call calls the protocol; whatever it does the rest goes on.
func (x *Process) call(f func()) {
	defer func() {
		if v := recover(); v != nil {
			x.l.Report(loop.Trouble{Kind: loop.Panicked, Value: v, Stack: debug.Stack()})
		}
	}()
	f()
}

// PID returns the child's number, 0 once it has exited: another process may
// have it by then.
func (x *Process) PID() int {
	if x.state != alive {
		return 0
	}
	return x.pid
}

// Loop returns the loop that the child belongs to.
func (x *Process) Loop() *loop.Loop { return x.l }

// end returns the end to the child's descriptor fd, nil if there is none.
func (x *Process) end(fd int) *end {
	for _, e := range x.ends {
		if e.fd == fd || e.terminal && fd >= 0 && fd < 3 {
			return e
		}
	}
	return nil
}

// Write is WriteToChild to the standard input.
func (x *Process) Write(p []byte) (int, error) { return x.WriteToChild(0, p) }

// Writev is a Write of all bufs in order: all of them or nothing.
func (x *Process) Writev(bufs [][]byte) (int, error) {
	var all []byte
	for _, b := range bufs {
		all = append(all, b...)
	}
	return x.Write(all)
}

// WriteToChild queues a copy of p for the child's descriptor fd: all of it or
// nothing. Errors: [ErrNoPipe]; transport.ErrNotWritable once the pipe is
// closed, by either side; transport.ErrFull beyond Options.HardLimit.
func (x *Process) WriteToChild(fd int, p []byte) (int, error) {
	e := x.end(fd)
	if e == nil || e.out == nil {
		return 0, ErrNoPipe
	}
	return e.out.Write(p)
}

// Queued returns how many bytes written to the child's descriptor fd wait to be
// taken by the kernel, Room how many more a write takes.
func (x *Process) Queued(fd int) int {
	if e := x.end(fd); e != nil && e.out != nil {
		return e.out.Queued()
	}
	return 0
}

// Room is 0 if there is no pipe to fd, or none any more.
func (x *Process) Room(fd int) int {
	if e := x.end(fd); e != nil && e.out != nil {
		return e.out.Room()
	}
	return 0
}

// CloseStdin closes the standard input once everything written is sent.
func (x *Process) CloseStdin() { x.CloseChildFD(0) }

// CloseStdout ends the reading of the standard output: a child that writes
// there gets EPIPE.
func (x *Process) CloseStdout() { x.CloseChildFD(1) }

// CloseStderr is CloseStdout for the standard error.
func (x *Process) CloseStderr() { x.CloseChildFD(2) }

// CloseChildFD closes this side's end of a pipe, an input once everything
// written is sent. It does nothing if there is no such pipe. The descriptors 0,
// 1 and 2 of a terminal are closed by [Process.LoseConnection] alone.
func (x *Process) CloseChildFD(fd int) {
	if e := x.end(fd); e != nil && !e.terminal {
		e.close()
	}
}

// LoseConnection closes the pipes of the descriptors 0, 1 and 2; a terminal is
// hung up once everything written is sent.
func (x *Process) LoseConnection() {
	for _, e := range x.ends {
		if e.fd >= 0 && e.fd < 3 {
			e.close()
		}
	}
}

// AbortConnection closes all pipes at once: what was not sent is dropped, and what
// was not delivered. The child is sent no signal, but that of a terminal that is
// hung up.
func (x *Process) AbortConnection() { x.closeAll(net.ErrClosed) }

// PauseReading stops ChildDataReceived, for all pipes, until ResumeReading.
// What is under way is kept.
func (x *Process) PauseReading() {
	for _, e := range x.ends {
		if e.in != nil {
			e.in.Pause()
		}
	}
}

// ResumeReading lets ChildDataReceived go on.
func (x *Process) ResumeReading() {
	for _, e := range x.ends {
		if e.in != nil {
			e.in.Resume()
		}
	}
}

// Signal sends a signal to the child (kill(2)). It is [ErrExited] if that has
// exited: never does another process get it.
func (x *Process) Signal(s syscall.Signal) error {
	if x.state != alive {
		return ErrExited
	}
	err := x.l.Sockets().Signal(x.wait.Handle, s)
	if err == syscall.ESRCH || err == proactor.ErrClosed {
		return ErrExited
	}
	return err
}

// signals are those that have names.
var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP, "TERM": syscall.SIGTERM,
}

// SignalProcess is Signal by name: HUP, INT, KILL, STOP or TERM; [ErrSignal]
// for others.
func (x *Process) SignalProcess(name string) error {
	s, ok := signals[name]
	if !ok {
		return ErrSignal
	}
	return x.Signal(s)
}

// exit tells that the child has exited, or that nobody will know.
func (x *Process) exit(err error) {
	if x.state != alive {
		return
	}
	x.state, x.err = exited, err
	if x.o.Grace > 0 && x.open > 0 {
		x.l.Start(&x.grace, x.o.Grace)
	}
	x.call(func() { x.p.ProcessExited(err) })
	x.settle()
}

// lost counts an end less.
func (x *Process) lost(e *end) {
	x.open--
	x.call(func() { x.p.ChildConnectionLost(e.fd) })
	x.settle()
}

// settle is the end of a child that has exited and has no pipe left.
func (x *Process) settle() {
	if x.state != exited || x.open > 0 || x.wait.Active() {
		return
	}
	x.state = ended
	x.grace.Stop()
	x.l.Leave(&x.member)
	x.call(func() { x.p.ProcessEnded(x.err) })
}

func (x *Process) closeAll(err error) {
	for _, e := range x.ends {
		e.abort(err)
	}
}

// events is a Process as its loop sees it.
type events Process

// Complete takes the child's status.
func (e *events) Complete(op *proactor.Op) {
	x := (*Process)(e)
	_ = x.l.Sockets().CloseFD(op.Handle)
	x.exit(exit(op.N, op.Err))
	x.settle()
}

// Fail is the loop's stop.
func (e *events) Fail(err error) {
	x := (*Process)(e)
	x.closeAll(err)
	switch {
	case x.state != alive:
	case x.o.OnStop == Kill:
		_ = x.l.Sockets().Signal(x.wait.Handle, syscall.SIGKILL) // an error means that it has exited
	default:
		x.exit(err)
		x.l.Cancel(&x.wait)
	}
}

// Finish begins that when a loop's Shutdown does: a child would not end by
// itself.
func (e *events) Finish() { e.Fail(loop.ErrStopped) }

// Abandon is the end of a child whose operations will not complete.
func (e *events) Abandon(err error) {
	x := (*Process)(e)
	x.exit(err)
	if x.state != ended {
		x.state = ended
		x.call(func() { x.p.ProcessEnded(x.err) })
	}
}

package process

import (
	"net"

	"mobius/transport"
	"mobius/transport/pipe"
)

// An end is this side's end of a pipe, or of the terminal, which has both.
type end struct {
	process  *Process
	fd       int
	terminal bool
	in       *pipe.Reader // what the child writes
	out      *pipe.Writer // what it reads
}

// close closes in good order.
func (e *end) close() {
	if e.out != nil {
		e.out.Close()
	} else {
		e.in.Close(net.ErrClosed)
	}
}

// abort closes at once.
func (e *end) abort(err error) {
	if e.out != nil {
		e.out.Abort(err)
	}
	if e.in != nil {
		e.in.Close(err)
	}
}

// Received hands on what the child has written. A panic is the pipe's affair.
func (e *end) Received(_ *pipe.Reader, p []byte) { e.process.p.ChildDataReceived(e.fd, p) }

// Ended is the end of the input. That of a terminal ends its output, too.
func (e *end) Ended(_ *pipe.Reader, err error) {
	if e.out != nil && !e.out.Over() {
		e.out.Abort(err)
		return
	}
	e.lost()
}

// Closed is the end of the output. A terminal is hung up with it.
func (e *end) Closed(_ *pipe.Writer, err error) {
	if e.in != nil && !e.in.Over() {
		e.in.Close(err)
		return
	}
	e.lost()
}

func (e *end) lost() {
	if e.terminal {
		_ = e.process.l.Sockets().CloseFD(e.in.Handle())
	}
	e.process.lost(e)
}

// number is the descriptor that the protocol is told of when it writes.
func (e *end) number() int {
	if e.terminal {
		return 0
	}
	return e.fd
}

// Full tells a protocol that wants to know.
func (e *end) Full(*pipe.Writer) {
	if d, ok := transport.As[Drainer](e.process.p); ok {
		e.process.call(func() { d.PauseChildWriting(e.number()) })
	}
}

// Drained tells a protocol that wants to know.
func (e *end) Drained(*pipe.Writer) {
	if d, ok := transport.As[Drainer](e.process.p); ok {
		e.process.call(func() { d.ResumeChildWriting(e.number()) })
	}
}

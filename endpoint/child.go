package endpoint

import (
	"errors"
	"io"
	"net"
	"runtime/debug"
	"syscall"
	"time"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
	"mobius/transport/process"
)

// A child is a process as a connection: the process's protocol, and the
// transport of the user's.
type child struct {
	x       *mobius.Process
	p       mobius.Protocol
	half    mobius.HalfCloser // p, if it is one
	drain   mobius.Drainer    // the same
	future  *mobius.Future[mobius.Protocol]
	stderr  StandardError
	timeout time.Duration
	timer   loop.Timer
	why     *mobius.ConnError
	pty     bool
	closing bool // LoseConnection or worse: nothing more is delivered
	asked   bool // for the end of the standard input
	gone    bool // the standard input
}

var (
	_ mobius.ProcessProtocol = (*child)(nil)
	_ process.Drainer        = (*child)(nil)
	_ mobius.Transport       = (*child)(nil)
	_ transport.Queuer       = (*child)(nil)
)

func newChild(c *ProcessClient, p mobius.Protocol, future *mobius.Future[mobius.Protocol]) *child {
	k := &child{p: p, future: future, stderr: c.Stderr, timeout: c.CloseTimeout, pty: c.Command.PTY}
	k.half, _ = mobius.As[mobius.HalfCloser](p)
	k.drain, _ = mobius.As[mobius.Drainer](p)
	if k.timeout == 0 {
		k.timeout = transport.DefaultCloseTimeout
	}
	k.timer.Func = func() { k.x.AbortConnection() }
	return k
}

// call calls the user's protocol; a panic is the connection's end.
func (k *child) call(f func()) {
	defer func() {
		if v := recover(); v != nil {
			k.Loop().Report(loop.Trouble{Kind: loop.Panicked, Who: transport.LogPrefix(k.p), Value: v, Stack: debug.Stack()})
			k.die(mobius.Panicked, "protocol", &mobius.PanicError{Value: v})
		}
	}()
	f()
}

// because decides the reason of the end. The first counts, but an orderly one
// gives way.
func (k *child) because(kind mobius.Kind, op string, err error) {
	if k.why == nil || k.why.Kind == mobius.Done && kind != mobius.Done {
		k.why = &mobius.ConnError{Op: op, Kind: kind, Err: err}
	}
}

// die ends the child.
func (k *child) die(kind mobius.Kind, op string, err error) {
	k.because(kind, op, err)
	k.closing = true
	_ = k.x.Signal(syscall.SIGKILL) // an error means that it has exited
	k.x.AbortConnection()
}

// ConnectionMade hands the transport to the user's protocol.
func (k *child) ConnectionMade(x *mobius.Process) {
	k.x = x
	k.call(func() {
		k.p.ConnectionMade(k)
		k.future.Complete(k.p, nil)
	})
}

// mostLogged is how many bytes of the standard error one line of the log has.
const mostLogged = 4096

// ChildDataReceived delivers, logs or drops.
func (k *child) ChildDataReceived(fd int, data []byte) {
	switch {
	case fd == 1 && !k.closing:
		k.call(func() { k.p.DataReceived(data) })
	case fd == 2 && k.stderr == LogStderr:
		for len(data) > 0 {
			n := min(len(data), mostLogged)
			k.Loop().Log().Warn("a child's standard error",
				"pid", k.x.PID(), "protocol", transport.LogPrefix(k.p), "text", string(data[:n]))
			data = data[n:]
		}
	}
}

// ChildConnectionLost is the end of one direction, perhaps.
func (k *child) ChildConnectionLost(fd int) {
	k.gone = k.gone || fd == 0
	switch {
	case k.closing && fd == 0:
		k.startTimer()
	case k.closing || k.half == nil || k.Loop().Ending(): // the loop has closed the pipes
	case fd == 0 && k.asked:
		k.call(k.half.WriteConnectionLost)
	case fd == 1:
		k.call(k.half.ReadConnectionLost)
	}
}

// PauseChildWriting tells a Drainer.
func (k *child) PauseChildWriting(fd int) {
	if k.drain != nil && fd == 0 && !k.closing {
		k.call(k.drain.PauseWriting)
	}
}

// ResumeChildWriting tells a Drainer.
func (k *child) ResumeChildWriting(fd int) {
	if k.drain != nil && fd == 0 && !k.closing {
		k.call(k.drain.ResumeWriting)
	}
}

// ProcessExited waits for the pipes.
func (k *child) ProcessExited(error) {}

// ProcessEnded is the end of the connection.
func (k *child) ProcessEnded(err error) {
	k.timer.Stop()
	var exit *mobius.ExitError
	switch {
	case err == nil:
		k.because(mobius.Done, "read", io.EOF)
	case errors.As(err, &exit):
		k.because(mobius.Lost, "exit", err)
	default:
		k.because(mobius.Stopped, "loop", err)
	}
	defer k.future.Complete(nil, k.why) // ConnectionMade has panicked
	k.call(func() { k.p.ConnectionLost(k.why) })
}

// Write queues a copy of p for the standard input; see transport.Transport.
func (k *child) Write(p []byte) (int, error) { return k.written(k.x.Write(p)) }

// Writev queues copies of bufs: all of them or nothing.
func (k *child) Writev(bufs [][]byte) (int, error) { return k.written(k.x.Writev(bufs)) }

// written says what a write's error means to a transport's user.
func (*child) written(n int, err error) (int, error) {
	if err == process.ErrNoPipe {
		err = transport.ErrNotWritable
	}
	return n, err
}

// WriteOwned queues a copy of buf and calls release at once.
func (k *child) WriteOwned(buf []byte, release func()) error {
	_, err := k.Write(buf)
	if release != nil {
		k.call(release)
	}
	return err
}

// Queued returns how many bytes wait to be taken by the kernel.
func (k *child) Queued() int { return k.x.Queued(0) }

// Room returns how many bytes a Write takes now.
func (k *child) Room() int { return k.x.Room(0) }

// LoseConnection has the child finish; see [ProcessClient].
func (k *child) LoseConnection() { k.CloseWithError(nil) }

// CloseWithError is LoseConnection with a reason.
func (k *child) CloseWithError(err error) {
	if err != nil {
		k.because(mobius.Failed, "close", err)
	} else {
		k.because(mobius.Done, "close", net.ErrClosed)
	}
	if k.closing {
		return
	}
	k.closing = true
	k.x.ResumeReading()
	if k.pty {
		k.x.LoseConnection()
	}
	k.x.CloseStdin()
	if _, err := k.x.Write(nil); k.gone || err == process.ErrNoPipe {
		k.startTimer()
	}
}

// startTimer gives the child time to finish.
func (k *child) startTimer() {
	if k.timeout > 0 {
		k.Loop().Start(&k.timer, k.timeout)
	}
}

// LoseWriteConnection closes the standard input once everything written is
// sent. A terminal has no such end.
func (k *child) LoseWriteConnection() {
	if !k.closing {
		k.asked = true
		k.x.CloseStdin()
	}
}

// AbortConnection kills the child.
func (k *child) AbortConnection() { k.die(mobius.Aborted, "abort", net.ErrClosed) }

// PauseReading stops DataReceived until ResumeReading.
func (k *child) PauseReading() {
	if !k.closing {
		k.x.PauseReading()
	}
}

// ResumeReading lets DataReceived go on.
func (k *child) ResumeReading() { k.x.ResumeReading() }

// Detach is refused: there is no one handle to give away.
func (*child) Detach(func(proactor.Handle, []byte, error)) error { return proactor.ErrUnsupported }

// LocalAddr returns the address of nothing.
func (*child) LocalAddr() mobius.Address { return mobius.Address{} }

// RemoteAddr returns the address of nothing.
func (*child) RemoteAddr() mobius.Address { return mobius.Address{} }

// Handle returns that of nothing: there are several.
func (*child) Handle() proactor.Handle { return 0 }

// Loop returns the loop that the child lives on.
func (k *child) Loop() *mobius.Loop { return k.x.Loop() }

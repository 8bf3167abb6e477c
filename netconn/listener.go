package netconn

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"mobius"
	"mobius/loop"
	"mobius/proactor"
)

// A Listener accepts stream connections, as a net.TCPListener or a
// net.UnixListener does. It accepts ahead of its user, up to
// Options.Unaccepted connections, and deals them out to the reactor's loops in
// turn. Its methods are for any goroutine but a loop's, Close for those, too.
type Listener struct {
	socket
	op      proactor.Op
	peer    proactor.Address
	reactor *mobius.Reactor
	k       *waking
	o       *Options
	host    net.Addr      // this side's address of its connections, nil if each has its own
	turn    sync.Mutex    // held by the goroutine that accepts, also while it waits
	next    int           // loop that the next connection goes to
	keeps   atomic.Bool   // a unix socket's file stays
	over    chan struct{} // closed once the socket is
	ended   bool          // over is

	side
	queue   []net.Conn // accepted by the loop
	err     error      // how accepting ended; it begins again when somebody has been told
	pending int        // connections on their way to other loops
	stopped bool       // the loop accepts no more until there is room
	why     error      // closed
}

// Accept returns the next connection, a *TCPConn or a *UnixConn. The error is a
// *net.OpError; that descriptors or memory are short is a temporary one, as with
// package net: the next Accept tries again.
func (n *Listener) Accept() (net.Conn, error) {
	n.turn.Lock()
	defer n.turn.Unlock()
	n.mu.Lock()
	defer n.mu.Unlock()
	for {
		switch {
		case n.why != nil:
			return nil, n.opError("accept", n.why)
		case n.deadline.over():
			return nil, n.opError("accept", os.ErrDeadlineExceeded)
		case len(n.queue) > 0:
			return n.pop(), nil
		case n.err != nil:
			err := n.err
			n.err, n.stopped = nil, true
			n.post()
			if !errors.Is(err, syscall.ECONNABORTED) {
				return nil, n.opError("accept", os.NewSyscallError("accept4", err))
			}
		}
		n.await()
	}
}

// AcceptTCP is Accept for a listener of TCP; on another it is errors.ErrUnsupported.
// (net.TCPListener.)
func (n *Listener) AcceptTCP() (*TCPConn, error) { return acceptAs[*TCPConn](n, "tcp") }

// AcceptUnix is Accept for a listener of unix streams; on another it is
// errors.ErrUnsupported. (net.UnixListener.)
func (n *Listener) AcceptUnix() (*UnixConn, error) { return acceptAs[*UnixConn](n, "unix") }

// acceptAs accepts a connection of the one type that a network has.
func acceptAs[T net.Conn](n *Listener, network string) (c T, err error) {
	if n.network != network {
		return c, n.opError("accept", errors.ErrUnsupported)
	}
	accepted, err := n.Accept()
	if err != nil {
		return c, err
	}
	return accepted.(T), nil
}

// pop takes a connection off the queue. mu is held.
func (n *Listener) pop() net.Conn {
	c := n.queue[0]
	n.queue[0] = nil
	n.queue = n.queue[1:]
	if n.roomy() {
		n.post()
	}
	return c
}

// roomy reports whether accepting, which has stopped, is to go on. mu is held.
func (n *Listener) roomy() bool {
	return n.stopped && n.err == nil && len(n.queue)+n.pending <= n.o.Unaccepted/2
}

// Addr returns the address that it listens at: a *net.TCPAddr or a
// *net.UnixAddr.
func (n *Listener) Addr() net.Addr { return n.local }

// SetDeadline sets the deadline of Accepts, those under way included; the zero
// time means none.
func (n *Listener) SetDeadline(t time.Time) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.why != nil {
		return n.opError("set", n.why)
	}
	n.deadline.set(t, n.w.waiting)
	return nil
}

// Close ends listening: blocked Accepts return with net.ErrClosed as the
// cause, connections that nobody has accepted are reset. When it returns, the
// address is free for another listener, unless it was called on a loop's
// goroutine: then that happens soon. A unix socket's file is removed, see
// [Listener.SetUnlinkOnClose].
func (n *Listener) Close() error {
	if !n.end(net.ErrClosed) {
		return n.opError("close", net.ErrClosed)
	}
	if n.reactor.OnLoop() {
		return nil
	}
	select {
	case <-n.over:
	case <-n.l.Done():
	}
	return nil
}

// end closes the listener, and reports whether it was open.
func (n *Listener) end(why error) bool {
	n.mu.Lock()
	if n.why != nil {
		n.mu.Unlock()
		return false
	}
	n.why = why
	if why == errStopped {
		n.state.Store(stopped)
	} else {
		n.state.Store(closed)
	}
	unaccepted := n.queue
	n.queue = nil
	n.deadline.stop()
	n.w.wake()
	n.mu.Unlock()
	for _, c := range unaccepted {
		abort(c)
	}
	n.post()
	return true
}

// abort ends a connection that nobody has had.
func abort(c net.Conn) {
	if t, ok := c.(*TCPConn); ok {
		_ = t.SetLinger(0) // as the kernel does
	}
	_ = c.Close()
}

func (n *Listener) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: n.network, Addr: n.local, Err: err}
}

// serve does what is wanted of the loop.
func (n *Listener) serve() {
	n.posted.Store(false)
	n.mu.Lock()
	ended := n.why != nil
	resume := !ended && n.roomy()
	if resume {
		n.stopped = false
	}
	n.mu.Unlock()
	switch {
	case ended:
		n.finish()
	case resume:
		n.l.Resume(&n.op)
	}
}

// finish closes the socket, after its operation has ended. Loop goroutine.
func (n *Listener) finish() {
	if n.op.Active() {
		n.l.Cancel(&n.op)
		return
	}
	if n.ended || !n.vacate() {
		return
	}
	n.ended = true
	n.release()
	n.l.Leave(&n.member)
	close(n.over)
}

// listenerEvents is a Listener as its operation and its loop see it.
type listenerEvents Listener

// Complete takes one connection, or an error.
func (e *listenerEvents) Complete(op *proactor.Op) {
	n := (*Listener)(e)
	if op.New != 0 {
		n.accepted(op.New, n.peer)
	}
	if op.More {
		return
	}
	n.mu.Lock()
	ended := n.why != nil
	if op.Err != nil && op.Err != proactor.ErrCanceled && !ended {
		n.err = op.Err
		n.k.later(&n.w)
	}
	n.mu.Unlock()
	if ended {
		n.finish()
	}
}

// accepted takes one connection, and gives it to the loop whose turn it is.
func (n *Listener) accepted(h proactor.Handle, peer proactor.Address) {
	loops := n.reactor.Loops()
	to := loops[n.next%len(loops)]
	n.next++
	n.mu.Lock()
	n.pending++
	stop := len(n.queue)+n.pending >= n.o.Unaccepted && !n.stopped
	if stop {
		n.stopped = true
	}
	n.mu.Unlock()
	if stop {
		n.l.Cancel(&n.op)
	}
	if to == n.l {
		n.made(n.make(to, h, peer), true)
		return
	}
	fd, err := n.l.Sockets().Detach(h)
	if err != nil {
		_ = n.l.Sockets().CloseFD(h)
		n.made(nil, true)
		return
	}
	if to.Call(func() { n.adopt(to, fd, peer) }) != nil {
		_ = n.l.Sockets().Discard(fd)
		n.made(nil, true)
	}
}

// adopt makes a connection that the listener's loop has accepted. Loop
// goroutine of the connection.
func (n *Listener) adopt(l *loop.Loop, fd int, peer proactor.Address) {
	h, err := l.Sockets().Adopt(fd)
	if err != nil {
		_ = l.Sockets().Discard(fd)
		n.made(nil, false)
		return
	}
	n.made(n.make(l, h, peer), false)
}

// make returns the connection, nil if it has no address any more.
func (n *Listener) make(l *loop.Loop, h proactor.Handle, peer proactor.Address) net.Conn {
	local := n.host
	if local == nil {
		a, _, err := l.Sockets().Names(h)
		if err != nil {
			_ = l.Sockets().CloseFD(h)
			return nil
		}
		local = a.NetAddr()
	}
	return newStream(l, h, local, peer.NetAddr(), n.o)
}

// made queues a connection, nil if it came to nothing.
func (n *Listener) made(c net.Conn, here bool) {
	n.mu.Lock()
	n.pending--
	ended := n.why != nil
	if c != nil && !ended {
		n.queue = append(n.queue, c)
		if here {
			n.k.later(&n.w)
		} else {
			n.w.wake()
		}
	}
	resume := n.roomy()
	n.mu.Unlock()
	if c != nil && ended {
		abort(c)
	} else if resume {
		n.post()
	}
}

// Fail ends the listener with the loop.
func (e *listenerEvents) Fail(error) {
	n := (*Listener)(e)
	n.end(errStopped)
	n.finish()
}

// Finish ends the listener in a loop's Shutdown.
func (e *listenerEvents) Finish() { (*Listener)(e).end(errStopped) }

// Abandon is the end of a listener whose operation will never complete.
func (e *listenerEvents) Abandon(error) {
	n := (*Listener)(e)
	n.l.Leave(&n.member)
	if !n.ended {
		n.ended = true
		close(n.over)
	}
}

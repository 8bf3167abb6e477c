package transport

import (
	"maps"
	"syscall"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A Listener accepts connections and hands their handles to a function. No
// error of accept(2) ends it.
//
// What it does about them is what Twisted's Port.doRead does, without its busy
// loop: an error that concerns one connection is counted and forgotten. When the process or the system has no descriptors or memory left,
// clients that wait are refused by means of a descriptor kept in reserve (see
// proactor.Sockets.Refuse), so that they get a reset and not a hang, and
// accepting rests for up to 100 ms; it costs no spin, and recovers within that
// time. Everything is counted by its errno, and reported as a
// loop.Trouble of kind AcceptFailed at most once in 10 s.
type Listener struct {
	op     proactor.Op
	peer   proactor.Address
	l      *loop.Loop
	addr   proactor.Address
	accept func(h proactor.Handle, peer proactor.Address)
	timer  loop.Timer
	member loop.Member

	state    listenerState
	delay    time.Duration // of the latest rest
	row      int           // errors since the latest connection
	reported time.Duration // when; only if told
	told     bool
	stopped  *loop.Future[struct{}]
	stats    AcceptStats
}

// A listenerState is where a Listener is in its life.
//
//	          error            Stop
//	accepting ─────▶ resting ───────▶ stopping ──no operation active──▶ closed
//	    │  ▲           │                 ▲
//	    │  └───timer───┘                 │
//	    └────────────Stop────────────────┘
type listenerState uint8

const (
	accepting listenerState = iota
	resting
	stopping
	closed
)

// AcceptStats count what a Listener has met.
type AcceptStats struct {
	Accepted uint64                   // connections handed on
	Refused  uint64                   // connections reset because there was no descriptor for them
	Errors   map[syscall.Errno]uint64 // errors of accept, by number; nil if there was none
	Other    uint64                   // errors that are no errno
}

// An AcceptError is the Value of a loop.Trouble of kind AcceptFailed.
type AcceptError struct {
	Addr proactor.Address // of the listener
	Err  error            // the latest error
	Row  int              // errors since the latest connection
}

// Error returns address, number and cause.
func (e *AcceptError) Error() string {
	return "accept on " + e.Addr.Network() + " " + e.Addr.String() + ": " + e.Err.Error()
}

// Unwrap returns the error of accept.
func (e *AcceptError) Unwrap() error { return e.Err }

const (
	refuseAtOnce = 1024                   // clients refused in one go
	shortRest    = 5 * time.Millisecond   // the first rest; each further one is twice as long,
	longestRest  = 100 * time.Millisecond // up to this
	patientRow   = 64                     // errors of single connections in a row before a rest
	reportEvery  = 10 * time.Second
)

// Listen returns a listener on addr; see proactor.Sockets.Listen for what o
// and the errors mean. accept is called on the loop's goroutine for each
// connection, whose handle is then its own to close. If it panics, the panic
// is reported and the handle closed if no operation uses it. o may be nil.
func Listen(l *loop.Loop, addr proactor.Address, o *proactor.SocketOptions,
	accept func(h proactor.Handle, peer proactor.Address)) (*Listener, error) {
	h, local, err := l.Sockets().Listen(addr, o)
	if err != nil {
		return nil, &ConnError{Op: "listen", Addr: addr, Kind: Failed, Err: err}
	}
	return NewListener(l, h, local, accept), nil
}

// NewListener returns a listener on h, a listening socket of l's backend that
// is bound to addr, an adopted one for example. The handle is the listener's
// now.
func NewListener(l *loop.Loop, h proactor.Handle, addr proactor.Address,
	accept func(h proactor.Handle, peer proactor.Address)) *Listener {
	n := &Listener{l: l, addr: addr, accept: accept}
	e := (*listenerEvents)(n)
	n.op = proactor.Op{Kind: proactor.OpAccept, Handle: h, Owner: e, Addr: &n.peer}
	n.timer.Owner, n.member.Owner = e, e
	l.Join(&n.member)
	l.Submit(&n.op)
	return n
}

// Addr returns the address that the listener is bound to, with the port that
// the kernel chose if 0 was asked for. It stays valid.
func (n *Listener) Addr() proactor.Address { return n.addr }

// Handle returns the listening handle, which names nothing once Stop is done.
func (n *Listener) Handle() proactor.Handle { return n.op.Handle }

// Loop returns the loop that the listener lives on.
func (n *Listener) Loop() *loop.Loop { return n.l }

// Stats returns the counters. Loop goroutine.
func (n *Listener) Stats() AcceptStats {
	s := n.stats
	s.Errors = maps.Clone(s.Errors)
	return s
}

// Stop ends accepting for good: no accept function is called any more, connections that
// were accepted already live on. The future is completed once the address is
// free for another listener. Every Stop returns the same future. Loop
// goroutine.
func (n *Listener) Stop() *loop.Future[struct{}] {
	if n.stopped != nil {
		return n.stopped
	}
	n.stopped = loop.NewFuture[struct{}](n.l)
	n.state = stopping
	n.timer.Stop()
	if n.op.Active() {
		n.l.Cancel(&n.op)
	} else {
		n.close()
	}
	return n.stopped
}

func (n *Listener) close() {
	n.state = closed
	n.l.Leave(&n.member)
	err := n.l.Sockets().CloseFD(n.op.Handle)
	n.stopped.Complete(struct{}{}, err)
}

// listenerEvents is a Listener as its operation, its timer and its loop see it.
type listenerEvents Listener

// Complete takes one connection, or an error.
func (e *listenerEvents) Complete(op *proactor.Op) {
	n := (*Listener)(e)
	if op.New != 0 {
		n.connected(op.New)
	}
	if op.More {
		return
	}
	switch n.state {
	case stopping:
		n.close()
	case accepting:
		n.failed(op.Err)
	}
}

// Expire ends a rest.
func (e *listenerEvents) Expire(*loop.Timer) {
	e.state = accepting
	e.l.Submit(&e.op)
}

// Fail stops the listener with the loop.
func (e *listenerEvents) Fail(error) { (*Listener)(e).Stop() }

// Finish stops the listener in a loop's Shutdown.
func (e *listenerEvents) Finish() { (*Listener)(e).Stop() }

// Abandon is the end of a listener whose operation will never complete.
func (e *listenerEvents) Abandon(err error) {
	n := (*Listener)(e)
	n.Stop()
	n.state = closed
	n.stopped.Complete(struct{}{}, err)
}

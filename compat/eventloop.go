package compat

import (
	"context"
	"net"
	"time"

	"mobius"
	"mobius/loop"
	"mobius/transport"
)

// A Runnable is run on a loop.
type Runnable interface {
	// Run is called on the loop with the context that Execute or Schedule was
	// given. An error is logged; [ErrEngineShutdown] ends the engine.
	Run(ctx context.Context) error
}

// A RunnableFunc is a Runnable made of a function.
type RunnableFunc func(ctx context.Context) error

// Run calls f.
func (f RunnableFunc) Run(ctx context.Context) error { return f(ctx) }

// A RegisteredResult is what Register and Enroll lead to: a connection whose
// OnOpen was called, or an error.
type RegisteredResult struct {
	Conn Conn
	Err  error
}

// An EventLoop is one loop of an engine. Its methods are for any goroutine.
type EventLoop interface {
	// Register connects to addr, to live on this loop. The channel gets one
	// result.
	Register(ctx context.Context, addr net.Addr) (<-chan RegisteredResult, error)

	// Enroll makes a connection of this loop's of c, which must have a
	// descriptor: the engine works on a duplicate, and c is closed. What c has
	// read already is not there any more. The channel gets one result.
	Enroll(ctx context.Context, c net.Conn) (<-chan RegisteredResult, error)

	// Execute runs r on the loop soon, or not at all if ctx has ended before.
	Execute(ctx context.Context, r Runnable) error

	// Schedule runs r on the loop once delay has passed, unless ctx has ended
	// before.
	Schedule(ctx context.Context, r Runnable, delay time.Duration) error

	// Close closes a connection, as its own Close does.
	Close(c Conn) error
}

// An eventLoop is what an engine has on one loop.
type eventLoop struct {
	e        *engine
	l        *mobius.Loop
	whole    []byte // what is lent now: by DataReceived to a conn of this loop
	at, end  int    // the part of whole that Peek or Next has returned last
	memory   memory
	head     *conn
	sockets  []*packets // of a Client's
	draining bool
	since    time.Duration // when that began
	timer    loop.Timer    // looks whether it is over
}

// lend notes that n bytes of lent were given to the handler. Their capacity is
// cut off, so that an append does not write over what comes next.
func (el *eventLoop) lend(lent []byte, n int) {
	el.at = len(el.whole) - cap(lent)
	el.end = el.at + n
}

// restore returns p with the capacity that tells the transport that it is lent,
// if it is a part of what was given to the handler last.
func (el *eventLoop) restore(p []byte) []byte {
	if len(p) < transport.HoldFrom {
		return p
	}
	from := el.end - cap(p)
	if from < el.at || from < 0 || from+len(p) > len(el.whole) || &el.whole[from] != &p[0] {
		return p
	}
	return el.whole[from : from+len(p)]
}

func (el *eventLoop) add(c *conn) {
	c.next = el.head
	if el.head != nil {
		el.head.prev = c
	}
	el.head = c
	el.e.conns.Add(1)
}

func (el *eventLoop) remove(c *conn) {
	if c.prev == nil {
		el.head = c.next
	} else {
		c.prev.next = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
	el.e.conns.Add(-1)
}

// Execute runs r; see [EventLoop].
func (el *eventLoop) Execute(ctx context.Context, r Runnable) error {
	if r == nil {
		return ErrNilRunnable
	}
	return el.l.Call(func() { el.run(ctx, r) })
}

// Schedule runs r later; see [EventLoop].
func (el *eventLoop) Schedule(ctx context.Context, r Runnable, delay time.Duration) error {
	if r == nil {
		return ErrNilRunnable
	}
	return el.l.Call(func() { el.l.Start(&loop.Timer{Func: func() { el.run(ctx, r) }}, delay) })
}

func (el *eventLoop) run(ctx context.Context, r Runnable) {
	if ctx.Err() != nil {
		return
	}
	el.e.answered(el.l, r.Run(ctx))
}

// Close closes c.
func (el *eventLoop) Close(c Conn) error { return c.Close() }

// Register connects to addr; see [EventLoop].
func (el *eventLoop) Register(ctx context.Context, addr net.Addr) (<-chan RegisteredResult, error) {
	d := el.e.newDialing(FromContext(ctx))
	if err := d.dial(el.l, addr.Network(), addr.String()); err != nil {
		return nil, err
	}
	return d.result, nil
}

// Enroll makes c a connection of the engine's; see [EventLoop].
func (el *eventLoop) Enroll(ctx context.Context, c net.Conn) (<-chan RegisteredResult, error) {
	d := el.e.newDialing(FromContext(ctx))
	if err := el.l.Insist(func() { d.enroll(c) }); err != nil {
		return nil, err
	}
	return d.result, nil
}

var _ EventLoop = (*eventLoop)(nil)

package transport

import (
	"io"
	"net"
	"os"
	"time"

	"mobius/proactor"
)

// pinTimeout is how long a connection that was lost waits for a peer that
// does not acknowledge what was sent to it without a copy. One that was closed in good
// order waits as long as CloseTimeout says: the peer may just be slow.
const pinTimeout = time.Second

// closedHere is the cause of an end that this side asked for.
var closedHere = net.ErrClosed

// LoseConnection closes once the output is flushed; see [Transport].
func (c *Conn) LoseConnection() { c.CloseWithError(nil) }

// CloseWithError is LoseConnection with a reason; see [Transport].
func (c *Conn) CloseWithError(err error) {
	c.check()
	if c.flags.has(covered) {
		c.rare.cover.CloseWithError(err)
		return
	}
	c.lose(err)
}

func (c *Conn) lose(err error) {
	if !c.state.in(alive) || c.state.in(discards) {
		return
	}
	if c.why == nil && err != nil {
		c.why = c.reason(Failed, "close", err)
	}
	c.dropInput()
	switch {
	case c.ended != nil && c.ended != io.EOF:
		c.die(Lost, "read", c.ended) // it was to come after the bytes that are dropped now
		return
	case c.state == failing, c.state == shut && (c.ended != nil || c.flags.has(unawaited)):
		c.die(Done, "close", closedHere)
		return
	case c.state == shut:
		c.enter(lingering)
	default:
		c.enter(losing)
		c.l.AtTurnEnd(&c.flush)
	}
	if c.ended == nil {
		c.l.Resume(&c.recv)
	}
}

// LoseWriteConnection ends the writing side once the output is flushed; see
// [Transport].
func (c *Conn) LoseWriteConnection() {
	c.check()
	if c.flags.has(covered) {
		c.rare.cover.LoseWriteConnection()
		return
	}
	c.loseWrite()
}

func (c *Conn) loseWrite() {
	if c.state.in(writable) {
		c.enter(shutting)
		c.l.AtTurnEnd(&c.flush)
	}
}

// AbortConnection ends the connection by a reset; see [Transport].
func (c *Conn) AbortConnection() {
	c.check()
	if c.flags.has(covered) {
		c.rare.cover.AbortConnection()
		return
	}
	c.abort()
}

func (c *Conn) abort() { c.die(Aborted, "abort", closedHere) }

// Detach gives the connection away; see [Transport].
func (c *Conn) Detach(done func(h proactor.Handle, unread []byte, err error)) error {
	c.check()
	if c.flags.has(covered) {
		return c.rare.cover.Detach(done)
	}
	return c.detach(done)
}

func (c *Conn) detach(done func(h proactor.Handle, unread []byte, err error)) error {
	if !c.state.in(writable) || c.ended != nil && c.ended != io.EOF {
		return ErrNotWritable
	}
	c.seldom().taker = done
	c.enter(detaching)
	c.l.Cancel(&c.recv)
	c.l.AtTurnEnd(&c.flush)
	return nil
}

// flushed acts on an output queue that is empty.
func (c *Conn) flushed() {
	if c.state != shutting && c.state != losing {
		return
	}
	// An error means that the connection is broken, or was shut by the peer's
	// end: the Recv tells, or has told.
	_ = c.l.Sockets().Shutdown(c.recv.Handle)
	switch {
	case c.state == losing && c.ended == nil && !c.flags.has(unawaited):
		c.enter(lingering)
	case c.state == losing:
		c.die(Done, "close", closedHere)
	default:
		c.enter(shut)
		if c.flags.has(halfCloser) {
			c.call(writeConnectionLost, nil)
		}
		if c.state == shut && c.flags.has(peerDone) {
			c.die(Done, "read", io.EOF)
		}
	}
}

// expired ends a connection whose patience has ended.
func (c *Conn) expired() {
	switch c.state {
	case lingering: // the output was sent; that the peer did not end is its affair
		c.die(Done, "close", closedHere)
	case losing, detaching:
		c.die(TimedOut, "close", os.ErrDeadlineExceeded)
	case open:
		c.die(TimedOut, "idle", os.ErrDeadlineExceeded)
	default:
		c.die(TimedOut, "half-closed", os.ErrDeadlineExceeded)
	}
}

func (c *Conn) reason(k Kind, op string, err error) *ConnError {
	return &ConnError{Op: op, Addr: c.remote, Kind: k, Err: err}
}

// die decides the end. The first reason counts, but that of an orderly close
// gives way to what prevented it, and a panic wins always. ConnectionLost
// comes when the operations have ended, never inside die.
func (c *Conn) die(k Kind, op string, err error) {
	if c.state == made || c.state == dead {
		return
	}
	if c.why == nil || k == Panicked || c.why.Kind == Done && k != Done {
		c.why = c.reason(k, op, err)
	}
	if c.state == dying {
		return
	}
	c.state = dying
	c.flags |= later
	c.timer.Stop()
	c.dropInput()
	c.l.Cancel(&c.recv)
	c.l.Cancel(&c.send)
	if c.pins > 0 {
		// The kernel keeps zero-copy memory until the peer has acknowledged
		// it, and a descriptor cannot be closed before. This bounds that (tcp(7),
		// TCP_USER_TIMEOUT).
		limit := pinTimeout
		if t := c.o.closeTimeout(); k == Done && t > 0 {
			limit = t
		}
		_ = c.l.Sockets().SetOptions(c.recv.Handle, &proactor.SocketOptions{UserTimeout: limit})
	}
	c.l.AtTurnEnd(&c.flush)
}

// settle finishes a connection on which nothing is active any more.
func (c *Conn) settle() {
	if c.flags.has(later) || c.recv.Active() || c.send.Active() {
		return
	}
	if c.pins > 0 {
		if c.state == dying && c.forsaken(c.out.n > 0) {
			_ = c.l.Sockets().Reset(c.recv.Handle) // no peer is waited for
		}
		return
	}
	switch {
	case c.state == dying:
		c.finish()
	case c.state == detaching && c.out.n == 0:
		c.handOver()
	}
}

// leave takes the connection off its loop, and returns whether output is lost
// by that.
func (c *Conn) leave() (unsent bool) {
	unsent = c.out.n > 0
	c.state = dead
	c.timer.Stop()
	c.l.Leave(&c.member)
	c.dropInput()
	c.dropOutput()
	return unsent
}

// finish is the end: the only place where the descriptor is closed, and with
// handOver the only one where ConnectionLost is called. A peer that does not
// get all of the output is told so by a reset.
func (c *Conn) finish() {
	unsent := c.leave()
	sockets := c.l.Sockets()
	if c.forsaken(unsent) {
		_ = sockets.Reset(c.recv.Handle)
	}
	_ = sockets.CloseFD(c.recv.Handle)
	c.call(connectionLost, nil)
	c.handTo(0, nil, c.why)
}

// forsaken reports whether the peer is to be told of the end by a reset.
func (c *Conn) forsaken(unsent bool) bool {
	return unsent || c.why.Kind == Aborted || c.why.Kind == Panicked
}

// handOver ends the connection here, and gives it to whom Detach named.
func (c *Conn) handOver() {
	unread := make([]byte, 0, c.in.n)
	for s := c.in.head; s != nil; s = s.next {
		unread = append(unread, s.bytes...)
	}
	c.leave()
	c.why = c.reason(Detached, "detach", closedHere)
	c.call(connectionLost, nil)
	c.handTo(c.recv.Handle, unread, nil)
}

func (c *Conn) handTo(h proactor.Handle, unread []byte, err error) {
	if c.rare == nil || c.rare.taker == nil {
		return
	}
	defer c.returned()
	taker := c.rare.taker
	c.rare.taker = nil
	taker(h, unread, err)
}

package compat

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"

	"mobius"
	"mobius/transport"
)

// A conn is a stream as its handler sees it, and the protocol of its
// transport.
type conn struct {
	inbound
	t     transport.Transport
	e     *engine
	state connState
	eof   bool // the peer has finished
	rst   bool // SetLinger(0)
	shut  bool // CloseWrite

	cause  error        // what OnClose is told, if not what the transport says
	ctx    any          // what SetContext was given
	dialed *dialing     // of a client's, until OnOpen was called
	rare   *rare        // nil for most
	safe   atomic.Value // of box

	local, remote net.Addr // made when asked for
	next, prev    *conn    // of the same loop
}

// A connState is where a conn is in its life.
//
//	made ──ConnectionMade──▶ open ──Close, the engine's end──▶ closing
//	open, closing ──ConnectionLost──▶ closed
type connState uint8

const (
	made connState = iota
	open
	closing
	closed
)

// box makes any two contexts of one type for atomic.Value.
type box struct{ v any }

// ConnectionMade is the transport's.
func (c *conn) ConnectionMade(t mobius.Transport) {
	c.t = t
	c.el = c.e.loopOf(t.Loop())
	if c.el.draining {
		t.AbortConnection()
		return
	}
	c.state = open
	c.el.add(c)
	out, action := c.e.handler.OnOpen(c)
	if len(out) > 0 {
		_, err := c.Write(out)
		c.fail(err)
	}
	c.act(action)
	if c.dialed != nil {
		c.dialed.done(c, nil)
		c.dialed = nil
	}
}

// DataReceived is the transport's.
func (c *conn) DataReceived(p []byte) {
	c.el.whole = p
	for most := c.e.piece; most > 0 && len(p) > most && c.state == open; {
		c.traffic(p[:most])
		p = p[most:]
	}
	if c.state == open {
		c.traffic(p)
	}
	c.el.whole = nil
}

// traffic calls the handler with p in addition to what it has left before.
func (c *conn) traffic(p []byte) {
	c.lent = p
	action := c.e.handler.OnTraffic(c)
	c.keep()
	if len(c.kept) > c.e.readLimit {
		c.fail(ErrInboundFull)
	}
	c.act(action)
}

// ReadConnectionLost is the transport's: the peer has finished.
func (c *conn) ReadConnectionLost() {
	c.eof = true
	if c.state != open {
		return
	}
	if c.e.half == nil {
		c.lose()
		return
	}
	c.act(c.e.half.OnHalfClose(c))
}

// WriteConnectionLost is the transport's.
func (c *conn) WriteConnectionLost() {}

// PauseWriting is the transport's.
func (c *conn) PauseWriting() {
	if c.e.pacer != nil {
		c.e.pacer.OnFull(c)
	}
}

// ResumeWriting is the transport's.
func (c *conn) ResumeWriting() {
	if c.e.pacer != nil {
		c.e.pacer.OnDrained(c)
	}
}

// ConnectionLost is the transport's: the end.
func (c *conn) ConnectionLost(err error) {
	if c.dialed != nil { // OnOpen was not called, or has panicked
		c.dialed.done(nil, err)
		c.dialed = nil
	}
	if c.state == made {
		return
	}
	c.lent = nil // what a panic has left there is not ours any more
	reason := c.reason(err)
	c.state = closed
	c.el.remove(c)
	c.failTasks(err)
	defer c.ended()
	action := c.e.handler.OnClose(c, reason)
	if action == Shutdown {
		c.e.shutdown()
	}
}

// ended is the last that happens.
func (c *conn) ended() {
	c.drop()
	c.endRare()
}

// reason returns what OnClose is told.
func (c *conn) reason(err error) error {
	var ce *transport.ConnError
	switch {
	case !errors.As(err, &ce):
		return err
	case ce.Kind == transport.Panicked:
		return err
	case c.cause != nil:
		return c.cause
	case ce.Kind == transport.Done && c.eof:
		return io.EOF
	case ce.Kind == transport.Done, ce.Kind == transport.Aborted, ce.Kind == transport.Stopped:
		return nil
	}
	return err
}

// act does what the handler wants.
func (c *conn) act(a Action) {
	switch a {
	case Close:
		c.lose()
	case Shutdown:
		c.e.shutdown()
	}
}

// lose begins the end.
func (c *conn) lose() {
	if c.state != open {
		return
	}
	c.state = closing
	if c.rst {
		c.t.AbortConnection()
		return
	}
	c.t.LoseConnection()
}

// fail ends the connection with err as the reason, if it is one.
func (c *conn) fail(err error) {
	if err == nil || c.state != open {
		return
	}
	if c.cause == nil {
		c.cause = err
	}
	c.lose()
}

// Unwrap is for transport.As.
func (c *conn) Unwrap() any { return c.e.handler }

// Write queues a copy of p; see [Writer].
func (c *conn) Write(p []byte) (int, error) {
	if c.t == nil {
		return 0, net.ErrClosed
	}
	return c.t.Write(c.el.restore(p))
}

// Writev queues copies of bs; see [Writer].
func (c *conn) Writev(bs [][]byte) (int, error) { return c.t.Writev(bs) }

// ReadFrom writes what r gives; see [Writer].
func (c *conn) ReadFrom(r io.Reader) (n int64, err error) {
	buf := c.el.memory.get(1 << largest)
	defer c.el.memory.put(buf)
	for {
		m, err := r.Read(buf)
		if m > 0 {
			if _, err := c.t.Write(buf[:m]); err != nil {
				return n, err
			}
			n += int64(m)
		}
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

// SendTo is not for streams.
func (c *conn) SendTo([]byte, net.Addr) (int, error) { return 0, ErrUnsupportedOp }

// Flush returns whether something can be written; see [Writer].
func (c *conn) Flush() error {
	_, err := c.t.Write(nil)
	return err
}

// OutboundBuffered returns how many bytes wait to be sent.
func (c *conn) OutboundBuffered() int {
	if q, ok := transport.As[transport.Queuer](c.t); ok {
		return q.Queued()
	}
	return 0
}

// Context returns what SetContext was given.
func (c *conn) Context() any { return c.ctx }

// SetContext keeps ctx.
func (c *conn) SetContext(ctx any) { c.ctx = ctx }

// SafeContext returns what SetSafeContext was given. Any goroutine.
func (c *conn) SafeContext() any {
	b, _ := c.safe.Load().(box)
	return b.v
}

// SetSafeContext keeps ctx. Any goroutine.
func (c *conn) SetSafeContext(ctx any) { c.safe.Store(box{ctx}) }

// EventLoop returns the connection's loop.
func (c *conn) EventLoop() EventLoop { return c.el }

// LocalAddr returns this side's address.
func (c *conn) LocalAddr() net.Addr {
	if c.local == nil {
		c.local = c.t.LocalAddr().NetAddr()
	}
	return c.local
}

// RemoteAddr returns the peer's address.
func (c *conn) RemoteAddr() net.Addr {
	if c.remote == nil {
		c.remote = c.t.RemoteAddr().NetAddr()
	}
	return c.remote
}

// PauseReading stops OnTraffic; see [Pausable].
func (c *conn) PauseReading() { c.t.PauseReading() }

// ResumeReading lets it go on.
func (c *conn) ResumeReading() { c.t.ResumeReading() }

// CloseWrite tells the peer the end of our stream; see [Pausable].
func (c *conn) CloseWrite() {
	c.shut = true
	c.t.LoseWriteConnection()
}

// Abort resets the connection; see [Pausable].
func (c *conn) Abort() {
	if c.state == open {
		c.state = closing
	}
	c.t.AbortConnection()
}

// Transport returns the transport; see [Pausable].
func (c *conn) Transport() mobius.Transport { return c.t }

// expired ends the connection at a deadline.
func (c *conn) expired(writing bool) {
	if c.state == closed || writing && c.OutboundBuffered() == 0 {
		return
	}
	if c.cause == nil && c.state == open {
		c.cause = os.ErrDeadlineExceeded
	}
	if writing {
		c.Abort()
		return
	}
	c.lose()
}

var (
	_ Pausable             = (*conn)(nil)
	_ transport.Protocol   = (*conn)(nil)
	_ transport.HalfCloser = (*conn)(nil)
	_ transport.Drainer    = (*conn)(nil)
)

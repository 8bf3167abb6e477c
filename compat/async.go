package compat

import (
	"runtime/debug"
	"time"

	"mobius/loop"
	"mobius/transport"
)

// AsyncWrite writes from any goroutine; see [Writer].
func (c *conn) AsyncWrite(buf []byte, callback AsyncCallback) error {
	if callback == nil {
		t := c.task(taskCopy, nil)
		t.own = append(t.own[:0], buf...)
		return t.post(false)
	}
	t := c.task(taskWrite, callback)
	t.buf = buf
	return t.post(false)
}

// AsyncWritev writes from any goroutine; see [Writer].
func (c *conn) AsyncWritev(bs [][]byte, callback AsyncCallback) error {
	if callback == nil {
		t := c.task(taskCopy, nil)
		for _, b := range bs {
			t.own = append(t.own, b...)
		}
		return t.post(false)
	}
	t := c.task(taskWrite, callback)
	t.bufs = bs
	return t.post(false)
}

// Wake has OnTraffic called soon; see [Conn]. Any goroutine.
func (c *conn) Wake(callback AsyncCallback) error { return c.task(taskWake, callback).post(false) }

// Close closes; see [Conn]. Any goroutine. A connection whose loop has ended is
// closed.
func (c *conn) Close() error { return c.CloseWithCallback(nil) }

// CloseWithCallback closes; see [Conn]. Any goroutine.
func (c *conn) CloseWithCallback(callback AsyncCallback) error {
	return c.task(taskClose, callback).post(true)
}

// SetDeadline sets both deadlines; see [Conn]. Any goroutine.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(t, true, true) }

// SetReadDeadline sets that for the input; see [Conn]. Any goroutine.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(t, true, false) }

// SetWriteDeadline sets that for the output; see [Conn]. Any goroutine.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, false, true) }

func (c *conn) setDeadline(t time.Time, reading, writing bool) error {
	return c.el.l.Insist(func() {
		if c.state == closed {
			return
		}
		for i, set := range []bool{reading, writing} {
			timer := &c.seldom().deadlines[i]
			switch {
			case set && t.IsZero():
				timer.Stop()
			case set:
				c.el.l.Start(timer, time.Until(t))
			}
		}
	})
}

// panicked reports a panic of the handler's outside the transport's calls, and
// ends the connection by it.
func (c *conn) panicked(v any) {
	c.el.l.Report(loop.Trouble{Kind: loop.Panicked, Who: transport.LogPrefix(c.e.handler), Value: v, Stack: debug.Stack()})
	if c.cause == nil {
		c.cause = &loop.PanicError{Value: v}
	}
	c.lent = nil
	if c.state != closed {
		c.Abort()
	}
}

package flow

import (
	"errors"
	"fmt"

	"mobius/transport"
)

// ErrCannotPipe answers a [Pipe] with a transport that is no
// [transport.Upgrader].
var ErrCannotPipe = errors.New("flow: the transport is no transport.Upgrader, so nothing can take its input")

// Pipe joins two connections of one loop: what one receives is written to the
// other, from here on and until both have ended. Each is the other's producer,
// so that no more than a connection's HighWater and one received piece waits
// for a slow reader. The end of one direction is passed on as the end of that
// direction; the loss of one connection ends the other in the same way, by a
// close or by a reset.
//
// The protocols that the connections had get no more data: only their
// ConnectionLost, and ResumeWriting if they were told PauseWriting. Neither do
// wrappers around them: a policies.Throttle, for example, sees no more of what comes,
// and does not hold it back any longer. Whoever has either transport may write and close,
// but neither pause nor resume reading. Output that was queued is sent before what
// comes through the pipe, and input that was not delivered yet goes through it.
//
// The error is [ErrCannotPipe], and nothing has changed; or
// [transport.ErrNotWritable] if not all four directions are open: then both
// connections are closed. It is for the goroutine of the loop.
func Pipe(a, b transport.Transport) error {
	ua, okA := transport.As[transport.Upgrader](a)
	ub, okB := transport.As[transport.Upgrader](b)
	if !okA || !okB {
		return ErrCannotPipe
	}
	if a.Loop() != b.Loop() {
		return fmt.Errorf("flow: a pipe's connections live on two loops, %q and %q", a.Loop().Name(), b.Loop().Name())
	}
	ea, eb := &end{}, &end{}
	err := ea.cover(ua)
	if err == nil {
		err = eb.cover(ub)
	}
	if err != nil {
		a.CloseWithError(err)
		b.CloseWithError(err)
		return err
	}
	join(ea, eb)
	return nil
}

// An end is one connection of a pipe: its protocol.
type end struct {
	Consumer
	other *end
	above transport.Protocol // that the connection had before
	made  func()             // a forwarder's, as lost
	lost  func(err error)
	over  bool // after ConnectionLost

	fullAbove bool // above was told PauseWriting
}

// A layer is what users of a transport reach when an end has taken it: they may
// still write and close. The input is the pipe's: a wrapper whose pause is over
// must not have it flow on when the other end is full.
type layer struct{ transport.Transport }

// PauseReading does nothing.
func (y *layer) PauseReading() {}

// ResumeReading does nothing.
func (y *layer) ResumeReading() {}

// Unwrap returns the connection below, for [transport.As].
func (y *layer) Unwrap() any { return y.Transport }

// cover puts the end on a connection.
func (e *end) cover(u transport.Upgrader) error {
	y := &layer{}
	up, err := u.Upgrade(y, e)
	if err != nil {
		return err
	}
	y.Transport = up.Below
	e.above = up.Above
	e.Attach(up.Below)
	e.full, e.fullAbove = up.Full, up.Full
	return nil
}

// join makes each end the producer of the other. Neither has one yet.
func join(a, b *end) {
	a.other, b.other = b, a
	_ = a.RegisterProducer(Source{b.t})
	_ = b.RegisterProducer(Source{a.t})
}

// ConnectionMade hands over the transport, of an end that is no layer.
func (e *end) ConnectionMade(t transport.Transport) {
	e.Attach(t)
	if e.made != nil {
		e.made()
	}
}

// DataReceived writes to the other end. That may be closed already, by its user;
// its loss then comes here, too.
func (e *end) DataReceived(p []byte) {
	if e.other == nil {
		return // an error of Pipe: this connection is being closed
	}
	if _, err := e.other.t.Write(p); errors.Is(err, transport.ErrFull) {
		e.t.CloseWithError(err)
		e.other.t.AbortConnection() // so that the peer does not take what it has for all
	}
}

// ReadConnectionLost passes the end of the peer's stream on.
func (e *end) ReadConnectionLost() {
	if e.other != nil {
		e.other.t.LoseWriteConnection()
	}
}

// WriteConnectionLost is where a LoseWriteConnection arrives that was asked for.
func (e *end) WriteConnectionLost() {}

// ResumeWriting lets the other end's input go on. A protocol that was told
// PauseWriting before this end came is told, too.
func (e *end) ResumeWriting() {
	e.Consumer.ResumeWriting()
	if d, ok := transport.As[transport.Drainer](e.above); ok && e.fullAbove {
		e.fullAbove = false
		d.ResumeWriting()
	}
}

// ConnectionLost ends the other connection: after an orderly end by a close,
// else by a reset, so that its peer does not take a part for the whole.
func (e *end) ConnectionLost(err error) {
	e.over = true
	if e.other != nil && !e.other.over && !orderly(err) {
		e.other.t.AbortConnection()
	}
	e.Consumer.ConnectionLost(err)
	if e.lost != nil {
		e.lost(err)
	}
	if e.above != nil {
		e.above.ConnectionLost(err)
	}
}

func orderly(err error) bool {
	var c *transport.ConnError
	return errors.As(err, &c) && c.Kind == transport.Done
}

var _ transport.HalfCloser = (*end)(nil)

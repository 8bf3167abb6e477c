package flow

import (
	"fmt"
	"os"
	"time"

	"mobius/loop"
	"mobius/transport"
)

// DefaultCloseTimeout is how long [Consumer.LoseConnection] waits for a
// producer that makes no progress.
const DefaultCloseTimeout = 30 * time.Second

// A Consumer is the output of a connection, for one producer at a time.
// (Twisted: IConsumer, which transports have there.) Embed it in a Protocol,
// call Attach in ConnectionMade, and ConnectionLost in the protocol's own if it
// has one. It makes the protocol a [transport.Drainer].
//
// All methods are for the goroutine of the connection's loop, and may be called
// inside any of the producer's.
type Consumer struct {
	// CloseTimeout bounds LoseConnection's wait for the producer, counted from
	// its latest sign of life: a Write, or the output's growing long or short.
	// Default [DefaultCloseTimeout]; negative: none.
	CloseTimeout time.Duration

	t     transport.Transport
	push  PushProducer
	pull  PullProducer
	state state
	full  bool // the transport has said PauseWriting last
	wrote bool // a Write has come since the pull producer was asked
	timer loop.Timer
	flush loop.Flush
}

// A state is where a Consumer is in its life.
//
//	detached ──Attach──▶ attached ──LoseConnection──▶ waiting ──unregistered, deadline──▶ closing
//	                     attached ──LoseConnection without a producer──▶ closing
//	attached, waiting, closing ──ConnectionLost──▶ lost
type state uint8

const (
	detached state = iota
	attached
	waiting // for the producer to unregister
	closing // the transport was told to close
	lost
)

// Attach makes the consumer t's output. It is called once, in ConnectionMade.
func (c *Consumer) Attach(t transport.Transport) {
	c.t = t
	c.state = attached
	e := (*events)(c)
	c.timer.Owner, c.flush.Owner = e, e
}

// Transport returns what Attach was given.
func (c *Consumer) Transport() transport.Transport { return c.t }

// RegisterProducer makes p the producer, and pauses it at once if the output
// is long already. On a connection that is being closed or is lost it stops p
// instead; that is no error. The error is [ErrRegistered].
func (c *Consumer) RegisterProducer(p PushProducer) error {
	taken, err := c.register(p)
	if !taken {
		return err
	}
	c.push = p
	if c.full {
		p.PauseProducing()
	}
	return nil
}

// RegisterPull makes p the producer, and asks it for its first piece. On a
// connection that is being closed or is lost it stops p instead; that is no
// error. The error is [ErrRegistered].
func (c *Consumer) RegisterPull(p PullProducer) error {
	taken, err := c.register(p)
	if !taken {
		return err
	}
	c.pull = p
	c.ask()
	return nil
}

func (c *Consumer) register(p Producer) (taken bool, err error) {
	switch {
	case c.Registered():
		return false, ErrRegistered
	case c.state != attached:
		p.StopProducing()
		return false, nil
	}
	return true, nil
}

// Registered reports whether there is a producer.
func (c *Consumer) Registered() bool { return c.push != nil || c.pull != nil }

// UnregisterProducer ends the production: the producer calls it when it has
// written its last. A LoseConnection that waits for it goes on. Without a
// producer it does nothing.
func (c *Consumer) UnregisterProducer() {
	c.push, c.pull, c.wrote = nil, nil, false
	if c.state == waiting {
		c.timer.Stop()
		c.state = closing
		c.t.LoseConnection()
	}
}

// Write writes p to the transport; see [transport.Transport].
func (c *Consumer) Write(p []byte) (int, error) {
	if c.t == nil {
		return 0, transport.ErrNotWritable
	}
	n, err := c.t.Write(p)
	if n > 0 {
		c.wrote = true
		c.alive()
		c.again()
	}
	return n, err
}

// LoseConnection closes the connection after everything written was sent, and
// after the producer has unregistered. If that takes longer than CloseTimeout,
// the producer is stopped and the connection closed with an error for which
// errors.Is(err, os.ErrDeadlineExceeded) holds. The transport's own
// LoseConnection waits for no producer, and neither does a loop that stops.
func (c *Consumer) LoseConnection() {
	switch {
	case c.state != attached:
	case c.Registered():
		c.state = waiting
		if d := c.closeTimeout(); d > 0 {
			c.t.Loop().Start(&c.timer, d)
		}
	default:
		c.state = closing
		c.t.LoseConnection()
	}
}

// StopConsuming drops the producer without a word to it, and closes the
// connection. (Twisted: IConsumer has it in FileDescriptor.stopConsuming.)
func (c *Consumer) StopConsuming() {
	c.UnregisterProducer()
	c.LoseConnection()
}

// PauseWriting is the transport's; see [transport.Drainer].
func (c *Consumer) PauseWriting() {
	c.full = true
	c.alive()
	if c.push != nil {
		c.push.PauseProducing()
	}
}

// ResumeWriting is the transport's; see [transport.Drainer].
func (c *Consumer) ResumeWriting() {
	c.full = false // first: the producer may fill the output again
	c.alive()
	if c.push != nil {
		c.push.ResumeProducing()
	}
	c.again()
}

// ConnectionLost stops the producer, if there is one. It is the connection's
// end as a Protocol gets it.
func (c *Consumer) ConnectionLost(error) {
	c.state = lost
	c.timer.Stop()
	c.stop()
}

func (c *Consumer) stop() {
	var p Producer
	switch {
	case c.push != nil:
		p = c.push
	case c.pull != nil:
		p = c.pull
	}
	c.push, c.pull, c.wrote = nil, nil, false
	if p != nil {
		p.StopProducing()
	}
}

// again has the pull producer asked in a later turn, if it may be.
func (c *Consumer) again() {
	if c.pull != nil && c.wrote && !c.full {
		c.t.Loop().AtTurnEnd(&c.flush)
	}
}

func (c *Consumer) ask() {
	if c.pull != nil && !c.full {
		c.wrote = false
		c.pull.ResumeProducing()
	}
}

// alive puts off the deadline of LoseConnection.
func (c *Consumer) alive() { c.timer.Reset(c.closeTimeout()) }

func (c *Consumer) closeTimeout() time.Duration {
	if c.CloseTimeout == 0 {
		return DefaultCloseTimeout
	}
	return c.CloseTimeout
}

// outside calls f where no callback of the protocol's runs: a panic there ends
// the connection, too.
func (c *Consumer) outside(f func(*Consumer)) {
	returned := false
	defer func() {
		if !returned {
			c.t.AbortConnection()
		}
	}()
	f(c)
	returned = true
}

// events is a Consumer as its loop sees it.
type events Consumer

// Flush asks the pull producer again.
func (e *events) Flush() {
	c := (*Consumer)(e)
	if c.wrote && c.state != lost {
		c.outside((*Consumer).ask)
	}
}

// Expire is the deadline of LoseConnection.
func (e *events) Expire(*loop.Timer) {
	c := (*Consumer)(e)
	c.state = closing
	c.t.CloseWithError(fmt.Errorf("flow: the producer is still registered %v after its last sign of life: %w",
		c.closeTimeout(), os.ErrDeadlineExceeded))
	c.outside((*Consumer).stop)
}

var _ transport.Drainer = (*Consumer)(nil)

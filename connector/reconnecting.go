package connector

import (
	"math/rand/v2"
	"time"

	"mobius/proactor"
	"mobius/transport"
)

// Reconnecting is a ClientFactory whose connector connects again after each
// failure and each loss, and waits longer each time: Twisted's
// ReconnectingClientFactory. Set Factory, and what else is not to be the
// default, before it is used.
//
// The n-th wait in a row is Initial × Factor^(n-1), or Max if that is less, made
// up to Jitter longer or shorter at random, and Max at most. The protocol calls ResetDelay when it is
// satisfied with a connection: having one is not enough, or a server that
// accepts and closes would be called without end.
//
// A Reconnecting is for one connector at a time, and for its loop's goroutine.
type Reconnecting struct {
	// Factory builds the protocols. If it is a ClientFactory it is told of the
	// attempts too; it may then call Connect to try again at once.
	Factory Factory

	Initial    time.Duration // first wait; default 1 s
	Max        time.Duration // longest wait; default 1 minute
	Factor     float64       // default 2
	Jitter     float64       // part of a wait, up to 1; default 0.2; negative: none
	MaxRetries int           // retries in a row; default 0: no limit

	// Rand returns a random number from 0 up to 1, as math/rand/v2's Float64
	// does. Default: a generator seeded with the loop's time at the first use.
	Rand func() float64

	c       *Connector
	retries int
	over    bool
}

// BuildProtocol is the Factory's.
func (r *Reconnecting) BuildProtocol(peer proactor.Address) transport.Protocol {
	return r.Factory.BuildProtocol(peer)
}

// Unwrap returns the Factory, for [transport.As].
func (r *Reconnecting) Unwrap() any { return r.Factory }

// StartedConnecting implements [ClientFactory].
func (r *Reconnecting) StartedConnecting(c *Connector) {
	r.c = c
	if f, ok := r.Factory.(ClientFactory); ok {
		f.StartedConnecting(c)
	}
}

// ConnectionFailed implements [ClientFactory].
func (r *Reconnecting) ConnectionFailed(c *Connector, err error) {
	defer r.retry(c) // whatever the Factory does
	if f, ok := r.Factory.(ClientFactory); ok {
		f.ConnectionFailed(c, err)
	}
}

// ConnectionLost implements [ClientFactory].
func (r *Reconnecting) ConnectionLost(c *Connector, err error) {
	defer r.retry(c)
	if f, ok := r.Factory.(ClientFactory); ok {
		f.ConnectionLost(c, err)
	}
}

func (r *Reconnecting) retry(c *Connector) {
	if r.over {
		c.again = false // the Factory's own Connect, after StopTrying
		return
	}
	if r.MaxRetries > 0 && r.retries >= r.MaxRetries {
		return
	}
	if c.ConnectAfter(r.wait(c)) == nil { // else the Factory has connected, or the loop ends
		r.retries++
	}
}

// wait returns the wait before the next attempt.
func (r *Reconnecting) wait(c *Connector) time.Duration {
	b := Backoff{Initial: r.Initial, Max: r.Max, Factor: r.Factor, Jitter: r.Jitter}
	if r.Rand == nil {
		r.Rand = rand.New(rand.NewPCG(uint64(c.l.Now()), c.attempt)).Float64
	}
	return b.Wait(r.retries+1, r.Rand)
}

// Retries returns how many retries in a row there have been since the start or
// the last ResetDelay.
func (r *Reconnecting) Retries() int { return r.retries }

// ResetDelay makes the next wait the first one again, and the count of retries 0.
func (r *Reconnecting) ResetDelay() { r.retries = 0 }

// StopTrying ends all trying, for good: the attempt under way fails with
// [ErrUserStopped], a wait ends, and a connection, if there is one, is the
// last.
func (r *Reconnecting) StopTrying() {
	r.over = true
	if r.c != nil {
		_ = r.c.StopConnecting() // ErrNotConnecting: there is nothing to end
	}
}

package connector

import (
	"fmt"
	"os"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// The defaults of Options.
const (
	DefaultConnectTimeout = 30 * time.Second
	DefaultAttemptDelay   = 250 * time.Millisecond // RFC 8305, section 8
)

// Options configure a [Connector]. The zero value is the default of every field.
type Options struct {
	// ConnectTimeout bounds one attempt, the lookup of the name and all of its
	// addresses included. Default 30 s; negative: only the kernel's own.
	ConnectTimeout time.Duration

	// AttemptDelay is how long one address of a host name is tried alone,
	// before the next is tried beside it (RFC 8305, section 5). An address that
	// fails makes room for the next at once. Default 250 ms; less than 10 ms
	// counts as 10 ms; negative: each address waits for the failure of the one
	// before it.
	AttemptDelay time.Duration

	// Local is the address to connect from; default: the kernel's choice.
	// Addresses of a host name that are of another family are passed over.
	Local proactor.Address

	// Resolver looks names up; default [SystemResolver].
	Resolver Resolver

	// Socket is what the sockets get; its Local is ignored. May be nil.
	Socket *proactor.SocketOptions

	// Transport is what the connections get. May be nil.
	Transport *transport.Options
}

// A Connector makes one connection at a time, as often as Connect is called:
// Twisted's IConnector. It lives on one loop, and all its methods are for that
// loop's goroutine, or for any before the loop's first turn.
//
// Its factory's and its protocol's callbacks come in this order, for each
// attempt: StartedConnecting, BuildProtocol, ConnectionMade, …, the protocol's
// ConnectionLost, the factory's; or StartedConnecting, ConnectionFailed. In
// any callback any method may be called; a Connect in the last two, or in the
// protocol's ConnectionLost, begins the next attempt right after them.
type Connector struct {
	race   race // to the addresses
	l      *loop.Loop
	f      ClientFactory
	dest   Destination
	o      Options
	timer  loop.Timer // of the attempt, or until the next one
	flush  loop.Flush
	member loop.Member

	phase   phase
	started bool          // the factory counts this session
	again   bool          // Connect or ConnectAfter was called while telling, or failed
	wait    time.Duration // of that ConnectAfter; 0 for Connect

	attempt  uint64           // number of the attempt, to know late answers by
	cancel   func()           // of the lookup under way
	target   proactor.Address // tried last, or connected to
	err      *transport.ConnError
	conn     *transport.Conn
	protocol transport.Protocol
}

// Connect makes a connector on l and begins its first attempt: it calls the
// factory's DoStart, if it is a [Starter], and StartedConnecting. On a loop that
// is stopping the attempt fails.
func Connect(l *loop.Loop, to Destination, f ClientFactory, o Options) *Connector {
	c := New(l, to, f, o)
	c.begin(0)
	return c
}

// New makes a connector that has not begun to connect.
func New(l *loop.Loop, to Destination, f ClientFactory, o Options) *Connector {
	if o.ConnectTimeout == 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.AttemptDelay == 0 {
		o.AttemptDelay = DefaultAttemptDelay
	}
	if o.Resolver == nil {
		o.Resolver = SystemResolver{}
	}
	c := &Connector{l: l, f: f, dest: to, o: o}
	e := (*events)(c)
	c.race.init(c)
	c.timer.Owner, c.flush.Owner, c.member.Owner = e, e, e
	return c
}

// Loop returns the loop that the connector and its connections live on.
func (c *Connector) Loop() *loop.Loop { return c.l }

// Destination returns where the connector goes, as it was given.
func (c *Connector) Destination() Destination { return c.dest }

// Factory returns the factory, as it was given.
func (c *Connector) Factory() ClientFactory { return c.f }

// State returns where the connector is.
func (c *Connector) State() State { return states[c.phase] }

// Transport returns the connection of a connector that is [Connected], else nil.
func (c *Connector) Transport() transport.Transport {
	if c.phase != connected {
		return nil
	}
	return c.conn
}

// String returns destination and state.
func (c *Connector) String() string {
	return fmt.Sprintf("connector to %v, %v", c.dest, c.State())
}

// Connect begins an attempt, or sees to it that one begins once the callbacks
// under way have returned. It returns [ErrNotIdle] if an attempt or a
// connection is under way, and loop.ErrStopped if the loop is stopping.
func (c *Connector) Connect() error { return c.next(0) }

// ConnectAfter begins an attempt once d has passed; until then StopConnecting
// takes it back. The factory stays started meanwhile. It returns what Connect
// does, and loop.ErrStopped also if the loop has only been asked to stop.
func (c *Connector) ConnectAfter(d time.Duration) error {
	if c.l.Ending() {
		return loop.ErrStopped
	}
	return c.next(max(d, 1))
}

func (c *Connector) next(wait time.Duration) error {
	switch {
	case c.l.Err() != nil:
		return loop.ErrStopped
	case (c.phase == telling || c.phase == failed) && !c.again:
		c.again, c.wait = true, wait
		return nil
	case c.phase == idle, c.phase == waiting && wait == 0:
		c.begin(wait)
		return nil
	}
	return ErrNotIdle
}

// StopConnecting ends the attempt under way, which then fails with
// [ErrUserStopped] in this turn, not inside StopConnecting; or takes back a
// Connect or ConnectAfter that has not begun. It returns [ErrNotConnecting] if
// there is no such thing.
func (c *Connector) StopConnecting() error {
	switch c.phase {
	case waiting:
		c.stopWaiting()
	case resolving, dialing, building:
		c.fail(&transport.ConnError{Op: "connect", Addr: c.target, Kind: transport.Aborted, Err: ErrUserStopped})
	default:
		if !c.again {
			return ErrNotConnecting
		}
		c.again = false
	}
	return nil
}

// Disconnect ends whatever is under way: the connection, by LoseConnection, or
// else what StopConnecting ends. Idle, it does nothing. Inside BuildProtocol
// it makes the attempt fail: the connection is closed, and the protocol never
// gets it.
func (c *Connector) Disconnect() {
	if c.phase == connected {
		c.conn.LoseConnection()
		return
	}
	_ = c.StopConnecting() // ErrNotConnecting: there is nothing to end
}

// begin begins an attempt, now or later.
func (c *Connector) begin(wait time.Duration) {
	c.l.Join(&c.member)
	c.again = false
	if !c.started {
		c.started = true
		logUse(c.l, "a connector starts", &c.dest, c.f)
		c.guard(func() { doStart(c.f) })
	}
	if wait > 0 {
		c.phase = waiting
		c.l.Start(&c.timer, wait)
		return
	}
	c.phase = resolving
	c.attempt++
	c.err, c.target, c.race.failures = nil, c.dest.address, nil
	c.timer.Stop()
	if c.o.ConnectTimeout > 0 {
		c.l.Start(&c.timer, c.o.ConnectTimeout)
	}
	v := c.guard(func() { c.f.StartedConnecting(c) })
	switch {
	case c.phase != resolving: // StartedConnecting has stopped it
	case v != nil:
		c.fail(c.panicked(v))
	case c.l.Err() != nil:
		c.end(c.l.Err())
	default:
		c.resolve()
	}
}

// stopWaiting ends a session between two attempts.
func (c *Connector) stopWaiting() {
	c.timer.Stop()
	c.phase = telling // DoStop is a callback too
	c.settle()
}

// settle begins the attempt that was asked for while the end of the last one
// was told, or ends the session.
func (c *Connector) settle() {
	c.conn, c.protocol = nil, nil
	if c.again {
		c.begin(c.wait)
		return
	}
	c.again = false
	if c.started {
		c.started = false
		logUse(c.l, "a connector is done", &c.dest, c.f)
		c.guard(func() { doStop(c.f) })
	}
	c.phase = idle
	if c.again { // a Connect in DoStop
		c.settle()
		return
	}
	c.l.Leave(&c.member)
}

// guard calls a callback; see the function.
func (c *Connector) guard(callback func()) (value any) { return guard(c.l, callback) }

func (c *Connector) panicked(value any) *transport.ConnError {
	return &transport.ConnError{
		Op: "connect", Addr: c.target, Kind: transport.Panicked, Err: &transport.PanicError{Value: value},
	}
}

// events is a Connector as its timers and its loop see it.
type events Connector

// Expire ends the attempt, or the wait for it.
func (e *events) Expire(*loop.Timer) {
	c := (*Connector)(e)
	if c.phase == waiting {
		c.begin(0)
		return
	}
	op, err := "connect", c.race.failures.with(os.ErrDeadlineExceeded)
	if c.phase == resolving {
		op, err = "resolve", fmt.Errorf("%s: %w", c.dest.host, err)
	}
	c.fail(&transport.ConnError{Op: op, Addr: c.target, Kind: transport.TimedOut, Err: err})
}

// Flush tells the factory of an attempt that has failed.
func (e *events) Flush() { (*Connector)(e).tell() }

// Fail ends an attempt with the loop. (A connection is told by itself.)
func (e *events) Fail(err error) { (*Connector)(e).end(err) }

// Finish ends an attempt in a loop's Shutdown.
func (e *events) Finish() { (*Connector)(e).end(loop.ErrStopped) }

// Abandon is the end of an attempt, failed already, whose operation will never
// complete. (A connection does not need it: it is told itself.)
func (e *events) Abandon(error) {
	if c := (*Connector)(e); c.phase == failed {
		c.tell()
	}
}

func (c *Connector) end(err error) {
	c.again = false
	switch c.phase {
	case waiting:
		c.stopWaiting()
	case resolving, dialing, building:
		c.fail(&transport.ConnError{Op: "connect", Addr: c.target, Kind: transport.Stopped, Err: err})
	}
}

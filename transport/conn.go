package transport

import (
	"time"

	"mobius/internal/invariant"
	"mobius/loop"
	"mobius/proactor"
)

// A Conn is one stream connection, TCP or unix: the [Transport] of its
// [Protocol]. While it is idle it has one active Recv and no buffer.
//
// Its operations, timer and list links are embedded, so a connection is this
// one object, and reading and writing allocates nothing.
type Conn struct {
	recv, send proactor.Op

	// What every piece that comes or goes needs: two cache lines, and half of
	// a third.
	l      *loop.Loop
	pool   *pool
	o      *Options
	p      Protocol
	out    queue   // written, not yet taken by the kernel
	in     queue   // received, not yet delivered
	ended  error   // how the Recv ended, once it has
	vec    *vector // of the send under way, if it has many pieces
	flying int     // bytes of the send under way, at the head of out; 0 while there is none
	pins   int32   // zero-copy sends whose memory the kernel has
	state  state
	flags  flags
	flush  loop.Flush

	since  time.Duration // when patience began
	rest   int           // what was left of the send under way when the timer last looked
	why    *ConnError    // the reason to be given to ConnectionLost
	rare   *rare         // nil for nearly all
	timer  loop.Timer
	member loop.Member

	local, remote proactor.Address
}

// rare is what few connections have.
type rare struct {
	taker func(proactor.Handle, []byte, error) // what Detach was given
	cover Transport                            // the layer on it, if covered
	files *files                               // descriptors on their way, if it has ever had any
}

// seldom returns c.rare, which it makes if there is none.
func (c *Conn) seldom() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}

// over returns the layer on c, nil if there is none.
func (c *Conn) over() Transport {
	if !c.flags.has(covered) {
		return nil
	}
	return c.rare.cover
}

// flags are what is independent of the state.
type flags uint16

const (
	paused     flags = 1 << iota // PauseReading
	full                         // PauseWriting was called
	peerDone                     // the peer's end was dealt with
	copied                       // the kernel copied a zero-copy send: no more of them
	evicting                     // a held piece of the send under way was asked back
	later                        // the end comes with the next flush, not before
	halfCloser                   // the protocol is one
	drainer                      // the protocol is one
	covered                      // a layer stands on it; see Upgrade
	unawaited                    // the layer has had the peer's end: no lingering
)

func (f flags) has(x flags) bool { return f&x != 0 }

// NewConn returns a connection on h, a connected stream socket of l's backend.
// The handle stays the caller's until Start. o may be nil.
func NewConn(l *loop.Loop, h proactor.Handle, local, remote proactor.Address, o *Options) *Conn {
	c := &Conn{l: l, pool: poolOf(l), o: o, local: local, remote: remote}
	e := (*events)(c)
	c.recv = proactor.Op{Kind: proactor.OpRecv, Handle: h, Owner: e}
	c.send = proactor.Op{Kind: proactor.OpSend, Handle: h, Owner: e}
	c.timer.Owner, c.flush.Owner, c.member.Owner = e, e, e
	return c
}

// Start makes the connection p's: it calls ConnectionMade and begins to read.
// It is called once.
func (c *Conn) Start(p Protocol) {
	c.check()
	if c.state != made {
		panic("transport: second Start of a connection")
	}
	c.setProtocol(p)
	c.takeFiles()
	c.l.Join(&c.member)
	c.enter(open)
	c.call(connectionMade, nil)
	if c.state.in(alive) && c.state != detaching && c.ended == nil {
		c.l.Resume(&c.recv) // paused or not: the end of an idle connection is noticed
	}
}

// setProtocol makes p the connection's protocol, and notes its abilities.
func (c *Conn) setProtocol(p Protocol) {
	c.p = p
	c.flags &^= halfCloser | drainer
	if _, ok := As[HalfCloser](p); ok {
		c.flags |= halfCloser
	}
	if _, ok := As[Drainer](p); ok {
		c.flags |= drainer
	}
}

// LocalAddr returns this side's address, also after the loss.
func (c *Conn) LocalAddr() proactor.Address { return c.local }

// RemoteAddr returns the peer's address, also after the loss.
func (c *Conn) RemoteAddr() proactor.Address { return c.remote }

// Handle returns the connection's handle, which names nothing after the loss.
func (c *Conn) Handle() proactor.Handle { return c.recv.Handle }

// Loop returns the loop that the connection lives on.
func (c *Conn) Loop() *loop.Loop { return c.l }

// Protocol returns what Start was given, or the latest Upgrade.
func (c *Conn) Protocol() Protocol { return c.p }

func (c *Conn) check() {
	if invariant.Enabled {
		invariant.Assert(c.l.OnGoroutine(), "transport: a connection used on another goroutine than its loop's")
	}
}

// events is a Conn as its operations, its timer and its loop see it, so that
// its users do not.
type events Conn

// Complete takes the results of both operations.
func (e *events) Complete(op *proactor.Op) {
	c := (*Conn)(e)
	if op == &c.recv {
		c.received(op)
	} else {
		c.sent(op)
	}
	c.settle()
}

// Flush runs once at the end of a turn in which something was left to do.
func (e *events) Flush() {
	c := (*Conn)(e)
	c.flags &^= later
	if c.in.n > 0 || c.ended != nil {
		c.deliver()
	}
	if !c.writeWhole() {
		c.transmit()
	}
	c.settle()
}

// Expire is the timer's.
func (e *events) Expire(*loop.Timer) { (*Conn)(e).expire() }

// Evict is asked when too many lent buffers are held.
func (e *events) Evict(h *proactor.Hold) { (*Conn)(e).evict(h) }

// Fail ends the connection with the loop.
func (e *events) Fail(err error) { (*Conn)(e).die(Stopped, "loop", err) }

// Finish lets the connection end in good order, in a loop's Shutdown.
func (e *events) Finish() {
	if c := (*Conn)(e); !c.o.stays() {
		c.LoseConnection()
	}
}

// Abandon is the end of a connection whose operations will never complete.
func (e *events) Abandon(err error) {
	c := (*Conn)(e)
	c.die(Stopped, "loop", err)
	c.finish()
}

var (
	_ Transport     = (*Conn)(nil)
	_ Queuer        = (*Conn)(nil)
	_ Upgrader      = (*Conn)(nil)
	_ TCPTransport  = (*Conn)(nil)
	_ UNIXTransport = (*Conn)(nil)
	_ FileSender    = (*Conn)(nil)
)

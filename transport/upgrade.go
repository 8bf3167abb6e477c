package transport

import (
	"mobius/loop"
	"mobius/proactor"
)

// An Upgrader is a transport on which a layer, TLS for example, can be put at
// any moment of the connection's life: an ability of Transports.
type Upgrader interface {
	// Upgrade puts a layer on the connection. From here on p gets what the
	// connection's protocol got, but for ConnectionMade, which is not called
	// again; and whoever holds the transport reaches over, so that nobody can
	// pass by the layer: a wrapper, a connector and a port close the layer when
	// they close the connection, and what they write goes through it. The
	// layer itself reaches the connection by the result's Below.
	//
	// Output that is queued already is sent before what the layer writes, and
	// input that was not delivered yet is the layer's. A second Upgrade puts a
	// layer on the first. The error is [ErrNotWritable] unless both directions
	// are open; then nothing has changed. Loop goroutine.
	Upgrade(over Transport, p Protocol) (Upgraded, error)
}

// Upgraded is what a layer finds when it is put on a connection. Below has the
// ability [Queuer], [DrainTeller] if it tells PauseWriting, [FlushSooner] if
// it gathers what is written, and [InputEnder] if it waits for the peer's end.
type Upgraded struct {
	Below   Transport // the connection without the layer
	Above   Protocol  // the protocol that it had; the layer tells it what it was told
	Options Options   // of the connection, with the defaults as values

	Paused bool // PauseReading was called. Below reads nevertheless: pausing is the layer's affair now
	Full   bool // Above was told PauseWriting. The layer will be told ResumeWriting
}

// A FlushSooner is a transport that gathers what is written until the end of
// the loop's turn: an ability of Upgraded.Below.
type FlushSooner interface {
	// FlushSoon queues the transport for the end of this turn even though
	// nothing was written yet. A layer whose own end of the turn writes calls
	// it right after its own AtTurnEnd, or its bytes wait for the next turn.
	FlushSoon()
}

// A DrainTeller is a transport that tells a layer when its queue is short,
// though it was never so long that PauseWriting was called: an ability of
// Upgraded.Below. A layer that keeps bytes of its own needs it: it may be full
// with a queue below that is not.
type DrainTeller interface {
	// TellDrained has ResumeWriting called once the queue has fallen to
	// Options.LowWater, as after a PauseWriting, which does not come then. It
	// reports false, and does nothing, if the queue is that short now.
	TellDrained() bool
}

// An InputEnder is a transport that, once LoseConnection has sent everything,
// waits for the peer's end before it closes: an ability of Upgraded.Below.
type InputEnder interface {
	// EndInput says that the peer's stream has ended within the layer, so that
	// nothing it may still send counts: LoseConnection does not wait for it.
	EndInput()
}

// Upgrade puts a layer on the connection; see [Upgrader].
func (c *Conn) Upgrade(over Transport, p Protocol) (Upgraded, error) {
	c.check()
	if c.flags.has(covered) {
		if u, ok := c.rare.cover.(Upgrader); ok {
			return u.Upgrade(over, p)
		}
		return Upgraded{}, ErrNotWritable
	}
	if c.state != open {
		return Upgraded{}, ErrNotWritable
	}
	u := Upgraded{
		Below: (*below)(c), Above: c.p, Options: c.o.Resolved(),
		Paused: c.flags.has(paused), Full: c.flags.has(full),
	}
	c.setProtocol(p)
	c.seldom().cover = over
	c.flags |= covered
	c.resume()
	return u, nil
}

// Unwrap returns the layer that stands on the connection, if any, for [As].
func (c *Conn) Unwrap() any {
	if over := c.over(); over != nil {
		return over
	}
	return nil
}

// below is a Conn as the layer on it sees it.
type below Conn

func (b *below) conn() *Conn { return (*Conn)(b) }

// Write queues a copy of p.
func (b *below) Write(p []byte) (int, error) { return b.conn().write(p) }

// Writev queues copies of bufs.
func (b *below) Writev(bufs [][]byte) (int, error) { return b.conn().writev(bufs) }

// WriteOwned queues buf itself.
func (b *below) WriteOwned(buf []byte, release func()) error {
	return b.conn().writeOwned(buf, release)
}

// LoseConnection closes once the output is flushed.
func (b *below) LoseConnection() { b.conn().lose(nil) }

// LoseWriteConnection ends the writing side once the output is flushed.
func (b *below) LoseWriteConnection() { b.conn().loseWrite() }

// AbortConnection ends the connection by a reset.
func (b *below) AbortConnection() { b.conn().abort() }

// CloseWithError is LoseConnection with a reason.
func (b *below) CloseWithError(err error) { b.conn().lose(err) }

// PauseReading stops DataReceived.
func (b *below) PauseReading() { b.conn().pause() }

// ResumeReading lets DataReceived go on.
func (b *below) ResumeReading() { b.conn().resume() }

// Detach gives the connection away, without the layer.
func (b *below) Detach(done func(h proactor.Handle, unread []byte, err error)) error {
	return b.conn().detach(done)
}

// LocalAddr returns this side's address.
func (b *below) LocalAddr() proactor.Address { return b.local }

// RemoteAddr returns the peer's address.
func (b *below) RemoteAddr() proactor.Address { return b.remote }

// Handle returns the connection's handle.
func (b *below) Handle() proactor.Handle { return b.recv.Handle }

// Loop returns the loop that the connection lives on.
func (b *below) Loop() *loop.Loop { return b.l }

// Queued returns how many bytes wait to be taken by the kernel.
func (b *below) Queued() int { return b.conn().queued() }

// Room returns how many bytes a Write takes now.
func (b *below) Room() int { return b.conn().room() }

// FlushSoon queues the connection for the end of the turn.
func (b *below) FlushSoon() { b.l.AtTurnEnd(&b.flush) }

// TellDrained has ResumeWriting called once the queue is short.
func (b *below) TellDrained() bool {
	if b.out.n <= b.o.lowWater() {
		return false
	}
	b.flags |= full
	return true
}

// EndInput makes LoseConnection close without waiting for the peer.
func (b *below) EndInput() { b.flags |= unawaited }

var (
	_ Transport   = (*below)(nil)
	_ Queuer      = (*below)(nil)
	_ FlushSooner = (*below)(nil)
	_ DrainTeller = (*below)(nil)
	_ InputEnder  = (*below)(nil)
)

package tls

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"runtime/debug"

	"mobius/internal/invariant"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A layer is TLS between a transport and a protocol. Toward the protocol it is
// the transport, behind the [Conn] that users hold; toward the transport it is
// the protocol, as [lower].
type layer struct {
	front Conn
	l     *loop.Loop
	pool  *pool
	below transport.Transport
	queue transport.Queuer // below's
	upper transport.Protocol
	o     *Options
	marks transport.Options // of the transport below

	tc    *tls.Conn
	wire  wire
	hs    *handshake // while it is in progress
	side  Side
	state state
	flags flags

	pending []byte // written, not sealed
	kept    []byte // received, not opened
	why     *transport.ConnError
	taker   func(Handover, proactor.Handle, error) // HandOff's, until the transport below is being given away
	timer   loop.Timer
	flush   loop.Flush
	sealed  uint64 // bytes of plaintext
	looked  uint64 // a measure of progress when the timer last looked
}

// flags are what is independent of the state.
type flags uint16

const (
	halfCloser   flags = 1 << iota // the protocol is one
	drainer                        // the protocol is one
	paused                         // PauseReading
	full                           // the protocol was told PauseWriting
	belowFull                      // the transport below has told PauseWriting
	busy                           // inside crypto/tls: the protocol must not be called
	inside                         // inside DataReceived: what is written is sealed at its end
	choked                         // the transport below is paused until the handshake has read
	eof                            // the transport below has ended its input
	noWrites                       // the end of the output was asked for before the handshake was complete
	ending                         // close_notify is to come after the output …
	endingAll                      // … and then the close of the transport below
	withCallback                   // LoseWriteConnection's end is to be told
	peerDone                       // the peer's close_notify has come
	leaving                        // HandOff was called: what comes is kept
)

func (f flags) has(x flags) bool { return f&x != 0 }

// check panics, where checks are compiled in, on another goroutine than the
// loop's.
func (y *layer) check() {
	if invariant.Enabled {
		invariant.Assert(y.l.OnGoroutine(), "tls: a connection used on another goroutine than its loop's")
	}
}

// returned is deferred around each call of the protocol's that the transport
// below does not guard.
func (y *layer) returned() {
	if v := recover(); v != nil {
		y.panicked(&transport.PanicError{Value: v}, debug.Stack())
	}
}

// panicked makes a panic the reason of the end, whatever it was before.
func (y *layer) panicked(err *transport.PanicError, stack []byte) {
	y.l.Report(loop.Trouble{Kind: loop.Panicked, Value: err.Value, Stack: stack})
	y.why = nil
	y.abort(transport.Panicked, "protocol", err)
}

// A lower is a layer as the transport below sees it: its protocol.
type lower layer

func (w *lower) layer() *layer { return (*layer)(w) }

// ConnectionMade is not called: the layer comes to a connection that is made.
func (w *lower) ConnectionMade(transport.Transport) {}

// DataReceived takes ciphertext.
func (w *lower) DataReceived(p []byte) {
	y := w.layer()
	switch {
	case y.hs != nil:
		y.hs.receive(p)
	case y.delivers():
		y.receive(p)
	}
}

// ReadConnectionLost is the end of the transport's input. Without a
// close_notify before it, it may be an attacker's doing.
func (w *lower) ReadConnectionLost() {
	y := w.layer()
	y.flags |= eof
	switch {
	case y.hs != nil:
		y.hs.ended = true
		y.hs.poke()
	case y.delivers() && !y.flags.has(leaving):
		y.truncated()
	}
}

// WriteConnectionLost says that our close_notify and the transport's end are
// sent.
func (w *lower) WriteConnectionLost() {
	y := w.layer()
	if !y.flags.has(withCallback) || y.state != shut {
		return
	}
	y.flags &^= withCallback
	if y.flags.has(halfCloser) {
		y.tell(writeConnectionLost)
	}
	y.bothEnded()
}

// PauseWriting says that the transport's queue is long.
func (w *lower) PauseWriting() {
	y := w.layer()
	y.flags |= belowFull
	y.pauseUpper()
}

// ResumeWriting says that it is short again.
func (w *lower) ResumeWriting() {
	y := w.layer()
	y.flags &^= belowFull
	y.advance()
	y.resumeUpper()
}

// ConnectionLost is the end. The protocol may panic: the transport below
// guards it.
func (w *lower) ConnectionLost(err error) {
	y := w.layer()
	y.timer.Stop()
	if y.hs != nil {
		y.pool.stats.Failed++
		y.hs.end()
	}
	if y.state != dead {
		y.state = dead
		y.dropOutput()
		y.dropInput()
	}
	if done := y.taker; done != nil {
		y.taker = nil
		done(Handover{}, 0, err)
	}
	upper := y.upper
	y.upper = nil // the transport may be kept for its state, and should not keep the protocol
	upper.ConnectionLost(y.final(err))
}

// Unwrap returns the protocol above, for [transport.As].
func (w *lower) Unwrap() any { return w.upper }

// final returns the reason that the protocol is given: the layer's, if it has
// one, unless that is an orderly close and something prevented it.
func (y *layer) final(err error) error {
	below, ok := err.(*transport.ConnError)
	if y.why == nil || ok && (y.why.Kind == transport.Done && below.Kind != transport.Done || below.Kind == transport.Panicked) {
		return err
	}
	return y.why
}

// reason notes why the connection ends, unless something else was the reason
// before.
func (y *layer) reason(k transport.Kind, op string, err error) {
	if y.why == nil || y.why.Kind == transport.Done && k != transport.Done {
		y.why = &transport.ConnError{Op: op, Addr: y.wire.remote, Kind: k, Err: err}
	}
}

// A lowerEvents is a layer as its timer and its loop see it.
type lowerEvents layer

// Expire is the timer's.
func (e *lowerEvents) Expire(*loop.Timer) { (*layer)(e).expired() }

// Flush runs at the end of a turn in which something was left to do.
func (e *lowerEvents) Flush() {
	y := (*layer)(e)
	y.reread()
	y.advance()
	y.resumeUpper()
}

// truncated is the end of the input without a close_notify.
func (y *layer) truncated() { y.close(transport.Lost, "read", io.ErrUnexpectedEOF) }

// closedHere is the cause of an end that this side asked for.
var closedHere = net.ErrClosed

// expired ends a connection whose patience has ended.
func (y *layer) expired() {
	switch y.state {
	case shaking:
		y.pool.stats.TimedOut++
		y.abort(transport.TimedOut, "handshake", os.ErrDeadlineExceeded)
	case readDone:
		y.lookAgain("half-closed", y.marks.HalfClosedTimeout)
	case shut, closing:
		y.lookAgain("close", y.marks.CloseTimeout)
	}
}

var (
	_ transport.Transport  = (*layer)(nil)
	_ transport.Protocol   = (*lower)(nil)
	_ transport.HalfCloser = (*lower)(nil)
	_ transport.Drainer    = (*lower)(nil)
	_ proactor.Completer   = (*handshake)(nil)
)

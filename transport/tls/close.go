package tls

import (
	"io"
	"os"
	"time"

	"mobius/proactor"
	"mobius/transport"
)

// LoseConnection closes once the output is flushed.
func (y *layer) LoseConnection() { y.CloseWithError(nil) }

// CloseWithError is LoseConnection with a reason.
func (y *layer) CloseWithError(err error) {
	y.check()
	if !y.state.in(alive) || y.flags.has(endingAll|leaving) {
		return
	}
	if err != nil {
		y.reason(transport.Failed, "close", err)
	}
	switch {
	case y.state != shaking:
		y.end()
	case len(y.pending) == 0:
		y.abort(transport.Aborted, "close", closedHere)
	default: // it was written, so it is sent: the handshake goes on, within its deadline
		y.flags |= noWrites | ending | endingAll
	}
}

// LoseWriteConnection ends the writing side by a close_notify once the output
// is flushed.
func (y *layer) LoseWriteConnection() {
	y.check()
	if !y.state.in(writable) || y.flags.has(noWrites) {
		return
	}
	y.flags |= noWrites | ending | withCallback
	if y.state != shaking {
		y.timer.Stop()
		y.state = shut
		y.advance()
	}
}

// AbortConnection ends the connection by a reset.
func (y *layer) AbortConnection() {
	y.check()
	y.abort(transport.Aborted, "abort", closedHere)
}

// Detach is refused.
func (y *layer) Detach(func(h proactor.Handle, unread []byte, err error)) error {
	y.check()
	return ErrDetach
}

// peerEnded acts on the peer's close_notify. (A protocol that is no HalfCloser
// has written its last: what it wrote is sealed before our close_notify.)
//
// What may follow it is to be ignored (RFC 8446, section 6.1), so the transport
// below does not wait for it: a peer that keeps its socket open after its
// close_notify keeps nothing open here.
func (y *layer) peerEnded() {
	y.flags |= peerDone
	if e, ok := y.below.(transport.InputEnder); ok {
		e.EndInput()
	}
	y.dropInput()
	if !y.flags.has(halfCloser) {
		y.close(transport.Done, "read", io.EOF)
		return
	}
	if y.state == open {
		y.state = readDone
		y.arm(y.marks.HalfClosedTimeout)
	}
	y.tell(readConnectionLost)
	y.bothEnded()
}

// bothEnded closes a connection of which both directions have ended by
// themselves.
func (y *layer) bothEnded() {
	if y.state == shut && y.flags.has(peerDone) && !y.flags.has(withCallback) {
		y.close(transport.Done, "read", io.EOF)
	}
}

// close ends the connection for a reason of its own.
func (y *layer) close(k transport.Kind, op string, err error) {
	if y.state == dead {
		return
	}
	y.reason(k, op, err)
	if y.state != closing {
		y.end()
	}
}

// end decides the end: output is flushed, input dropped. Only output for which
// the transport below has no room yet needs a deadline of the layer's.
func (y *layer) end() {
	y.state = closing
	y.flags |= ending | endingAll
	y.dropInput()
	y.arm(y.marks.CloseTimeout)
	y.advance()
}

// abort ends the connection without flushing anything.
func (y *layer) abort(k transport.Kind, op string, err error) {
	if y.state == dead {
		return
	}
	y.reason(k, op, err)
	y.state = closing
	y.flags &^= ending | endingAll
	y.flags |= noWrites
	y.timer.Stop()
	y.dropInput()
	y.dropOutput()
	if y.hs != nil {
		y.pool.stats.Failed++
		y.hs.end()
	}
	y.below.AbortConnection()
}

// advance seals what was written and, once all is, ends the output if that
// was asked for.
func (y *layer) advance() {
	if !y.state.in(seals) || y.flags.has(busy|inside) {
		return
	}
	y.sealPending(true)
	y.pauseUpper()
	if len(y.pending) == 0 && y.taker != nil {
		y.leave()
		return
	}
	if len(y.pending) > 0 || !y.flags.has(ending) {
		if y.state == shut && !y.timer.Active() {
			y.arm(y.marks.CloseTimeout)
		}
		return
	}
	y.flags &^= ending
	y.timer.Stop()
	y.flags |= busy
	_ = y.tc.CloseWrite() // an error means that the output has ended by one already
	y.flags &^= busy
	if y.flags.has(endingAll) {
		y.below.LoseConnection()
	} else {
		y.below.LoseWriteConnection()
	}
}

// lookAgain ends a connection on which nothing has moved since the timer was
// armed.
func (y *layer) lookAgain(op string, patience time.Duration) {
	if y.progress() != y.looked {
		y.arm(patience)
		return
	}
	y.abort(transport.TimedOut, op, os.ErrDeadlineExceeded)
}

func (y *layer) dropInput() {
	if y.flags.has(leaving) {
		return // somebody gets it
	}
	if y.kept != nil && !y.flags.has(inside) { // else its user gives it back
		y.pool.put(y.kept)
		y.kept = nil
	}
}

func (y *layer) dropOutput() {
	if y.pending != nil && !y.flags.has(busy) {
		y.pool.put(y.pending)
		y.pending = nil
	}
}

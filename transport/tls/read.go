package tls

import (
	"crypto/tls"
	"errors"
	"io"

	"mobius/transport"
)

// receive takes ciphertext after the handshake.
func (y *layer) receive(p []byte) {
	y.flags |= inside
	defer y.received()
	for len(y.kept) > 0 && len(p) > 0 && y.reading() {
		p = y.complete(p)
	}
	if len(p) > 0 && y.reading() {
		p = y.feed(p)
	}
	if len(p) > 0 && y.delivers() {
		y.keep(p)
	}
}

// received ends a receive: what the protocol has written in it is sealed now.
func (y *layer) received() {
	y.flags &^= inside
	if !y.delivers() {
		y.dropInput()
	}
	y.advance()
	y.resumeUpper()
}

// reading reports whether the protocol wants what is received.
func (y *layer) reading() bool { return y.delivers() && !y.flags.has(paused|leaving) }

// delivers reports whether input is still awaited.
func (y *layer) delivers() bool { return y.state.in(delivers) && !y.flags.has(peerDone) }

// complete moves bytes of p to those that are kept, the beginning of a record,
// until that is complete, and feeds it. It returns what is left of p.
func (y *layer) complete(p []byte) []byte {
	want := recordLen(y.kept)
	if want == 0 {
		want = headerLen
	}
	if n := min(want-len(y.kept), len(p)); n > 0 {
		y.kept = append(y.kept, p[:n]...)
		p = p[n:]
	}
	if n := recordLen(y.kept); n > 0 && n <= len(y.kept) {
		y.feedKept()
	}
	return p
}

// feedKept feeds what is kept as far as it goes.
func (y *layer) feedKept() {
	rest := y.feed(y.kept)
	y.kept = y.kept[:copy(y.kept, rest)]
	if len(y.kept) == 0 {
		y.pool.put(y.kept)
		y.kept = nil
	}
}

// keep keeps bytes for later: the beginning of a record, or what a pause has
// left over.
func (y *layer) keep(p []byte) {
	if y.kept == nil {
		y.kept = y.pool.get()
	}
	y.kept = append(y.kept, p...)
}

// feed opens the complete records at the beginning of p, as long as the
// protocol wants them, and returns the rest.
func (y *layer) feed(p []byte) []byte {
	buf := y.pool.get() // one for each: layers stand on one another
	for y.reading() {
		n := recordLen(p)
		if n == 0 || n > len(p) {
			break
		}
		y.wire.in, p = p[:n], p[n:]
		y.open(buf[:bufSize])
	}
	y.wire.in = nil
	y.pool.put(buf)
	return p
}

// open opens the record that the wire has, and delivers what is in it.
func (y *layer) open(buf []byte) {
	y.flags |= busy
	n, err := y.tc.Read(buf)
	y.flags &^= busy
	y.pauseUpper()
	if n > 0 {
		y.deliver(buf[:n:n])
	}
	switch {
	case err == nil || err == wait{} || !y.delivers():
	case err == io.EOF:
		y.peerEnded()
	default:
		y.broken("read", err)
	}
}

// deliver calls the protocol.
func (y *layer) deliver(p []byte) {
	defer y.returned()
	y.upper.DataReceived(p)
}

// broken ends a connection on which crypto/tls goes no further; the alert that
// it may have written is flushed.
func (y *layer) broken(op string, err error) {
	y.dropOutput()
	y.close(transport.Lost, op, err)
}

// PauseReading stops DataReceived. During the handshake the transport below
// goes on reading.
func (y *layer) PauseReading() {
	y.check()
	if !y.state.in(alive) || y.state == readDone {
		return
	}
	y.flags |= paused
	if y.delivers() {
		y.below.PauseReading()
	}
}

// ResumeReading lets DataReceived go on, at the end of this turn.
func (y *layer) ResumeReading() {
	y.check()
	if !y.flags.has(paused) {
		return
	}
	y.flags &^= paused
	if y.delivers() {
		y.l.AtTurnEnd(&y.flush)
	}
}

// reread goes on after a pause: first with what is kept, then with what the
// transport below has.
func (y *layer) reread() {
	if !y.reading() || y.hs != nil {
		return
	}
	if n := recordLen(y.kept); n > 0 && n <= len(y.kept) {
		y.flags |= inside
		y.feedKept()
		y.received()
	}
	switch {
	case !y.reading():
	case y.flags.has(eof):
		y.truncated()
	default:
		y.below.ResumeReading()
	}
}

// shaken takes the end of the handshake.
func (y *layer) shaken(h *handshake) {
	if h.err != nil {
		y.unshaken(h.err, h.stack)
		return
	}
	y.timer.Stop()
	y.wire.hs = nil
	y.state = open
	state := y.tc.ConnectionState()
	y.pool.stats.Handshakes++
	if state.DidResume {
		y.pool.stats.Resumed++
	}
	if !y.flags.has(endingAll) {
		y.completed(state)
	}
	if y.state == open && y.flags.has(ending) {
		if y.flags.has(endingAll) {
			y.end()
		} else {
			y.state = shut
		}
	}
	y.advance()
	y.resumeUpper()
	y.settleInput(h)
}

// settleInput goes on with what the handshake has not read.
func (y *layer) settleInput(h *handshake) {
	if y.delivers() && len(h.in)+len(h.more) > 0 {
		y.keep(h.in)
		y.keep(h.more)
	}
	y.flags &^= choked
	if y.flags.has(paused) {
		y.below.PauseReading()
		return
	}
	y.below.ResumeReading()
	y.reread()
}

// completed tells the protocol, if it wants to know.
func (y *layer) completed(state tls.ConnectionState) {
	if l, ok := transport.As[HandshakeListener](y.upper); ok {
		defer y.returned()
		l.HandshakeCompleted(state)
	}
}

// unshaken takes a handshake's failure. What crypto/tls has said to the peer
// about it is flushed.
func (y *layer) unshaken(err error, stack []byte) {
	y.timer.Stop()
	y.pool.stats.Failed++
	y.dropOutput()
	if p, ok := err.(*transport.PanicError); ok {
		y.panicked(p, stack)
		return
	}
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header):
		header.Conn = nil // it is the wire, which is nobody's business
		err = header
		y.pool.stats.NotTLS++
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		y.close(transport.Lost, "handshake", io.ErrUnexpectedEOF)
		return
	}
	y.close(transport.Failed, "handshake", err)
}

// abandon leaves the reason of a handshake's end to the transport below.
func (y *layer) abandon() {
	y.timer.Stop()
	y.pool.stats.Failed++
	y.dropOutput()
	y.state = closing
}

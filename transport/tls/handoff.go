package tls

import (
	"bytes"
	"crypto/tls"
	"net"

	"mobius/proactor"
	"mobius/transport"
)

// A Handover is a TLS connection that is given away: its keys, and what was
// received and not opened.
type Handover struct{ y *layer }

// Over returns the connection on top of under, which goes on where the transport has
// ended: it reads what the transport had received first. It is called once.
// Afterwards nothing here uses the connection any more.
func (h Handover) Over(under net.Conn) *tls.Conn {
	h.y.wire.under = under
	return h.y.tc
}

// HandOff gives the connection away with its keys. What was written before is
// sealed and flushed, the protocol is told ConnectionLost of Kind Detached, and
// then done gets the handle of the transport below, which is the caller's, or why
// there is none. The error is [transport.ErrNotWritable] unless the handshake is
// complete and both directions are open, and [ErrDetach] if another layer stands
// on this one; then done is not called. Loop goroutine.
func (c *Conn) HandOff(done func(keys Handover, h proactor.Handle, err error)) error {
	y := c.y
	y.check()
	switch {
	case c.Transport != transport.Transport(y):
		return ErrDetach
	case y.state != open || y.wire.hs != nil || y.flags.has(noWrites|ending|eof|leaving):
		return transport.ErrNotWritable
	}
	y.flags |= leaving | noWrites
	y.taker = done
	y.advance()
	return nil
}

// leave gives the transport below away, once all that was written is sealed.
func (y *layer) leave() {
	done := y.taker
	y.taker = nil
	err := y.below.Detach(func(h proactor.Handle, unread []byte, err error) {
		y.wire.in = append(bytes.Clone(y.kept), unread...)
		done(Handover{y}, h, err)
	})
	if err != nil {
		done(Handover{}, 0, err)
	}
}

package tls

import (
	"crypto/tls"
	"crypto/x509"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A Conn is the transport of a protocol that speaks over TLS. It keeps the
// promises of [transport.Transport], with these additions:
//
//   - What is written before the handshake is complete is sent after it.
//   - The stream ends by a close_notify (RFC 8446, section 6.1). LoseConnection
//     and LoseWriteConnection send it after the output, and then end the
//     transport below in the same way; so reading goes on after
//     LoseWriteConnection. The peer's close_notify is the end of the input. An
//     end without one may be a truncation by somebody else, and is the loss of
//     the connection, with io.ErrUnexpectedEOF as the cause.
//   - LoseConnection before the handshake is complete aborts, with Kind
//     Aborted, unless something was written: that is sent first.
//   - A failed handshake is Kind Failed, or Lost if the peer went away in it,
//     or TimedOut, always with Op "handshake" and the error of crypto/tls as
//     the cause, a *tls.CertificateVerificationError for example.
//   - The hard limit of the transport below holds for ciphertext, so Room is a
//     little less. It must leave space for the largest flight of a handshake.
//   - Detach is refused with [ErrDetach]; [Conn.HandOff] gives the keys as well.
//
// In TLS 1.3 a client's handshake is complete before the server has looked at
// the client's certificate: if that is refused, HandshakeCompleted is followed
// by ConnectionLost, with the peer's alert as the cause.
//
// All methods are for the loop's goroutine.
type Conn struct {
	transport.Transport // the layer, or one that Upgrade has put on it
	y                   *layer
}

// A HandshakeListener is a Protocol that wants to know when the handshake is
// complete and the peer verified (Twisted's IHandshakeListener). It is called
// once, before any DataReceived, and not at all if the handshake fails.
type HandshakeListener interface {
	// HandshakeCompleted is given what crypto/tls tells of the connection.
	HandshakeCompleted(state tls.ConnectionState)
}

// A Secured tells of the TLS of a transport: an ability of Transports, found
// by transport.As also by the transport on which TLS was put later.
type Secured interface {
	// ConnectionState returns what crypto/tls tells of the connection; the
	// zero value until the handshake is complete. It stays valid.
	ConnectionState() tls.ConnectionState

	// PeerCertificates returns the peer's chain as it sent it, its own first
	// (Twisted's getPeerCertificate); nil if it sent none.
	PeerCertificates() []*x509.Certificate

	// NegotiatedProtocol returns what ALPN has chosen, "" if nothing.
	NegotiatedProtocol() string
}

// ConnectionState returns what crypto/tls tells of the connection; the zero
// value until the handshake is complete. It stays valid after the loss.
func (c *Conn) ConnectionState() tls.ConnectionState {
	if c.y.wire.hs != nil { // in progress, or failed: its goroutine may hold the lock
		return tls.ConnectionState{}
	}
	return c.y.tc.ConnectionState()
}

// PeerCertificates returns the peer's chain as it sent it, its own first; nil
// if it sent none.
func (c *Conn) PeerCertificates() []*x509.Certificate { return c.ConnectionState().PeerCertificates }

// NegotiatedProtocol returns what ALPN has chosen, "" if nothing.
func (c *Conn) NegotiatedProtocol() string { return c.ConnectionState().NegotiatedProtocol }

// Queued returns how many bytes were written but not yet taken by the kernel.
func (c *Conn) Queued() int {
	if q, ok := c.Transport.(transport.Queuer); ok {
		return q.Queued()
	}
	return c.y.Queued()
}

// Room returns how many bytes a Write takes now.
func (c *Conn) Room() int {
	if q, ok := c.Transport.(transport.Queuer); ok {
		return q.Room()
	}
	return c.y.Room()
}

// Upgrade puts another layer on this one; see [transport.Upgrader].
func (c *Conn) Upgrade(over transport.Transport, p transport.Protocol) (transport.Upgraded, error) {
	y := c.y
	y.check()
	if u, ok := c.Transport.(transport.Upgrader); ok {
		return u.Upgrade(over, p)
	}
	if y.state != shaking && y.state != open || y.flags.has(noWrites) {
		return transport.Upgraded{}, transport.ErrNotWritable
	}
	u := transport.Upgraded{
		Below: y, Above: y.upper, Options: y.marks, Paused: y.flags.has(paused), Full: y.flags.has(full),
	}
	y.setUpper(p)
	c.Transport = over
	y.ResumeReading()
	return u, nil
}

// Unwrap returns the layer above this one if there is one, else the transport
// below, for [transport.As].
func (c *Conn) Unwrap() any {
	if c.Transport != transport.Transport(c.y) {
		return c.Transport
	}
	return c.y.below
}

// Unwrap returns the transport below.
func (y *layer) Unwrap() any { return y.below }

// LocalAddr returns this side's address, also after the loss.
func (y *layer) LocalAddr() proactor.Address { return y.wire.local }

// RemoteAddr returns the peer's address, also after the loss.
func (y *layer) RemoteAddr() proactor.Address { return y.wire.remote }

// Handle returns the handle of the transport below.
func (y *layer) Handle() proactor.Handle { return y.below.Handle() }

// Loop returns the loop that the connection lives on.
func (y *layer) Loop() *loop.Loop { return y.l }

// FlushSoon queues the layer, and those below it, for the end of the turn.
func (y *layer) FlushSoon() {
	y.l.AtTurnEnd(&y.flush)
	if s, ok := y.below.(transport.FlushSooner); ok {
		s.FlushSoon()
	}
}

var (
	_ transport.Transport   = (*Conn)(nil)
	_ transport.Queuer      = (*Conn)(nil)
	_ transport.Upgrader    = (*Conn)(nil)
	_ transport.FlushSooner = (*layer)(nil)
	_ transport.DrainTeller = (*layer)(nil)
	_ Secured               = (*Conn)(nil)
)

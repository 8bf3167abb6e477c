package tls

import "time"

// Options configure the TLS of a connection. The zero value, and a nil
// *Options, are the defaults of every field. Many connections share one
// Options; it must not be changed while one of them lives.
//
// Water marks, the hard limit, and the deadlines of the close and of a
// half-closed connection are those of the transport below.
type Options struct {
	// HandshakeTimeout bounds the handshake, from the moment when TLS was put
	// on the transport. Default 30 s; negative: none.
	HandshakeTimeout time.Duration

	// MaxHandshakes is how many handshakes may be in progress on one loop,
	// silent peers included. A connection beyond it ends at once by a reset,
	// with Kind Refused and [ErrTooManyHandshakes]; see [Stats]. Default 4,096.
	MaxHandshakes int

	// MaxComputing is how many handshakes of one loop may compute at the same
	// time; others wait for their turn. One that waits for its peer does not
	// count, but one does whose callback of tls.Config takes its time.
	// Default 4.
	MaxComputing int
}

// The defaults of Options.
const (
	DefaultHandshakeTimeout = 30 * time.Second
	DefaultMaxHandshakes    = 4096
	DefaultMaxComputing     = 4
)

func (o *Options) handshakeTimeout() time.Duration {
	if o == nil || o.HandshakeTimeout == 0 {
		return DefaultHandshakeTimeout
	}
	return o.HandshakeTimeout
}

func (o *Options) maxHandshakes() int {
	if o == nil || o.MaxHandshakes == 0 {
		return DefaultMaxHandshakes
	}
	return o.MaxHandshakes
}

func (o *Options) maxComputing() int {
	if o == nil || o.MaxComputing <= 0 {
		return DefaultMaxComputing
	}
	return o.MaxComputing
}

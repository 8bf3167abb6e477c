package tls

import (
	"crypto/tls"

	"mobius/transport"
)

// Wrap returns a protocol that puts TLS on its transport as soon as it has
// one, and then is p: TLS from the start of a connection. p's ConnectionMade
// gets the [Conn], before the handshake (Twisted's TLSMemoryBIOProtocol). It
// panics on a config that [Check] refuses. o may be nil.
func Wrap(p transport.Protocol, config *tls.Config, side Side, o *Options) transport.Protocol {
	if err := Check(config, side); err != nil {
		panic(err)
	}
	return &wrapped{Protocol: p, config: config, side: side, o: o}
}

// A wrapped is a protocol to be spoken over TLS.
type wrapped struct {
	transport.Protocol
	config *tls.Config
	side   Side
	o      *Options
}

// ConnectionMade puts TLS on the transport. On one that takes none the
// connection is closed, so that nothing is ever sent in clear.
func (w *wrapped) ConnectionMade(t transport.Transport) {
	c, err := Start(t, w.config, w.side, nil, w.o)
	if err != nil {
		t.CloseWithError(err)
		w.Protocol.ConnectionMade(t)
		return
	}
	w.Protocol.ConnectionMade(c)
}

// Unwrap returns the protocol, for [transport.As].
func (w *wrapped) Unwrap() any { return w.Protocol }

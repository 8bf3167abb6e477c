package proxy

import (
	"crypto/tls"

	"mobius/transport"
	mtls "mobius/transport/tls"
)

// A Layer stands between a socket and the stream that it carries, on the side
// of clients or of an upstream: [TLSServer] and [TLSClient] are layers. Many
// connections share one.
//
// The backend cannot relay what a layer carries. A session with a layer on
// either side is two transports instead, each of which reads only while the
// other one's output is short; see [transport.Drainer].
type Layer interface {
	// Scheme is what stands before "://" where people read of the layer.
	Scheme() string

	// Start puts the layer on t and returns what its protocol uses from then on.
	// It is called in ConnectionMade of that protocol, which is a
	// tls.HandshakeListener of package mobius/transport/tls: HandshakeCompleted is
	// to be called once, when bytes may go through. The layer bounds the time until then.
	//
	// received is what a [Filter] has read already. An error, and a panic, end
	// the connection.
	Start(t transport.Transport, received []byte) (transport.Transport, error)
}

// A tlsLayer is TLS on one side.
type tlsLayer struct {
	config *tls.Config
	side   mtls.Side
	o      *mtls.Options
}

// TLSServer returns the layer of listeners that terminate TLS. config is shared
// and must not be changed any more; its ClientAuth and ClientCAs decide about
// client certificates. o bounds handshakes and may be nil. The error says what is
// wrong with config.
func TLSServer(config *tls.Config, o *mtls.Options) (Layer, error) {
	return newTLS(config, mtls.Server, o)
}

// TLSClient returns the layer of upstreams that speak TLS. config, which must
// say by which name the upstream is verified, is shared and must not be changed
// any more. o bounds handshakes and may be nil. The error says what is wrong with
// config.
func TLSClient(config *tls.Config, o *mtls.Options) (Layer, error) {
	return newTLS(config, mtls.Client, o)
}

func newTLS(config *tls.Config, side mtls.Side, o *mtls.Options) (Layer, error) {
	if err := mtls.Check(config, side); err != nil {
		return nil, err
	}
	return &tlsLayer{config, side, o}, nil
}

// Scheme returns "tls".
func (y *tlsLayer) Scheme() string { return "tls" }

// Start puts TLS on t.
func (y *tlsLayer) Start(t transport.Transport, received []byte) (transport.Transport, error) {
	c, err := mtls.Start(t, y.config, y.side, received, y.o)
	if err != nil {
		return nil, err // and not a Transport that holds nil
	}
	return c, nil
}

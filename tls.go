package mobius

import (
	"crypto/tls"
	"fmt"

	"mobius/connector"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

// What TLS brings, under the reactor's names.
type (
	TLSConn           = mtls.Conn              // the transport of a protocol that speaks over TLS
	TLSOptions        = mtls.Options           // limits and deadlines of handshakes
	TLSSide           = mtls.Side              // TLSServer or TLSClient
	TLSStats          = mtls.Stats             // what the connections of one loop have met
	HandshakeListener = mtls.HandshakeListener // a Protocol that is told when the handshake is complete
	Secured           = mtls.Secured           // a Transport that tells of its TLS, found by As
)

// The sides of a handshake.
const (
	TLSServer = mtls.Server
	TLSClient = mtls.Client
)

// Errors of TLS.
var (
	ErrTooManyHandshakes = mtls.ErrTooManyHandshakes // TLSOptions.MaxHandshakes were in progress
)

// ListenTLS is ListenTCP for protocols that speak over TLS (Twisted's
// IReactorSSL.listenSSL). A config that no handshake could succeed with is an
// error. For other options, Listen with [TLSFactory].
func (r *Reactor) ListenTLS(addr string, config *tls.Config, f Factory) (*Port, error) {
	secure, err := TLSFactory(f, config, nil)
	if err != nil {
		return nil, err
	}
	return r.ListenTCP(addr, secure)
}

// ConnectTLS is ConnectTCP for protocols that speak over TLS (Twisted's
// IReactorSSL.connectSSL). The peer is verified by config.ServerName or, if
// that is empty, by addr's host (international names as A-labels). The protocol's ConnectionMade comes before the
// handshake; a failed one is its ConnectionLost, and the factory's, with the
// same reason. For other options, Connect with [TLSClientFactory].
func (r *Reactor) ConnectTLS(addr string, config *tls.Config, f ClientFactory) (*Connector, error) {
	to, err := ParseDestination("tcp", addr)
	if err != nil {
		return nil, err
	}
	if config == nil {
		return nil, fmt.Errorf("connect to %s: no *tls.Config", addr)
	}
	if config.ServerName == "" {
		config = config.Clone()
		if config.ServerName, err = serverName(to); err != nil {
			return nil, err
		}
	}
	secure, err := TLSClientFactory(f, config, nil)
	if err != nil {
		return nil, err
	}
	return r.Connect(to, secure, ConnectOptions{})
}

// serverName returns the name by which the server at a destination is
// verified: a host's in the form in which it is looked up, or its address.
func serverName(to Destination) (string, error) {
	if name, _ := to.Host(); name != "" {
		return connector.ASCIIHost(name)
	}
	return to.Address().IP().String(), nil
}

// StartTLS puts TLS on a transport in the middle of its stream; see
// [mtls.Start], whose default options it takes. Bytes of the DataReceived
// under way that are TLS already are given as received.
func StartTLS(t Transport, config *tls.Config, side TLSSide, received []byte) (*TLSConn, error) {
	return mtls.Start(t, config, side, received, nil)
}

// TLSStatsOf returns the counters of a loop's TLS connections. Loop goroutine.
func TLSStatsOf(l *Loop) TLSStats { return mtls.StatsOf(l) }

// TLSFactory returns a factory whose protocols are f's, spoken over TLS as the
// server. config is shared by all connections, so that sessions can be
// resumed, and must not be changed any more. o may be nil. The error says what
// is wrong with config.
func TLSFactory(f Factory, config *tls.Config, o *TLSOptions) (Factory, error) {
	if err := mtls.Check(config, mtls.Server); err != nil {
		return nil, err
	}
	return &tlsFactory{f, config, o}, nil
}

// TLSClientFactory is [TLSFactory] for the client's side. Config must say by
// which name the server is verified.
func TLSClientFactory(f ClientFactory, config *tls.Config, o *TLSOptions) (ClientFactory, error) {
	if err := mtls.Check(config, mtls.Client); err != nil {
		return nil, err
	}
	return &tlsClientFactory{f, config, o}, nil
}

// wrapTLS wraps a factory's protocol, if it has built one.
func wrapTLS(p Protocol, config *tls.Config, side TLSSide, o *TLSOptions) Protocol {
	if p == nil {
		return nil
	}
	return mtls.Wrap(p, config, side, o)
}

type tlsFactory struct {
	f      Factory
	config *tls.Config
	o      *TLSOptions
}

// BuildProtocol builds f's protocol, over TLS.
func (t *tlsFactory) BuildProtocol(peer Address) Protocol {
	return wrapTLS(t.f.BuildProtocol(peer), t.config, mtls.Server, t.o)
}

// Unwrap returns the factory, for [transport.As].
func (t *tlsFactory) Unwrap() any { return t.f }

type tlsClientFactory struct {
	ClientFactory
	config *tls.Config
	o      *TLSOptions
}

// BuildProtocol builds the factory's protocol, over TLS.
func (t *tlsClientFactory) BuildProtocol(peer Address) Protocol {
	return wrapTLS(t.ClientFactory.BuildProtocol(peer), t.config, mtls.Client, t.o)
}

// Unwrap returns the factory, for [transport.As].
func (t *tlsClientFactory) Unwrap() any { return t.ClientFactory }

var (
	_ connector.Factory   = (*tlsFactory)(nil)
	_ connector.Factory   = (*tlsClientFactory)(nil)
	_ transport.Transport = (*TLSConn)(nil)
)

package endpoint

import (
	"context"
	"crypto/tls"
	"fmt"

	"mobius"
	"mobius/loop"
	"mobius/transport"
)

// WrapServerTLS returns a server whose connections speak TLS, s's being the
// bytes beneath. The error says what is wrong with config.
func WrapServerTLS(config *tls.Config, s Server) (Server, error) {
	if _, err := mobius.TLSFactory(nil, config, nil); err != nil {
		return nil, err
	}
	return WrapServer("tls", s, func(f mobius.Factory) mobius.Factory {
		secure, _ := mobius.TLSFactory(f, config, nil) // config was checked
		return secure
	}), nil
}

// WrapClientTLS returns a client that speaks TLS over c's connections
// (Twisted's wrapClientTLS). The future is completed once the handshake is
// complete and the server verified; if that fails, so does the future, with the
// reason that the protocol's ConnectionLost is given. Config must say by which
// name the server is verified; the error says what is wrong with it.
func WrapClientTLS(config *tls.Config, c Client) (Client, error) {
	if _, err := mobius.TLSClientFactory(nil, config, nil); err != nil {
		return nil, err
	}
	return tlsClient{config: config, inner: c}, nil
}

type tlsClient struct {
	config *tls.Config
	inner  Client
	text   string // what it was parsed from, if it was
}

// String returns the description, or tls: and the inner client's.
func (c tlsClient) String() string {
	if c.text != "" {
		return c.text
	}
	return "tls:" + c.inner.String()
}

// Connect implements [Client].
func (c tlsClient) Connect(ctx context.Context, f mobius.Factory) *mobius.Future[mobius.Protocol] {
	h := &handshake{Factory: f, config: c.config, ctx: ctx}
	inner := c.inner.Connect(ctx, h)
	h.future = loop.NewFuture[mobius.Protocol](inner.Loop())
	h.inner = inner
	h.future.OnCancel(func() { h.giveUp(loop.ErrCanceled) }) // nobody else has the future yet
	on(inner.Loop(), h.listen)
	return h.future
}

// A handshake is one Connect: the factory, and who waits for its protocol to
// be secure.
type handshake struct {
	mobius.Factory
	config *tls.Config
	ctx    context.Context
	inner  *mobius.Future[mobius.Protocol]
	future *mobius.Future[mobius.Protocol]
	stop   func() bool // listening to ctx
	t      mobius.Transport
	result func() // what has happened before listen
	heard  bool
}

// listen takes over from the inner future, once there is an outer one.
func (h *handshake) listen() {
	if h.heard {
		return
	}
	h.heard = true
	h.stop = context.AfterFunc(h.ctx, func() {
		on(h.future.Loop(), func() { h.giveUp(context.Cause(h.ctx)) })
	})
	h.inner.Then(func(_ mobius.Protocol, err error) {
		if err != nil {
			h.complete(nil, err)
		}
	})
	if h.result != nil {
		h.result()
	}
}

// complete sets the result, or keeps it until somebody listens.
func (h *handshake) complete(p mobius.Protocol, err error) {
	if !h.heard {
		if h.result == nil {
			h.result = func() { h.complete(p, err) }
		}
		return
	}
	if h.future.Complete(p, err) {
		h.stop()
	}
}

// giveUp ends the attempt, or the connection in the middle of its handshake.
func (h *handshake) giveUp(cause error) {
	h.listen() // a Cancel may come first
	if _, done, _ := h.inner.Peek(); !done {
		h.inner.Cancel()
		_, _, err := h.inner.Peek()
		h.complete(nil, err)
		return
	}
	if h.t == nil {
		return // it has failed, and the future will be told
	}
	h.complete(nil, &mobius.ConnError{Op: "handshake", Addr: h.t.RemoteAddr(), Kind: mobius.Aborted, Err: cause})
	h.t.AbortConnection()
}

// BuildProtocol puts TLS around what the factory builds.
func (h *handshake) BuildProtocol(peer mobius.Address) mobius.Protocol {
	p := h.Factory.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &secured{Protocol: p, h: h} })
	secure, err := mobius.TLSClientFactory(mobius.Client{Factory: f}, h.config, nil)
	if err != nil {
		panic(fmt.Sprintf("endpoint: the config of TLS was changed: %v", err))
	}
	return secure.BuildProtocol(peer)
}

// Unwrap returns the factory, for mobius.As.
func (h *handshake) Unwrap() any { return h.Factory }

// A secured is a protocol whose handshake somebody waits for.
type secured struct {
	mobius.Protocol
	h *handshake
}

// ConnectionMade notes the transport.
func (s *secured) ConnectionMade(t transport.Transport) {
	s.h.t = t
	s.Protocol.ConnectionMade(t)
}

// HandshakeCompleted tells the protocol, if it wants to know, and the future.
func (s *secured) HandshakeCompleted(state tls.ConnectionState) {
	defer s.h.complete(s.Protocol, nil)
	if l, ok := mobius.As[mobius.HandshakeListener](s.Protocol); ok {
		l.HandshakeCompleted(state)
	}
}

// ConnectionLost tells the protocol, and the future if the handshake was not
// completed.
func (s *secured) ConnectionLost(err error) {
	defer s.h.complete(nil, err)
	s.Protocol.ConnectionLost(err)
}

// Unwrap returns the protocol, for mobius.As.
func (s *secured) Unwrap() any { return s.Protocol }

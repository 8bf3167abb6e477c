package policies

import "mobius"

// Wrap returns a factory that puts a [Wrapper] before each protocol of f's,
// which prepare gives its hooks. Where f builds nil there is no wrapper. Of a
// Starter the starts and stops are f's. (Twisted: WrappingFactory.)
//
// prepare is called on the loop of the connection, on several at once if f is
// used on several.
func Wrap(f mobius.Factory, prepare func(peer mobius.Address, w *Wrapper)) mobius.Factory {
	return &wrapping{f: f, prepare: prepare}
}

type wrapping struct {
	f       mobius.Factory
	prepare func(peer mobius.Address, w *Wrapper)
}

// BuildProtocol wraps what the factory builds.
func (f *wrapping) BuildProtocol(peer mobius.Address) mobius.Protocol {
	p := f.f.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	w := &Wrapper{Protocol: p}
	f.prepare(peer, w)
	return w
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *wrapping) Unwrap() any { return f.f }

// WrapClient is [Wrap] for a ClientFactory: what happens to the attempts is told
// to f.
func WrapClient(f mobius.ClientFactory, prepare func(peer mobius.Address, w *Wrapper)) mobius.ClientFactory {
	return &wrappingClient{ClientFactory: f, w: wrapping{f: f, prepare: prepare}}
}

type wrappingClient struct {
	mobius.ClientFactory
	w wrapping
}

// BuildProtocol wraps what the factory builds.
func (f *wrappingClient) BuildProtocol(peer mobius.Address) mobius.Protocol {
	return f.w.BuildProtocol(peer)
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *wrappingClient) Unwrap() any { return f.ClientFactory }

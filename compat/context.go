package compat

import (
	"context"
	"net"
)

// The keys of what travels in a context.
type (
	valueKey struct{}
	connKey  struct{}
	addrKey  struct{}
)

// NewContext returns a context with v in it: of a connection that is made with
// it, v becomes the Context.
func NewContext(ctx context.Context, v any) context.Context {
	return context.WithValue(ctx, valueKey{}, v)
}

// FromContext returns what [NewContext] has put into ctx, or nil.
func FromContext(ctx context.Context) any { return ctx.Value(valueKey{}) }

// NewNetConnContext returns a context with c in it, for [Engine.Register].
func NewNetConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// FromNetConnContext returns what [NewNetConnContext] has put into ctx.
func FromNetConnContext(ctx context.Context) (net.Conn, bool) {
	c, ok := ctx.Value(connKey{}).(net.Conn)
	return c, ok
}

// NewNetAddrContext returns a context with a in it, for [Engine.Register].
func NewNetAddrContext(ctx context.Context, a net.Addr) context.Context {
	return context.WithValue(ctx, addrKey{}, a)
}

// FromNetAddrContext returns what [NewNetAddrContext] has put into ctx.
func FromNetAddrContext(ctx context.Context) (net.Addr, bool) {
	a, ok := ctx.Value(addrKey{}).(net.Addr)
	return a, ok
}

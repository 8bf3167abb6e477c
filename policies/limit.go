package policies

import (
	"net/netip"
	"sync"

	"mobius"
)

// A LimitTotal is a factory for ports that has so many connections at a time
// and no more. (Twisted: LimitTotalConnectionsFactory.) It may be used on
// several loops; its fields must not be changed once it is.
type LimitTotal struct {
	Factory mobius.Factory

	// Max is how many connections there may be; 0: none.
	Max int

	// Overflow builds the protocols of those beyond Max, to say sorry with.
	// They count, too. nil: they are closed.
	Overflow mobius.Factory

	counts counts[struct{}]
}

// Conns returns how many connections there are, those of Overflow included.
// Any goroutine.
func (f *LimitTotal) Conns() int { return f.counts.of(struct{}{}) }

// BuildProtocol builds a protocol of Factory, or of Overflow, or none.
func (f *LimitTotal) BuildProtocol(peer mobius.Address) mobius.Protocol {
	if f.counts.add(struct{}{}, f.Max) {
		return f.counts.build(struct{}{}, f.Factory, peer)
	}
	if f.Overflow == nil {
		return nil
	}
	f.counts.add(struct{}{}, int(^uint(0)>>1))
	return f.counts.build(struct{}{}, f.Overflow, peer)
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *LimitTotal) Unwrap() any { return f.Factory }

// The defaults of LimitPerPeer.
const (
	DefaultMaxPerPeer = 5 // Twisted's
	DefaultIPv4Bits   = 32
	DefaultIPv6Bits   = 64 // what one customer has at the least (RFC 6177)
)

// A LimitPerPeer is a factory for ports that has so many connections from one
// source at a time; more are closed. (Twisted: LimitConnectionsByPeer.) It may
// be used on several loops; its fields must not be changed once it is.
//
// A source is an IP network, which for IPv4 addresses mapped into IPv6 is the
// IPv4 one. Unix sockets that clients have bound are a source by their path,
// and all clients that have bound none, as most do, are one source together.
type LimitPerPeer struct {
	Factory mobius.Factory

	// Max is how many connections a source may have. Default 5.
	Max int

	// IPv4Bits and IPv6Bits are the prefix lengths of the networks that count
	// as one source. Defaults 32 and 64; what is too long is the whole address.
	IPv4Bits, IPv6Bits int

	counts counts[source]
}

// A source is where connections come from.
type source struct {
	net  netip.Prefix
	path string
}

// Conns returns how many connections there are from peer's source. Any
// goroutine.
func (f *LimitPerPeer) Conns(peer mobius.Address) int { return f.counts.of(f.source(peer)) }

// BuildProtocol builds a protocol, unless peer's source has its share.
func (f *LimitPerPeer) BuildProtocol(peer mobius.Address) mobius.Protocol {
	s := f.source(peer)
	if !f.counts.add(s, orDefault(f.Max, DefaultMaxPerPeer)) {
		return nil
	}
	return f.counts.build(s, f.Factory, peer)
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *LimitPerPeer) Unwrap() any { return f.Factory }

func (f *LimitPerPeer) source(peer mobius.Address) source {
	if peer.IsUnix() {
		return source{path: peer.Path()}
	}
	ip := peer.IP().Unmap().WithZone("")
	bits := orDefault(f.IPv6Bits, DefaultIPv6Bits)
	if ip.Is4() {
		bits = orDefault(f.IPv4Bits, DefaultIPv4Bits)
	}
	return source{net: netip.PrefixFrom(ip, min(max(bits, 0), ip.BitLen())).Masked()}
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// counts are the numbers of connections by key.
type counts[K comparable] struct {
	mu sync.Mutex
	n  map[K]int
}

func (c *counts[K]) of(key K) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[key]
}

// add counts one more, unless there are limit.
func (c *counts[K]) add(key K, limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key] >= limit {
		return false
	}
	if c.n == nil {
		c.n = map[K]int{}
	}
	c.n[key]++
	return true
}

func (c *counts[K]) sub(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n[key]--; c.n[key] == 0 {
		delete(c.n, key)
	}
}

// build returns a protocol of f's that has been counted, and whose end will be.
func (c *counts[K]) build(key K, f mobius.Factory, peer mobius.Address) (p mobius.Protocol) {
	defer func() {
		if p == nil { // refused, or f has panicked
			c.sub(key)
		}
	}()
	inner := f.BuildProtocol(peer)
	if inner == nil {
		return nil
	}
	return &Wrapper{Protocol: inner, Lost: func(error) { c.sub(key) }}
}

package policies

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"

	"mobius"
	"mobius/proactor"
)

// A proxyHeader is what a header of the PROXY protocol says. Chapters in
// parentheses are those of HAProxy's doc/proxy-protocol.txt.
type proxyHeader struct {
	version byte // 1 or 2
	command proxyproto.ProtocolVersionAndCommand
	family  proxyproto.AddressFamilyAndProtocol

	// Not valid if the connection's own addresses are the right ones: of LOCAL,
	// UNKNOWN and UNSPEC.
	source, dest mobius.Address

	tlvs []byte // whole ones, and a part of what was parsed
}

// parseProxyHeader reads the header that p begins with, which is all that was
// received so far and not empty. n is the header's length. If n > len(p) the
// header is not complete: there must be n bytes, or more, to look again. limit
// is the most that may follow the first 16 bytes of version 2.
func parseProxyHeader(p []byte, limit int) (h proxyHeader, n int, err error) {
	switch p[0] {
	case v1Begin[0]:
		return parseProxyV1(p)
	case v2Begin[0]:
		return parseProxyV2(p, limit)
	}
	return h, 0, noProxyHeader(p)
}

func noProxyHeader(p []byte) error {
	return fmt.Errorf("%w: it begins with %q", proxyproto.ErrNoProxyProtocol, p[:min(len(p), len(v2Begin))])
}

// header returns h as go-proxyproto has it, with memory of its own.
func (h *proxyHeader) header() *proxyproto.Header {
	out := &proxyproto.Header{Version: h.version, Command: h.command, TransportProtocol: h.family}
	if h.source.IsValid() {
		out.SourceAddr, out.DestinationAddr = netAddr(h.source), netAddr(h.dest)
	}
	if len(h.tlvs) > 0 {
		tlvs, err := proxyproto.SplitTLVs(h.tlvs)
		if err == nil {
			err = out.SetTLVs(tlvs)
		}
		if err != nil {
			panic(fmt.Sprintf("policies: TLVs that were checked: %v", err))
		}
	}
	return out
}

// NewProxyHeader returns a header that announces a connection from source to
// dest, for [SendProxy]: of version 1 or 2. Both addresses are of one network,
// TCP as a rule. Where that is not so, or where version 1 has no word for it,
// the header says that the addresses are unknown.
//
// A proxy announces what the transport of its client's connection returns:
// NewProxyHeader(2, t.RemoteAddr(), t.LocalAddr()).
func NewProxyHeader(version byte, source, dest mobius.Address) *proxyproto.Header {
	return proxyproto.HeaderProxyFromAddrs(version, netAddr(source), netAddr(dest))
}

// netAddr returns a as package net has it.
func netAddr(a mobius.Address) net.Addr {
	switch a.Kind() {
	case proactor.TCP:
		return net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.IP(), a.Port()))
	case proactor.UDP:
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.IP(), a.Port()))
	}
	return &net.UnixAddr{Net: a.Network(), Name: a.Path()}
}

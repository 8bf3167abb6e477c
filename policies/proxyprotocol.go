package policies

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"

	"mobius"
)

// The defaults of ProxyProtocol.
const (
	// DefaultProxyTimeout is more than the 3 seconds in which TCP sends a lost
	// segment again.
	DefaultProxyTimeout = 5 * time.Second

	// DefaultMaxProxyHeader has room for a client's certificate.
	DefaultMaxProxyHeader = 4096
)

// A ProxyProtocol is a factory for ports whose connections come from a proxy
// and begin with a header of the PROXY protocol, which tells whose they really
// are: of version 1 or 2 of HAProxy's doc/proxy-protocol.txt. (Twisted:
// HAProxyWrappingFactory.) It may be used on several loops; its fields must
// not be changed once it is.
//
// The header is required, never guessed: a connection of a trusted proxy that
// begins with anything else is aborted. Factory is asked for a protocol only
// once the header is there, and told the announced peer; so a [LimitPerPeer]
// counts clients within a ProxyProtocol, and proxies around it. The protocol's
// transport has the announced addresses, and the ability [Proxied]. Where the
// header announces none (LOCAL, UNKNOWN, UNSPEC: a proxy's own checks) they
// are the connection's own.
//
// TLS begins after the header: put its factory within.
//
// The protocol gets no descriptors (transport.FileReceiver).
type ProxyProtocol struct {
	Factory mobius.Factory

	// Trusted are the networks of the proxies, and TrustUnix says whether the
	// peers of unix sockets are such. Without either they are this host: its
	// loopback addresses (127.0.0.0/8, ::1) and unix sockets. Who is trusted can
	// claim any address. An IPv4 network is the same in either notation:
	// 10.0.0.0/8, ::ffff:10.0.0.0/104.
	Trusted   []netip.Prefix
	TrustUnix bool

	// Untrusted builds the protocols of connections from elsewhere: what they
	// send is data, also if it looks like a header, and their addresses are
	// their own. nil: they are closed before anything is read.
	Untrusted mobius.Factory

	// Timeout is how long the header may take, from the connection's beginning.
	// Default 5 s; negative: for ever.
	Timeout time.Duration

	// MaxHeader is how many bytes may follow the first 16 of a header of version
	// 2, at most 65535. Default 4096. (One of version 1 has 107 at most.)
	MaxHeader int

	// Refused is told of each connection that was closed for want of a header:
	// its real peer, and why. The error is [ErrUntrusted]; or it wraps
	// [ErrProxyChecksum] or one of package proxyproto's; or os.ErrDeadlineExceeded;
	// or the reason of a connection that has ended before its header, which is
	// io.ErrUnexpectedEOF if the proxy has ended it. Loop goroutine of the
	// connection. May be nil.
	Refused func(peer mobius.Address, err error)

	refusals atomic.Uint64
}

// ErrUntrusted says that a connection is not from a proxy that is trusted.
var ErrUntrusted = errors.New("not from a trusted proxy")

// A Proxied is a transport whose peer was announced by a header: an ability of
// transports, found by mobius.As. Loop goroutine.
type Proxied interface {
	// ProxyHeader returns the header, with its TLVs. It is the caller's.
	ProxyHeader() *proxyproto.Header

	// SocketAddrs returns the connection's own addresses: this host's and the
	// proxy's.
	SocketAddrs() (local, remote mobius.Address)
}

// Refusals returns how many connections were closed for want of a header. Any
// goroutine.
func (f *ProxyProtocol) Refusals() uint64 { return f.refusals.Load() }

// BuildProtocol builds what reads the header, if peer is trusted.
func (f *ProxyProtocol) BuildProtocol(peer mobius.Address) mobius.Protocol {
	switch {
	case f.trusts(peer):
		return &proxied{f: f}
	case f.Untrusted != nil:
		return f.Untrusted.BuildProtocol(peer)
	}
	f.refuse(peer, ErrUntrusted)
	return nil
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *ProxyProtocol) Unwrap() any { return f.Factory }

func (f *ProxyProtocol) trusts(peer mobius.Address) bool {
	here := len(f.Trusted) == 0 && !f.TrustUnix
	if peer.IsUnix() {
		return here || f.TrustUnix
	}
	ip := peer.IP().Unmap().WithZone("")
	return here && ip.IsLoopback() || slices.ContainsFunc(f.Trusted, func(n netip.Prefix) bool { return covers(n, ip) })
}

// covers reports whether a network has an address, which is no IPv4 address in
// IPv6 clothes (RFC 4291, section 2.5.5.2). The network may be.
func covers(n netip.Prefix, ip netip.Addr) bool {
	const clothes = 128 - 32
	if n.Addr().Is4In6() && n.Bits() >= clothes {
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-clothes)
	}
	return n.Contains(ip)
}

func (f *ProxyProtocol) refuse(peer mobius.Address, err error) {
	f.refusals.Add(1)
	if f.Refused != nil {
		f.Refused(peer, err)
	}
}

// SendProxy is the other end, for [Wrap] and [WrapClient]: the wrapper writes
// the header before whatever the protocol writes. A CRC32C among the header's
// TLVs is given its value. The error says what is wrong with the header.
//
//	f = policies.WrapClient(f, send)
func SendProxy(h *proxyproto.Header) (send func(mobius.Address, *Wrapper), err error) {
	p, err := h.Format()
	if err != nil {
		return nil, fmt.Errorf("PROXY header: %w", err)
	}
	if err := signProxy(p); err != nil {
		return nil, fmt.Errorf("PROXY header: %w", err)
	}
	return func(_ mobius.Address, w *Wrapper) {
		w.Made = func(below mobius.Transport) {
			if _, err := below.Write(p); err != nil {
				below.CloseWithError(fmt.Errorf("PROXY header: %w", err))
			}
		}
	}, nil
}

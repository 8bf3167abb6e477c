package endpoint

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"mobius"
	"mobius/policies"
)

// An HAProxyServer is a server behind proxies that say by a header whose each
// connection is (Twisted's haproxy: endpoints). See [policies.ProxyProtocol],
// of which it has the fields that a description has; for the others, use
// [WrapServer].
type HAProxyServer struct {
	Inner Server

	// As policies.ProxyProtocol's.
	Trusted   []netip.Prefix
	TrustUnix bool
	Timeout   time.Duration

	// Data has connections that are not from a trusted proxy served without a
	// header. Otherwise they are closed.
	Data bool
}

// Listen implements [Server].
func (s HAProxyServer) Listen(f mobius.Factory) *mobius.Future[Port] {
	p := &policies.ProxyProtocol{Factory: f, Trusted: s.Trusted, TrustUnix: s.TrustUnix, Timeout: s.Timeout}
	if s.Data {
		p.Untrusted = f
	}
	return s.Inner.Listen(p)
}

// String returns the description.
func (s HAProxyServer) String() string {
	d := Description{Type: "haproxy"}
	var who []string
	for _, n := range s.Trusted {
		who = append(who, n.String())
	}
	if s.TrustUnix {
		who = append(who, "unix")
	}
	if len(who) > 0 {
		d = d.With("trusted", strings.Join(who, ","))
	}
	if s.Data {
		d = d.With("untrusted", "data")
	}
	return withTime(d, "timeout", s.Timeout).String() + ":" + s.Inner.String()
}

// parseHAProxyServer makes haproxy: servers. Its own arguments stand before the
// type of the server within.
func parseHAProxyServer(p *Parser, r Reactor, d Description) (Server, error) {
	at := slices.IndexFunc(d.Args, func(a Arg) bool { return !a.Named })
	if at < 0 {
		at = len(d.Args)
	}
	a := Description{Type: d.Type, Args: d.Args[:at]}.Arguments()
	s := HAProxyServer{Timeout: a.Duration("timeout")}
	s.Trusted, s.TrustUnix = a.trusted("trusted")
	switch v := a.Text("untrusted", "refuse"); v {
	case "refuse":
	case "data":
		s.Data = true
	default:
		a.fail("untrusted is %q, want refuse or data", v)
	}
	if err := a.Err(); err != nil {
		return nil, err
	}
	within, err := Description{Type: d.Type, Args: d.Args[at:]}.Inner()
	if err != nil {
		return nil, err
	}
	inner, err := p.ServerOf(r, within)
	if err != nil {
		return nil, err
	}
	out := beneath(inner, func(carrier Server) Server {
		s.Inner = carrier
		return s
	})
	if made, ok := out.(described); ok {
		made.text = d.String()
		out = made
	}
	return out, nil
}

// beneath wraps the server that carries s. What a proxy sends first comes
// before TLS, and before whatever else is wrapped around the carrier.
func beneath(s Server, wrap func(carrier Server) Server) Server {
	switch s := s.(type) {
	case described:
		return described{beneath(s.Server, wrap), s.text}
	case wrappedServer:
		s.inner = beneath(s.inner, wrap)
		return s
	}
	return wrap(s)
}

// trusted returns an argument that is a list of networks, with commas between.
func (a *Arguments) trusted(name string) (networks []netip.Prefix, unix bool) {
	v, ok := a.Lookup(name)
	if !ok {
		return nil, false
	}
	for one := range strings.SplitSeq(v, ",") {
		if one == "unix" {
			unix = true
			continue
		}
		n, err := netip.ParsePrefix(one)
		if ip, other := netip.ParseAddr(one); other == nil && ip.Zone() == "" {
			n, err = ip.Prefix(ip.BitLen())
		}
		if err != nil || n.Addr().Is4In6() {
			a.fail("%s has %q, want unix, an IP address, or a network such as 10.0.0.0/8", name, one)
			break
		}
		networks = append(networks, n.Masked())
	}
	return networks, unix
}

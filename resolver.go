package mobius

import (
	"net/netip"

	"mobius/connector"
	"mobius/loop"
)

// InstallResolver makes x look up the names of connections that begin from now
// on and have none of their own in ConnectOptions, and returns what did before.
// nil is the default, a [SystemResolver]. With several loops x is called from
// all of them. (Twisted's IReactorPluggableNameResolver; a resolver that
// answers piece by piece is installed as a [CollectedResolver].)
func (r *Reactor) InstallResolver(x Resolver) (previous Resolver) {
	if x == nil {
		x = SystemResolver{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	previous, r.resolver = r.resolver, x
	return previous
}

// Resolver returns what looks names up.
func (r *Reactor) Resolver() Resolver {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.resolver
}

// LookupHost looks host up by the reactor's resolver, on the loop that calls
// it or else on the loops in turn. An international name is turned into its
// ASCII form first. The future's error is a *net.DNSError where the resolver is
// the default one; its Cancel ends the lookup. An error means that the reactor
// has stopped. (Twisted's IReactorCore.resolve, with all addresses.)
func (r *Reactor) LookupHost(host string) (*Future[[]netip.Addr], error) {
	l, resolver := r.dialer(), r.Resolver()
	answer := loop.NewFuture[[]netip.Addr](l)
	return answer, r.on(l, func() {
		ascii, err := connector.ASCIIHost(host)
		if _, number := netip.ParseAddr(host); number == nil {
			ascii, err = host, nil // a zone may have any letters
		}
		if err != nil {
			answer.Complete(nil, err)
			return
		}
		answer.OnCancel(resolver.Resolve(l, ascii, func(all []netip.Addr, err error) { answer.Complete(all, err) }))
	})
}

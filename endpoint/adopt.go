package endpoint

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"syscall"

	"mobius"
	"mobius/loop"
)

// An Adopter is a [Reactor] that makes ports of sockets which are there
// already. A *mobius.Reactor is one.
type Adopter interface {
	Reactor

	// AdoptStreamPort is mobius.Reactor's; from is a number.
	AdoptStreamPort(from any, f mobius.Factory, o mobius.ListenOptions) (*mobius.Port, error)

	// AddrOf and Discard are mobius.Reactor's.
	AddrOf(fd int) (mobius.Address, error)
	Discard(fd int) error
}

var _ Adopter = (*mobius.Reactor)(nil)

// ErrUsed answers the second Listen of an endpoint that is for one use. (Twisted's
// AlreadyListened.)
var ErrUsed = errors.New("it is for one use, and has been used")

// An FDServer listens on a socket that listens already, and whose number this
// process was given, by who started it for example. It is for one use: once a
// port has been made of it, the descriptor is closed; the port has its own, and is
// O_NONBLOCK. If no port could be made it stays open, O_NONBLOCK too. (Twisted's
// AdoptedStreamServerEndpoint.)
type FDServer struct {
	Reactor Reactor // an [Adopter]
	FD      int
	Domain  string               // INET, INET6 or UNIX, if it must be one; "" if any will do
	Options mobius.ListenOptions // Transport; the socket has its own options

	used atomic.Bool
	from *Inheritance // whose it is, if it is one's
	text string       // what it was parsed from, if it is one's
}

// Listen implements [Server]. Its errors are those of
// mobius.Reactor.AdoptStreamPort, EAFNOSUPPORT if the socket is not of the
// Domain, [ErrUsed], and errors.ErrUnsupported if the reactor adopts nothing.
func (s *FDServer) Listen(f mobius.Factory) *mobius.Future[Port] {
	p, err := s.adopt(f)
	if err != nil {
		return failed[Port](s.Reactor, fmt.Errorf("endpoint %v: %w", s, err))
	}
	return loop.Completed[Port](p.Loop(), p, nil)
}

func (s *FDServer) adopt(f mobius.Factory) (*mobius.Port, error) {
	r, ok := s.Reactor.(Adopter)
	switch {
	case !ok:
		return nil, unable(s.Reactor, "adopts no sockets")
	case s.used.Swap(true) || s.from != nil && !s.from.take(s.FD):
		return nil, ErrUsed
	}
	if err := s.checkDomain(r); err != nil {
		return nil, err
	}
	p, err := r.AdoptStreamPort(s.FD, f, s.Options)
	if err != nil {
		return nil, err
	}
	if err := r.Discard(s.FD); err != nil { // the loop has stopped meanwhile, and the port with it
		return nil, err
	}
	return p, nil
}

// checkDomain returns an error if the socket is of another domain.
func (s *FDServer) checkDomain(r Adopter) error {
	if s.Domain == "" {
		return nil
	}
	at, err := r.AddrOf(s.FD)
	if err != nil || !at.IsValid() { // adoption will say that it is no socket
		return err
	}
	if is := domainOf(at); s.Domain != is {
		return fmt.Errorf("the socket is at %v, which is %s and not %s: %w", at, is, s.Domain, syscall.EAFNOSUPPORT)
	}
	return nil
}

// domainOf returns the domain of an address (socket(2)), without the AF_.
func domainOf(a mobius.Address) string {
	switch {
	case a.IsUnix():
		return "UNIX"
	case a.IP().Is4():
		return "INET"
	}
	return "INET6" // the wildcard of both, too
}

// unable returns the error of a reactor that lacks an ability.
func unable(r Reactor, what string) error {
	return fmt.Errorf("a %T %s: %w", r, what, errors.ErrUnsupported)
}

// String returns the description.
func (s *FDServer) String() string {
	if s.text != "" {
		return s.text
	}
	d := Description{Type: "fd"}.With("fileno", strconv.Itoa(s.FD))
	if s.Domain != "" {
		d = d.With("domain", s.Domain)
	}
	return withTransport(d, s.Options.Transport).String()
}

// parseFDServer makes fd: servers.
func parseFDServer(_ *Parser, r Reactor, d Description) (Server, error) {
	a := d.Arguments("fileno", "domain")
	a.Need("fileno")
	s := &FDServer{Reactor: r, FD: a.Int("fileno", 10, 0), Domain: a.domain()}
	s.Options.Transport = transportOptions(a)
	return s, a.Err()
}

// domain returns the argument of that name.
func (a *Arguments) domain() string {
	v, ok := a.Lookup("domain")
	switch {
	case !ok, v == "INET", v == "INET6", v == "UNIX":
		return v
	}
	a.fail("domain is %q, want INET, INET6 or UNIX", v)
	return ""
}

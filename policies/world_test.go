package policies

import (
	"net/netip"

	"mobius"
	"mobius/proactor"
)

// A socket is a transport that notes how it ends.
type socket struct {
	mobius.Transport
	why     error // of CloseWithError
	aborted bool
}

var (
	proxyAt  = proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), 4000)
	serverAt = proactor.IPAddress(proactor.TCP, netip.MustParseAddr("127.0.0.1"), 80)
)

func (s *socket) LocalAddr() mobius.Address  { return serverAt }
func (s *socket) RemoteAddr() mobius.Address { return proxyAt }
func (s *socket) CloseWithError(err error)   { s.why = err }
func (s *socket) AbortConnection()           { s.aborted = true }

// A sink is a protocol that keeps what it gets.
type sink struct {
	t   mobius.Transport
	got []byte
	err error
}

func (s *sink) ConnectionMade(t mobius.Transport) { s.t = t }
func (s *sink) DataReceived(p []byte)             { s.got = append(s.got, p...) }
func (s *sink) ConnectionLost(err error)          { s.err = err }

// feed gives a connection's bytes in pieces to a ProxyProtocol, and returns the
// protocol that it has built, nil if none, and why it has refused.
func feed(limit int, pieces ...[]byte) (made *sink, refused error) {
	f := &ProxyProtocol{
		Timeout:   -1,
		MaxHeader: limit,
		Refused:   func(_ mobius.Address, err error) { refused = err },
		Factory: mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
			made = &sink{}
			return made
		}),
	}
	s := &socket{}
	p := f.BuildProtocol(proxyAt)
	p.ConnectionMade(s)
	for _, piece := range pieces {
		if s.aborted || len(piece) == 0 {
			continue
		}
		lent := append([]byte(nil), piece...)
		p.DataReceived(lent)
		clear(lent) // it was lent
	}
	if (refused != nil) != s.aborted || s.aborted && s.why != refused {
		panic("the reason is not the connection's")
	}
	return made, refused
}

package flow

import (
	"sync/atomic"
	"time"

	"mobius/connector"
	"mobius/proactor"
	"mobius/transport"
)

// A Forwarder is a factory that connects each connection of its port to the
// same destination, and joins the two as [Pipe] does. (Twisted:
// portforward.ProxyFactory.) The client is not read from until that connection
// stands. If it cannot be had, the client is reset.
//
// It may be used on several loops. Its fields must not be changed once it is.
type Forwarder struct {
	// To is where the connections go.
	To connector.Destination

	// Options are of the connections to it: ConnectTimeout, for example, whose
	// default is 30 s.
	Options connector.Options

	// MaxConns is how many clients are served at a time; more are closed.
	// Default [DefaultMaxConns]; negative: no limit.
	MaxConns int

	// Ended is told the end of each client that was served: how long it was
	// there, and err, which is why there was no connection to the destination,
	// nil if there was one. Loop goroutine. May be nil.
	Ended func(client proactor.Address, served time.Duration, err error)

	conns atomic.Int64
}

// DefaultMaxConns is how many clients a [Forwarder] serves at a time.
const DefaultMaxConns = 10000

// Conns returns how many clients are being served. Any goroutine.
func (f *Forwarder) Conns() int { return int(f.conns.Load()) }

// BuildProtocol returns the protocol of a client, nil if there are too many.
func (f *Forwarder) BuildProtocol(proactor.Address) transport.Protocol {
	n := f.conns.Add(1)
	if limit := f.maxConns(); limit >= 0 && n > limit {
		f.conns.Add(-1)
		return nil
	}
	s := &session{f: f}
	s.client.made, s.client.lost = s.begin, s.clientLost
	s.back.made = s.connected
	return &s.client
}

func (f *Forwarder) maxConns() int64 {
	if f.MaxConns == 0 {
		return DefaultMaxConns
	}
	return int64(f.MaxConns)
}

// A session is one client of a Forwarder, and the ClientFactory of its
// connection to the destination.
type session struct {
	f            *Forwarder
	client, back end
	c            *connector.Connector
	since        time.Duration
	err          error
	dialed       bool // the connector has finished
}

// begin connects on behalf of a client that has just come.
func (s *session) begin() {
	t := s.client.t
	s.since = t.Loop().Now()
	t.PauseReading()
	s.c = connector.Connect(t.Loop(), s.f.To, s, s.f.Options)
}

// connected joins the two.
func (s *session) connected() {
	join(&s.client, &s.back)
	s.client.t.ResumeReading()
}

func (s *session) clientLost(error) {
	if s.c != nil { // nil if the attempt has failed inside begin
		_ = s.c.StopConnecting() // ErrNotConnecting: it stands, or has failed
	}
	s.ended()
}

// StartedConnecting does nothing: begin notes the connector.
func (s *session) StartedConnecting(*connector.Connector) {}

// BuildProtocol returns what joins the new connection to the client's.
func (s *session) BuildProtocol(proactor.Address) transport.Protocol { return &s.back }

// ConnectionFailed resets the client: an orderly end would look like an answer
// of no bytes.
func (s *session) ConnectionFailed(_ *connector.Connector, err error) {
	s.dialed, s.err = true, err
	s.client.t.AbortConnection()
	s.ended()
}

// ConnectionLost takes note of the end of the connection to the destination;
// its protocol has closed the client's.
func (s *session) ConnectionLost(*connector.Connector, error) {
	s.dialed = true
	s.ended()
}

// ended counts the session down once both sides are over.
func (s *session) ended() {
	if !s.dialed || !s.client.over {
		return
	}
	s.f.conns.Add(-1)
	if s.f.Ended != nil {
		l := s.client.t.Loop()
		s.f.Ended(s.client.t.RemoteAddr(), l.Now()-s.since, s.err)
	}
}

var (
	_ connector.Factory       = (*Forwarder)(nil)
	_ connector.ClientFactory = (*session)(nil)
)

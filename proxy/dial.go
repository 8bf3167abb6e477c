package proxy

import (
	"errors"
	"os"
	"slices"
	"syscall"

	"mobius/proactor"
	"mobius/transport/tls"
)

// ErrNoUpstream is a Report's Err if the router had nowhere to go at all.
var ErrNoUpstream = errors.New("no upstream to try")

// A Direct is the Dialer that connects to the upstream's address.
type Direct struct {
	Options proactor.SocketOptions // Local binds the near end
}

// Dial starts to connect.
func (d *Direct) Dial(s *Session) {
	h, err := s.w.l.Sockets().Stream(s.upstream.addr, &d.Options)
	if err != nil {
		s.DialFailed(err)
		return
	}
	s.server = h
	s.up.op = proactor.Op{Kind: proactor.OpConnect, Owner: (*upward)(s), Handle: h, Addr: &s.upstream.addr}
	s.w.l.Submit(&s.up.op)
}

// Cancel ends the attempt.
func (d *Direct) Cancel(s *Session) { s.w.l.Cancel(&s.up.op) }

func (s *Session) connectDone(err error) {
	if err != nil {
		s.DialFailed(err)
		return
	}
	s.Connected(s.server)
}

// Prefix sets what the upstream is sent before anything of the client's, once
// this attempt is connected: a PROXY header, say. For dialers. The session owns
// p from now on.
func (s *Session) Prefix(p []byte) { s.up.relay.Head = p }

// Connected is a dialer's success. The session owns h from now on.
func (s *Session) Connected(h proactor.Handle) {
	s.server = h
	if s.phase == dialing && s.upstream.layer != nil {
		s.secureServer()
		return
	}
	s.reached()
}

// reached goes on once an upstream is connected to, and its layer carries bytes.
func (s *Session) reached() {
	s.connected, s.err = true, nil
	s.attempts++
	s.upstream.live.Add(1)
	s.upstream.connected()
	switch s.phase {
	case cutting:
		s.finish()
	case dialing:
		s.relay()
	default:
		panic("proxy: Connected of a session that is not at its dialer")
	}
}

// DialFailed is a dialer's failure: the next upstream is tried, or the client
// is reset. An upstream is marked as down for what is its own fault: not for
// a lack of descriptors or memory here, which no other upstream would cure.
func (s *Session) DialFailed(err error) {
	s.drop()
	s.attempts++
	if s.phase == cutting {
		s.upstream.spare()
		s.finish()
		return
	}
	if s.late {
		err, s.late = os.ErrDeadlineExceeded, false
	}
	s.err = err
	if local(err) {
		s.upstream.spare()
		s.refused()
		return
	}
	s.upstream.rest(s.w.now(), err)
	s.dial()
}

// dial makes the next attempt, or gives up.
func (s *Session) dial() {
	next := (*Upstream)(nil)
	if int(s.attempts) < s.w.p.o.Attempts {
		next = s.w.p.o.Route.Route(s)
	}
	if next == nil {
		s.refused()
		return
	}
	s.upstream, s.up.relay.Head = next, nil
	s.since = s.w.l.Now()
	s.arm(s.w.p.o.ConnectTimeout)
	s.w.p.o.Dial.Dial(s)
}

// refused resets the client because no upstream could be had.
func (s *Session) refused() {
	err := s.err
	if err == nil {
		err = ErrNoUpstream
	}
	s.note(NoUpstream, Server, err)
	s.finish()
}

// drop closes what Direct has opened for an attempt that failed. The upstream
// may have accepted it all the same, and must not take that for an empty request.
func (s *Session) drop() {
	if s.server != 0 {
		sockets := s.w.l.Sockets()
		sockets.Reset(s.server)
		sockets.CloseFD(s.server)
		s.server = 0
	}
}

var localErrors = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, proactor.ErrLimit, tls.ErrTooManyHandshakes}

// local reports whether err is this host's and not the upstream's.
func local(err error) bool {
	return slices.ContainsFunc(localErrors, func(e error) bool { return errors.Is(err, e) })
}

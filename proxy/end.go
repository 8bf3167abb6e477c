package proxy

import (
	"crypto/tls"
	"errors"

	"mobius/proactor"
	"mobius/transport"
	mtls "mobius/transport/tls"
)

// An end is one side of a session that has a pump: the protocol of its
// transport.
type end struct {
	s        *Session
	other    *end // once they are joined
	side     Side
	way      *pipe  // counts what comes from this side
	layer    Layer  // nil for none
	head     []byte // sent before the layer begins
	received []byte // of the layer, read by the filter
	t        transport.Transport
	state    endState
	peerDone bool // the peer has ended its stream
	full     bool // the transport has said PauseWriting last
	queued   int  // when pump.stirred last looked
}

// An endState is where an end is in its life.
//
//	shaking ──HandshakeCompleted; without a layer, at once──▶ ready
//	shaking, ready ──ConnectionLost──▶ over
type endState uint8

const (
	shaking endState = iota
	ready
	over
)

// newEnd makes a transport of a handle, which is no longer the session's.
func (s *Session) newEnd(side Side, h proactor.Handle, layer Layer, head, received []byte) *end {
	e := &end{s: s, side: side, way: &s.up, layer: layer, head: head, received: received}
	remote := s.peer
	if side == Server {
		e.way, remote = &s.down, s.upstream.addr
	}
	local, _, _ := s.w.l.Sockets().Names(h) // it is there for callbacks of a tls.Config; without it is an end all the same
	transport.NewConn(s.w.l, h, local, remote, &s.w.p.ends).Start(e)
	return e
}

// ConnectionMade puts the layer on the transport. Nothing is read beyond the
// handshake before the ends are joined.
func (e *end) ConnectionMade(t transport.Transport) {
	e.t = t
	if _, err := t.Write(e.head); err != nil {
		t.AbortConnection()
		return
	}
	if e.layer == nil {
		e.state = ready
		t.PauseReading()
		return
	}
	on, err := e.layer.Start(t, e.received)
	if err != nil {
		t.CloseWithError(err)
		t.AbortConnection()
		return
	}
	e.t, e.received = on, nil
	on.PauseReading()
}

// HandshakeCompleted goes on with the session.
func (e *end) HandshakeCompleted(tls.ConnectionState) {
	s := e.s
	defer s.rescue()
	e.state = ready
	switch s.phase {
	case securing:
		s.phase = dialing
		s.dial()
	case dialing:
		s.reached()
	}
}

// DataReceived passes bytes on. A side that takes no more has failed, and its
// own ConnectionLost follows.
func (e *end) DataReceived(p []byte) {
	s := e.s
	n, err := e.other.t.Write(p)
	if errors.Is(err, transport.ErrFull) {
		s.cut(Broken, e.other.side, err)
		return
	}
	e.way.moved(s, n)
}

// moved counts n bytes.
func (p *pipe) moved(s *Session, n int) {
	if n > 0 {
		p.relay.Moved.Add(int64(n))
		p.relay.Last.Store(int64(s.w.l.Now()))
	}
}

// ReadConnectionLost passes the end of the peer's stream on, behind what it
// has sent.
func (e *end) ReadConnectionLost() {
	s := e.s
	defer s.rescue()
	e.peerDone = true
	e.other.t.LoseWriteConnection()
	if s.phase == relaying || s.phase == halfClosed {
		s.halfCloses()
	}
}

// WriteConnectionLost is where ReadConnectionLost of the other end has arrived.
func (e *end) WriteConnectionLost() {}

// PauseWriting stops reading from the other side: this one does not take it.
func (e *end) PauseWriting() {
	e.full = true
	if e.other != nil {
		e.other.t.PauseReading()
	}
}

// ResumeWriting goes on reading from the other side.
func (e *end) ResumeWriting() {
	e.full = false
	if e.other != nil {
		e.other.t.ResumeReading()
	}
}

// ConnectionLost goes on with the session, or ends it.
func (e *end) ConnectionLost(err error) {
	defer e.s.rescue()
	e.state = over
	e.s.endLost(e, err)
}

// queuedNow returns how many bytes wait for the peer.
func (e *end) queuedNow() int {
	if e.state == over {
		return 0
	}
	q, ok := transport.As[transport.Queuer](e.t)
	if !ok {
		return 0
	}
	return q.Queued()
}

var (
	_ transport.HalfCloser   = (*end)(nil)
	_ transport.Drainer      = (*end)(nil)
	_ mtls.HandshakeListener = (*end)(nil)
)

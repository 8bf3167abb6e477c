package protocols

import (
	"fmt"

	"mobius"
)

// A State takes the n bytes that it was waiting for and returns the next state
// and how many bytes that one waits for. p is lent until it returns. A nil
// next state closes the connection once what was written is sent.
type State func(p []byte) (next State, n int)

// A StateProtocol is a machine that is fed its input by the number of bytes
// that each state asks for. (Twisted's StatefulProtocol.)
type StateProtocol interface {
	// ConnectionMade hands over the transport and returns the first state and
	// how many bytes it waits for.
	ConnectionMade(t mobius.Transport) (first State, n int)

	// ConnectionLost is the end; see [mobius.Protocol].
	ConnectionLost(err error)
}

// States returns the Protocol that feeds p. max is how many bytes a state may
// wait for at most; 0 means [DefaultMaxLength]. A state that asks for more, or
// for less than one, ends the connection with an error that wraps [ErrTooLong]
// or [ErrMalformed].
func States(p StateProtocol, max int) mobius.Protocol {
	if max <= 0 {
		max = DefaultMaxLength
	}
	s := &states{p: p}
	s.size.max = max
	return Frames(&s.size, s)
}

// states is a StateProtocol as a FrameProtocol.
type states struct {
	p    StateProtocol
	t    FrameTransport
	now  State
	size exact
}

// Unwrap gives the protocol's abilities to the stream.
func (s *states) Unwrap() any { return s.p }

func (s *states) ConnectionMade(t FrameTransport) {
	s.t = t
	s.next(s.p.ConnectionMade(t))
}

func (s *states) FrameReceived(p []byte) { s.next(s.now(p)) }

func (s *states) ConnectionLost(err error) { s.p.ConnectionLost(err) }

func (s *states) next(state State, n int) {
	s.now, s.size.n = state, n
	if state == nil {
		s.t.LoseConnection()
	}
}

// exact is the framing of the next n bytes, whatever they are.
type exact struct{ n, max int }

func (f *exact) Split(p []byte, _ int) ([]byte, int, error) {
	switch {
	case f.n < 1:
		return nil, 0, fmt.Errorf("a state that waits for %d bytes, want 1 or more: %w", f.n, ErrMalformed)
	case f.n > f.max:
		return nil, 0, tooLong("state", uint64(f.n), f.max)
	case len(p) < f.n:
		return nil, 0, nil
	}
	return p[:f.n], f.n, nil
}

func (f *exact) Append(dst, p []byte) ([]byte, error) { return append(dst, p...), nil }

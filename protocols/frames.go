package protocols

import (
	"mobius"
	"mobius/loop"
	"mobius/proactor"
)

// A FrameProtocol is a Protocol that receives messages. Its methods are called
// as a Protocol's are.
type FrameProtocol interface {
	// ConnectionMade hands over the transport.
	ConnectionMade(t FrameTransport)

	// FrameReceived delivers one message, without its frame. It is lent until
	// FrameReceived returns.
	FrameReceived(frame []byte)

	// ConnectionLost is the end; see [mobius.Protocol]. An incomplete message
	// is lost with it.
	ConnectionLost(err error)
}

// A RawReceiver is a FrameProtocol that also takes bytes as they come; see
// [FrameTransport].SetRaw. (Twisted's rawDataReceived.)
type RawReceiver interface {
	// RawReceived delivers bytes that are not framed, lent until it returns.
	RawReceived(p []byte)
}

// A FrameRejecter is a FrameProtocol that wants to know of a message that its
// framing does not take: one too long, or malformed. For one that is none the
// connection is closed with the framing's error as the reason. (Twisted's
// lineLengthExceeded and lengthLimitExceeded.)
type FrameRejecter interface {
	// FrameRejected is told what the framing said. p is what was received from
	// the message's beginning on, lent until it returns. Nothing more is
	// received from then on unless it calls SetFraming or SetRaw.
	FrameRejected(p []byte, err error)
}

// A FrameTransport is a Transport that sends messages.
//
// While it is paused no message is delivered, also of those that have been
// received. A Detach hands over what no message was made of.
type FrameTransport interface {
	mobius.Transport

	// SendFrame writes one message with its frame. The errors are the
	// framing's and Write's.
	SendFrame(frame []byte) error

	// SetRaw delivers what follows the message under way to the protocol's
	// RawReceived; it panics if the protocol is no RawReceiver.
	SetRaw()

	// SetFraming goes on with framing f, after SetRaw or in place of another,
	// from extra on, which stands before what is received next: what a
	// RawReceived has got too much. nil means the framing in use before. extra
	// is copied.
	SetFraming(f Framing, extra []byte)
}

// Frames returns the Protocol that runs p over a stream that is cut by f.
func Frames(f Framing, p FrameProtocol) mobius.Protocol {
	return &frames{framing: f, p: p}
}

// keep is the size from which on a buffer is not kept: one long message must
// not cost its length for as long as the connection lives.
const keep = 64 << 10

// frames is the Protocol towards the stream and the FrameTransport towards p.
type frames struct {
	mobius.Transport
	framing Framing
	p       FrameProtocol

	have    []byte // received, not delivered
	seen    int    // how much of have Split was given before
	scratch []byte // what SendFrame writes from
	flush   loop.Flush

	raw      bool
	paused   bool // the protocol has paused us
	held     bool // the stream below is paused
	busy     bool // in deliver, which looks at have after each message
	rejected bool
	closed   bool // nothing more is delivered
}

// Unwrap gives the protocol's abilities, such as HalfCloser, to the stream.
func (f *frames) Unwrap() any { return f.p }

func (f *frames) ConnectionMade(t mobius.Transport) {
	f.Transport = t
	f.flush.Owner = (*framesFlush)(f)
	f.p.ConnectionMade(&frameTransport{f})
}

func (f *frames) ConnectionLost(err error) {
	f.closed = true // have may be a Detach's, which comes next
	f.p.ConnectionLost(err)
}

// DataReceived cuts p where it lies, as long as nothing is left of before.
func (f *frames) DataReceived(p []byte) {
	switch {
	case f.closed || f.rejected:
	case len(f.have) > 0 || f.paused:
		f.have = append(f.have, p...)
		f.deliverKept()
	default:
		f.have = append(f.have[:0], f.deliver(p)...)
	}
}

// deliverKept delivers from what was kept.
func (f *frames) deliverKept() {
	have := f.have
	f.have = nil // a SetFraming inside puts its extra here
	f.have = append(have[:0], f.deliver(have)...)
	if len(f.have) == 0 && cap(f.have) > keep {
		f.have = nil
	}
}

// deliver hands out messages from p and returns what is left.
func (f *frames) deliver(p []byte) (rest []byte) {
	f.busy = true
	defer func() { f.busy = false }()
	for len(p) > 0 && !f.paused && !f.closed && !f.rejected {
		n := f.deliverOne(p)
		if n == 0 {
			return p
		}
		p = p[n:]
		if len(f.have) > 0 { // SetFraming's extra comes before the rest
			p = append(f.have, p...)
			f.have = nil
		}
	}
	if f.closed || f.rejected {
		return nil
	}
	return p
}

// deliverOne hands out the first message of p and returns how many bytes that
// took, 0 if it is not complete.
func (f *frames) deliverOne(p []byte) int {
	if f.raw {
		f.rawTo(p)
		return len(p)
	}
	frame, n, err := f.framing.Split(p, f.seen)
	switch {
	case err != nil:
		f.reject(p, err)
		return len(p)
	case n == 0:
		f.seen = len(p)
	default:
		f.seen = 0
		f.p.FrameReceived(frame)
	}
	return n
}

func (f *frames) rawTo(p []byte) {
	r, _ := mobius.As[RawReceiver](f.p)
	r.RawReceived(p)
}

func (f *frames) reject(p []byte, err error) {
	f.rejected, f.seen = true, 0
	if r, ok := mobius.As[FrameRejecter](f.p); ok {
		r.FrameRejected(p, err)
		return
	}
	f.closed = true
	f.Transport.CloseWithError(err)
}

// framesFlush is frames as the loop sees it.
type framesFlush frames

// Flush goes on after a ResumeReading: first with what was kept, then with
// the stream.
func (ff *framesFlush) Flush() {
	f := (*frames)(ff)
	if f.closed || f.paused {
		return
	}
	f.deliverKept()
	if !f.paused && !f.closed && f.held {
		f.held = false
		f.Transport.ResumeReading()
	}
}

// frameTransport is frames as its protocol sees it.
type frameTransport struct{ *frames }

var _ FrameTransport = (*frameTransport)(nil)

// Unwrap gives the stream's abilities to the protocol.
func (t *frameTransport) Unwrap() any { return t.frames.Transport }

func (t *frameTransport) SendFrame(frame []byte) error {
	var err error
	if t.scratch, err = t.framing.Append(t.scratch[:0], frame); err != nil {
		return err
	}
	_, err = t.Transport.Write(t.scratch)
	if cap(t.scratch) > keep {
		t.scratch = nil
	}
	return err
}

func (t *frameTransport) SetRaw() {
	if _, ok := mobius.As[RawReceiver](t.p); !ok {
		panic("protocols: SetRaw by a protocol without RawReceived")
	}
	t.raw, t.rejected, t.seen = true, false, 0
	t.more()
}

func (t *frameTransport) SetFraming(f Framing, extra []byte) {
	if f != nil {
		t.framing = f
	}
	t.raw, t.rejected, t.seen = false, false, 0
	if t.busy {
		t.have = append(t.have, extra...)
		return
	}
	t.have = append(extra[:len(extra):len(extra)], t.have...)
	t.more()
}

// more has what is kept looked at again, unless that is under way.
func (t *frameTransport) more() {
	if !t.busy && len(t.have) > 0 && !t.paused && !t.closed {
		t.Transport.Loop().AtTurnEnd(&t.flush)
	}
}

func (t *frameTransport) PauseReading() {
	t.paused, t.held = true, true
	t.Transport.PauseReading()
}

func (t *frameTransport) ResumeReading() {
	if !t.paused {
		return
	}
	t.paused = false
	if !t.closed {
		t.Transport.Loop().AtTurnEnd(&t.flush)
	}
}

func (t *frameTransport) LoseConnection() {
	t.closed = true
	t.Transport.LoseConnection()
}

func (t *frameTransport) AbortConnection() {
	t.closed = true
	t.Transport.AbortConnection()
}

func (t *frameTransport) CloseWithError(err error) {
	t.closed = true
	t.Transport.CloseWithError(err)
}

// Detach hands over what was kept before what the stream has kept.
func (t *frameTransport) Detach(done func(proactor.Handle, []byte, error)) error {
	return t.Transport.Detach(func(h proactor.Handle, unread []byte, err error) {
		if err == nil && len(t.have) > 0 {
			unread = append(t.have, unread...)
		}
		done(h, unread, err)
	})
}

package fake

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"syscall"

	"mobius"
	"mobius/flow"
	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// ErrDetach answers Detach of a [Transport].
var ErrDetach = errors.New("fake: a transport without a network has no handle to give away")

// A Transport is a mobius.Transport without a network: what is written to it is
// kept for the test to look at, and the test says what is received, and how it
// ends. (Twisted: StringTransport.)
//
// It keeps the promises of a mobius.Transport where they do not need a network:
// no method but Receive, Finish, End, Lose, Fill and Drain, and Advance of its
// clock, calls the protocol. It is stricter with what a transport ignores:
// PauseReading and ResumeReading once the close was asked for are misuse.
type Transport struct {
	// Local and Remote are its addresses. Defaults: 192.0.2.1:12345 and
	// 198.51.100.1:54321 (RFC 5737), TCP.
	Local, Remote mobius.Address

	// WriteError, if not nil, is the answer to every write;
	// transport.ErrFull for example.
	WriteError error

	// Fail is told of misuse; nil: it panics.
	Fail func(err error)

	clock  *Clock
	p      mobius.Protocol
	output flow.Consumer
	phase  phase
	why    *mobius.ConnError // what was asked for
	paused bool
	full   bool
	ended  bool // the peer has finished, and the protocol does not know yet
	shut   bool // WriteConnectionLost is due
	kept   []byte
	wrote  []byte
	flush  loop.Flush
}

// A phase is where a Transport is in its life.
//
//	open ──LoseWriteConnection──▶ halfClosed
//	open, halfClosed ──LoseConnection, CloseWithError──▶ closing
//	open, halfClosed, closing ──AbortConnection──▶ aborted
//	all ──End, Lose──▶ lost
type phase uint8

const (
	open phase = iota
	halfClosed
	closing
	aborted
	lost
)

// NewTransport returns a transport whose loop lives by c, or by a clock of its
// own if c is nil.
func NewTransport(c *Clock) *Transport {
	if c == nil {
		c = NewClock()
	}
	t := &Transport{
		Local:  proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{192, 0, 2, 1}), 12345),
		Remote: proactor.IPAddress(proactor.TCP, netip.AddrFrom4([4]byte{198, 51, 100, 1}), 54321),
		clock:  c,
	}
	t.flush.Owner = (*events)(t)
	t.output.Attach(t)
	return t
}

// Clock returns the clock that the transport's loop lives by.
func (t *Transport) Clock() *Clock { return t.clock }

// Start makes the transport p's: it calls ConnectionMade. (Twisted:
// makeConnection.)
func (t *Transport) Start(p mobius.Protocol) {
	t.p = p
	p.ConnectionMade(t)
}

// Receive delivers a copy of b as received. While reading is paused it is kept,
// and delivered by the Advance of the clock after the resume, or by the next
// Receive; once the close was asked for it is dropped. The copy is scribbled
// over when DataReceived has returned: it was lent.
func (t *Transport) Receive(b []byte) {
	if t.phase < closing && !t.ended {
		t.kept = append(t.kept, b...)
		t.deliver()
	}
}

// Finish says that the peer has finished: to a protocol that is a HalfCloser by
// ReadConnectionLost, else by the end of the connection. During a pause of
// reading that waits for the resume.
func (t *Transport) Finish() {
	if t.phase < closing {
		t.ended = true
		t.deliver()
	}
}

// deliver hands the protocol what it may have now.
func (t *Transport) deliver() {
	for len(t.kept) > 0 && !t.paused && t.phase < closing {
		p := t.kept
		t.kept = nil
		t.p.DataReceived(p)
		for i := range p {
			p[i] = '!'
		}
	}
	if t.paused || !t.ended || t.phase >= closing {
		return
	}
	t.ended = false
	if h, ok := mobius.As[mobius.HalfCloser](t.p); ok {
		h.ReadConnectionLost()
		return
	}
	t.Lose(io.EOF)
}

// End ends the connection as LoseConnection, CloseWithError or AbortConnection
// has asked for: it calls ConnectionLost, after StopProducing of the producer.
// Without such a call before it is misuse.
func (t *Transport) End() {
	if t.why == nil {
		misuse(t.Fail, "End of a transport that nobody has closed: Lose says how the network ends it")
		return
	}
	t.over(t.why)
}

// Lose ends the connection by the network: for io.EOF with Kind Done, else with
// Kind Lost and err as the cause, ECONNRESET if it is nil.
func (t *Transport) Lose(err error) {
	kind := mobius.Lost
	switch err {
	case io.EOF:
		kind = mobius.Done
	case nil:
		err = syscall.ECONNRESET
	}
	t.over(&mobius.ConnError{Op: "read", Addr: t.Remote, Kind: kind, Err: err})
}

func (t *Transport) over(why *mobius.ConnError) {
	if t.phase == lost {
		misuse(t.Fail, "a second end of a transport")
		return
	}
	t.phase, t.kept = lost, nil
	t.output.ConnectionLost(why)
	if t.p != nil {
		t.p.ConnectionLost(why)
	}
}

// Fill says that the output is long: to a protocol that is a Drainer, and to
// the transport's producer. Twice without a Drain is misuse. Nothing else makes
// it long.
func (t *Transport) Fill() { t.fill(true) }

// Drain says that the output is short again. Without a Fill it is misuse.
func (t *Transport) Drain() { t.fill(false) }

func (t *Transport) fill(full bool) {
	if t.full == full {
		misuse(t.Fail, "Fill and Drain do not alternate")
		return
	}
	t.full = full
	if t.phase != open {
		return
	}
	d, ok := mobius.As[mobius.Drainer](t.p)
	switch {
	case full:
		t.output.PauseWriting()
		if ok {
			d.PauseWriting()
		}
	default:
		t.output.ResumeWriting()
		if ok {
			d.ResumeWriting()
		}
	}
}

// Written returns what was written since the start, or the latest Clear. It
// must not be changed, and is valid until the next write. (Twisted: value.)
func (t *Transport) Written() []byte { return t.wrote }

// Clear forgets what was written.
func (t *Transport) Clear() { t.wrote = nil }

// Reading returns whether the transport produces what is received: Stopped once
// the close was asked for. (Twisted: producerState.)
func (t *Transport) Reading() State {
	switch {
	case t.phase >= closing:
		return Stopped
	case t.paused:
		return Paused
	}
	return Producing
}

// Closing reports whether LoseConnection or CloseWithError was called, and no
// end has come. (Twisted: disconnecting.)
func (t *Transport) Closing() bool { return t.phase == closing }

// Aborted reports whether AbortConnection was called, and no end has come.
func (t *Transport) Aborted() bool { return t.phase == aborted }

// WriteClosed reports whether a write is refused, since LoseWriteConnection or
// more was called.
func (t *Transport) WriteClosed() bool { return t.phase != open }

// Lost reports whether the end has come.
func (t *Transport) Lost() bool { return t.phase == lost }

// Reason returns the reason of the close that was asked for, nil if none was:
// what End will say.
func (t *Transport) Reason() error {
	if t.why == nil {
		return nil
	}
	return t.why
}

// RegisterProducer makes p the producer of the transport's output, as
// flow.Consumer does; that there is one is flow.ErrRegistered.
func (t *Transport) RegisterProducer(p flow.PushProducer) error {
	if t.phase >= closing {
		p.StopProducing()
		return nil
	}
	return t.output.RegisterProducer(p)
}

// RegisterPull makes p the producer, which is asked at once. Advance of the
// clock asks it again if it has written.
func (t *Transport) RegisterPull(p flow.PullProducer) error {
	if t.phase >= closing {
		p.StopProducing()
		return nil
	}
	return t.output.RegisterPull(p)
}

// UnregisterProducer ends the production. Without a producer it is misuse.
func (t *Transport) UnregisterProducer() {
	if !t.output.Registered() {
		misuse(t.Fail, "UnregisterProducer without a producer")
		return
	}
	t.output.UnregisterProducer()
}

// Registered reports whether there is a producer.
func (t *Transport) Registered() bool { return t.output.Registered() }

// events is a Transport as its loop sees it.
type events Transport

// Flush does what had to wait for the end of a call.
func (e *events) Flush() {
	t := (*Transport)(e)
	t.deliver()
	if h, ok := mobius.As[mobius.HalfCloser](t.p); ok && t.shut && t.phase == halfClosed {
		t.shut = false
		h.WriteConnectionLost()
	}
}

// notWritable is the answer to a write, nil if it is taken.
func (t *Transport) notWritable() error {
	if t.phase != open {
		return transport.ErrNotWritable
	}
	return t.WriteError
}

func (t *Transport) ask(to phase, k mobius.Kind, op string, err error) {
	if t.phase < to {
		t.phase = to
		t.why = &mobius.ConnError{Op: op, Addr: t.Remote, Kind: k, Err: err}
	}
}

func (t *Transport) lose(err error) {
	if err == nil {
		t.ask(closing, mobius.Done, "close", net.ErrClosed)
	} else {
		t.ask(closing, mobius.Failed, "close", err)
	}
}

package proxy

import (
	"time"

	"mobius/proactor"
)

// A Report tells how a session ended.
type Report struct {
	Client   proactor.Address // the client's address
	Listener proactor.Address // where it was accepted
	Upstream proactor.Address // the last upstream tried, invalid if none was
	Attempts int              // upstreams tried

	Over, UpstreamOver Layer // the listener's layer and the upstream's, nil for none

	Reason Reason
	Side   Side  // whose end, fault or silence it was
	Err    error // the cause, nil if there is none beyond Reason

	Sent     int64         // bytes from the client that the upstream's socket took; with a layer, its transport
	Received int64         // bytes from the upstream that the client's socket took; with a layer, its transport
	Duration time.Duration // from accept to end
}

// ClientURL returns the client's address, as people write it.
func (r *Report) ClientURL() string { return urlOf(r.Client) }

// ListenerURL returns where the client was accepted, as people write it.
func (r *Report) ListenerURL() string { return urlOver(r.Listener, r.Over) }

// UpstreamURL returns where the last upstream tried is, "" if none was.
func (r *Report) UpstreamURL() string { return urlOver(r.Upstream, r.UpstreamOver) }

// A Reason says why a session ended.
type Reason uint8

// The reasons. All but Done are a reset for whoever is still there.
const (
	Done       Reason = iota // both sides ended their streams and every byte was passed on
	Refused                  // the filter refused it, or a limit was reached
	NoUpstream               // no upstream could be connected to
	Broken                   // a side's connection failed: reset, or unreachable
	Idle                     // no byte either way for Options.IdleTimeout
	HalfClosed               // no byte for Options.HalfClosedTimeout after one side had ended
	Slow                     // the filter took longer than Options.AcceptTimeout
	Handshake                // the client's handshake failed, or took too long
	Drained                  // cut by the deadline of a drain
	Stopped                  // the loop stopped
	Panicked                 // a stage panicked
	reasons
)

var reasonNames = [reasons]string{
	"done", "refused", "no upstream", "broken", "idle", "half-closed", "slow", "handshake", "drained", "stopped", "panicked",
}

// String returns the reason in a word or two.
func (r Reason) String() string { return reasonNames[r] }

// A Side is one end of a session.
type Side uint8

// The sides.
const (
	Nobody Side = iota
	Client
	Server // the upstream
)

// String returns the side's name.
func (s Side) String() string { return [...]string{"nobody", "client", "upstream"}[s] }

package proxy

import (
	"fmt"
	"sync/atomic"

	"mobius/proactor"
)

// MaxUpstreams is how many upstreams a RoundRobin may have.
const MaxUpstreams = 64

// A RoundRobin is a Router and a FlowRouter that takes its upstreams in turn. Those that are
// marked as down come last: only a session that has tried all others gets them.
type RoundRobin struct {
	upstreams []*Upstream
	next      atomic.Uint32
}

// NewRoundRobin returns a router over the upstreams at addrs, 1 to [MaxUpstreams].
func NewRoundRobin(addrs ...proactor.Address) (*RoundRobin, error) {
	var upstreams []*Upstream
	for _, a := range addrs {
		upstreams = append(upstreams, NewUpstream(a))
	}
	return RoundRobinOf(upstreams...)
}

// RoundRobinOf returns a router over these upstreams, 1 to [MaxUpstreams].
func RoundRobinOf(upstreams ...*Upstream) (*RoundRobin, error) {
	if len(upstreams) == 0 || len(upstreams) > MaxUpstreams {
		return nil, fmt.Errorf("%d upstreams, want 1 to %d", len(upstreams), MaxUpstreams)
	}
	return &RoundRobin{upstreams: upstreams}, nil
}

// Upstreams returns the upstreams, for Status. The slice must not be changed.
func (r *RoundRobin) Upstreams() []*Upstream { return r.upstreams }

// RouteFlow returns the next upstream, if possible one that is up.
func (r *RoundRobin) RouteFlow(f *Flow) *Upstream {
	n := uint32(len(r.upstreams))
	start := r.next.Add(1) - 1
	for i := range n {
		if u := r.upstreams[(start+i)%n]; u.available(f.door.now()) {
			return u
		}
	}
	return r.upstreams[start%n]
}

// Route returns the next upstream that s has not tried.
func (r *RoundRobin) Route(s *Session) *Upstream {
	n := uint32(len(r.upstreams))
	start := r.next.Load()
	if s.attempts == 0 {
		start = r.next.Add(1) - 1
	}
	for i := range n {
		at := (start + i) % n
		if s.tried&(1<<at) == 0 && r.upstreams[at].Available(s) {
			s.tried |= 1 << at
			return r.upstreams[at]
		}
	}
	for i := range n {
		at := (start + i) % n
		if s.tried&(1<<at) == 0 {
			s.tried |= 1 << at
			return r.upstreams[at]
		}
	}
	return nil
}

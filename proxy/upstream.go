package proxy

import (
	"sync/atomic"
	"time"

	"mobius/proactor"
)

// How long a failed upstream is left alone: firstRest after the first failure,
// twice that after each further one in a row, lastRest at most.
const (
	firstRest = time.Second
	lastRest  = 30 * time.Second
)

// An Upstream is somewhere to forward to. It is marked as down when connecting
// to it fails and left alone for a while; then one session tries it again, and
// the others follow if that worked. All methods may be called from any
// goroutine.
type Upstream struct {
	addr  proactor.Address
	layer Layer // nil for none

	live     atomic.Int64
	total    atomic.Uint64
	failed   atomic.Uint64
	sent     atomic.Int64
	received atomic.Int64

	failures atomic.Int32 // in a row; 0 is up
	retryAt  atomic.Int64 // while down: the proxy's time in ns at which one session may try
	lastErr  atomic.Pointer[string]
}

// NewUpstream returns the upstream at addr.
func NewUpstream(addr proactor.Address) *Upstream { return NewUpstreamOver(addr, nil) }

// NewUpstreamOver returns the upstream at addr, which is spoken to over a layer,
// [TLSClient] for example. An attempt to connect includes the handshake.
func NewUpstreamOver(addr proactor.Address, layer Layer) *Upstream {
	return &Upstream{addr: addr, layer: layer}
}

// Addr returns where the upstream is.
func (u *Upstream) Addr() proactor.Address { return u.addr }

// URL returns where the upstream is, as people write it.
func (u *Upstream) URL() string { return urlOver(u.addr, u.layer) }

// Available reports whether s should try u: it is up, or has rested long
// enough, and then only one caller is told so until that try has ended.
func (u *Upstream) Available(s *Session) bool { return u.available(s.w.now()) }

func (u *Upstream) available(now time.Duration) bool {
	if u.failures.Load() == 0 {
		return true
	}
	at := u.retryAt.Load()
	return int64(now) >= at && u.retryAt.CompareAndSwap(at, int64(now+lastRest))
}

// rest marks u as down from now on.
func (u *Upstream) rest(now time.Duration, err error) {
	u.failed.Add(1)
	pause := lastRest
	if n := u.failures.Add(1); n < 6 {
		pause = min(firstRest<<(n-1), lastRest)
	}
	u.retryAt.Store(int64(now + pause))
	text := err.Error()
	u.lastErr.Store(&text)
}

// connected marks u as up.
func (u *Upstream) connected() {
	u.total.Add(1)
	if u.failures.Load() != 0 {
		u.failures.Store(0)
	}
}

// spare ends a try that told nothing about u: if it was the one try of an
// upstream that is down, the next session may make it.
func (u *Upstream) spare() {
	if u.failures.Load() != 0 {
		u.retryAt.Store(0)
	}
}

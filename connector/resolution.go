package connector

import (
	"net/netip"

	"mobius/loop"
	"mobius/proactor"
)

// A Question is what a [StreamResolver] is asked.
type Question struct {
	Host    string           // a name, or a numeric address
	Port    uint16           // of the addresses that are the answer
	Network proactor.Network // of the addresses: TCP, which 0 means too, or UDP
	Family  Family           // which of them
}

// A Family says which IP addresses are wanted.
type Family uint8

// The families.
const (
	AnyFamily Family = iota
	IPv4
	IPv6
)

func (f Family) has(ip netip.Addr) bool { return f == AnyFamily || (f == IPv4) == ip.Is4() }

// A Receiver is told the answer to a [Question] piece by piece: Twisted's
// IResolutionReceiver. The calls come on the loop's goroutine: ResolutionBegan
// once and first, AddressResolved any number of times, ResolutionComplete once
// and last, unless the resolution was cancelled: then nothing comes any more.
//
// A failure is a completion without an address; [Resolution.Err] tells why.
type Receiver interface {
	// ResolutionBegan is called inside ResolveHost.
	ResolutionBegan(r *Resolution)
	AddressResolved(a proactor.Address)
	ResolutionComplete()
}

// A StreamResolver gives answers piece by piece: Twisted's IHostnameResolver.
// [Streamed] makes one of a [Resolver], [Collected] the other way round.
type StreamResolver interface {
	// ResolveHost begins to answer q. It is for l's goroutine.
	ResolveHost(l *loop.Loop, q Question, to Receiver) *Resolution
}

// A Resolution is one answer under way: Twisted's IHostResolution.
type Resolution struct {
	Question Question

	cancel func()
	err    error
	over   bool
}

// NewResolution returns a resolution for a StreamResolver of one's own, which
// gives it to ResolutionBegan. cancel is called by Cancel, at most once.
func NewResolution(q Question, cancel func()) *Resolution {
	return &Resolution{Question: q, cancel: cancel}
}

// Cancel ends the resolution: its receiver is not called any more. It does
// nothing once ResolutionComplete was called.
func (r *Resolution) Cancel() {
	if r.over {
		return
	}
	r.over = true
	if r.cancel != nil {
		r.cancel()
	}
}

// Err returns why there is no address, once the resolution is complete.
func (r *Resolution) Err() error { return r.err }

// Finish notes that the resolution is complete, and why it has no address. It
// reports whether the receiver is to be told: not after a Cancel. It is for
// StreamResolvers.
func (r *Resolution) Finish(err error) bool {
	if r.over {
		return false
	}
	r.over, r.err = true, err
	return true
}

// Streamed is a StreamResolver made of a Resolver.
type Streamed struct{ Resolver Resolver }

// ResolveHost implements [StreamResolver].
func (s Streamed) ResolveHost(l *loop.Loop, q Question, to Receiver) *Resolution {
	r := NewResolution(q, nil)
	to.ResolutionBegan(r)
	if r.over {
		return r
	}
	network := q.Network
	if network == proactor.NoNetwork {
		network = proactor.TCP
	}
	host, err := ASCIIHost(q.Host)
	if err != nil {
		finish := &loop.Flush{}
		finish.Owner = flushFunc(func() { s.finish(r, to, err) })
		l.AtTurnEnd(finish)
		return r
	}
	r.cancel = s.Resolver.Resolve(l, host, func(ips []netip.Addr, err error) {
		for _, ip := range ips {
			if r.over {
				return
			}
			if a := proactor.IPAddress(network, ip, q.Port); a.IP().IsValid() && q.Family.has(a.IP()) {
				to.AddressResolved(a)
			}
		}
		s.finish(r, to, err)
	})
	return r
}

func (Streamed) finish(r *Resolution, to Receiver, err error) {
	if r.Finish(err) {
		to.ResolutionComplete()
	}
}

// A flushFunc is called at the end of a turn.
type flushFunc func()

// Flush calls f.
func (f flushFunc) Flush() { f() }

// Collected is a Resolver made of a StreamResolver. No address is an error.
type Collected struct {
	From   StreamResolver
	Family Family
}

// Resolve implements [Resolver].
func (c Collected) Resolve(l *loop.Loop, host string, done func([]netip.Addr, error)) (cancel func()) {
	k := &collector{l: l, done: done}
	r := c.From.ResolveHost(l, Question{Host: host, Family: c.Family}, k)
	return func() {
		k.done = nil
		r.Cancel()
	}
}

// A collector is the receiver of a Collected.
type collector struct {
	l     *loop.Loop
	r     *Resolution
	ips   []netip.Addr
	flush loop.Flush
	done  func([]netip.Addr, error)
}

// ResolutionBegan implements [Receiver].
func (k *collector) ResolutionBegan(r *Resolution) { k.r = r }

// AddressResolved implements [Receiver].
func (k *collector) AddressResolved(a proactor.Address) { k.ips = append(k.ips, a.IP()) }

// ResolutionComplete implements [Receiver]. It may be inside Resolve: done is
// told later.
func (k *collector) ResolutionComplete() {
	k.flush.Owner = k
	k.l.AtTurnEnd(&k.flush)
}

// Flush tells the answer.
func (k *collector) Flush() {
	err := k.r.Err()
	if err == nil && len(k.ips) == 0 {
		err = ErrNoAddress
	}
	if done := k.done; done != nil {
		k.done = nil
		done(k.ips, err)
	}
}

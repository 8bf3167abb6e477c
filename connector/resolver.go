package connector

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"mobius/loop"
	"mobius/proactor"
)

// A Resolver looks host names up. Its methods are for l's goroutine.
type Resolver interface {
	// Resolve looks host up and calls done with its addresses, in the order in
	// which they are to be tried, or with an error: once, on l's goroutine, and
	// never inside Resolve. cancel ends the lookup; done may be called after
	// it or not, nobody listens any more.
	Resolve(l *loop.Loop, host string, done func(addresses []netip.Addr, err error)) (cancel func())
}

// ErrTooManyLookups is the error of a lookup for which there is no room; see
// [SystemResolver].
var ErrTooManyLookups = errors.New("too many lookups wait already")

// The defaults of a SystemResolver.
const (
	DefaultLookupTimeout  = 60 * time.Second
	DefaultLookups        = 16
	DefaultLookupsWaiting = 1024
)

// SystemResolver asks [proactor.Sockets].LookupHost away from the loop, in the
// backend's bounded pool of workers. A numeric address is its own answer, at
// once. It is the default, with the zero value of every field.
type SystemResolver struct {
	// Timeout bounds one lookup, the time that it waits for others included.
	// The error is a *net.DNSError that says so, and is os.ErrDeadlineExceeded.
	// Default 60 s; negative: none.
	Timeout time.Duration

	// Lookups is how many names are looked up at once on one loop, so that
	// a server of names that does not answer leaves workers to others. Default
	// 16. Waiting is how many more may wait, in the order in which they came; one
	// beyond that fails with [ErrTooManyLookups]. Default 1024; negative: none.
	Lookups, Waiting int
}

// Resolve implements [Resolver].
func (r SystemResolver) Resolve(l *loop.Loop, host string, done func([]netip.Addr, error)) (cancel func()) {
	k := &lookup{l: l, host: host, done: done}
	e := (*lookupEvents)(k)
	k.op = proactor.Op{Kind: proactor.OpWork, Owner: e}
	k.timer.Owner, k.flush.Owner = e, e
	if ip, err := netip.ParseAddr(host); err == nil {
		k.answer([]netip.Addr{ip}, nil)
		return k.cancel
	}
	all := lookupsOf(l)
	switch {
	case all.active < max(orCount(r.Lookups, DefaultLookups), 1):
		k.start()
	case len(all.waiting) < orCount(r.Waiting, DefaultLookupsWaiting):
		all.waiting = append(all.waiting, k)
	default:
		k.answer(nil, &net.DNSError{UnwrapErr: ErrTooManyLookups, Err: ErrTooManyLookups.Error(), Name: host, IsTemporary: true})
		return k.cancel
	}
	if d := orDefault(r.Timeout, DefaultLookupTimeout); d > 0 {
		l.Start(&k.timer, d)
	}
	return k.cancel
}

// orCount returns n, def if it is 0, and 0 if it is negative.
func orCount(n, def int) int {
	if n == 0 {
		return def
	}
	return max(n, 0)
}

// lookups are those of one loop.
type lookups struct {
	active  int
	waiting []*lookup
}

type lookupsKey struct{}

func lookupsOf(l *loop.Loop) *lookups {
	return l.Local(lookupsKey{}, func() any { return &lookups{} }).(*lookups)
}

// A lookup outlives whoever asked, if its Func has begun.
//
//	         room                Func has returned
//	waiting ──────▶ running ───────────────────────▶ gone; done is told, unless it was
//	   │                │ cancel, timeout: done is told, or nobody; its context ends
//	   └────────────────┴──▶ gone
type lookup struct {
	op        proactor.Op
	l         *loop.Loop
	host      string
	stop      context.CancelFunc // of the running Func
	found     []netip.Addr       // Func's
	failed    error              // Func's
	timer     loop.Timer
	flush     loop.Flush
	addresses []netip.Addr // the answer
	err       error
	done      func([]netip.Addr, error) // nil once it was told, or nobody listens
}

func (k *lookup) start() {
	lookupsOf(k.l).active++
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	sockets := k.l.Sockets()
	k.op.Func = func() { k.found, k.failed = sockets.LookupHost(ctx, k.host) }
	k.l.Submit(&k.op)
}

// answer has done told at the end of the turn.
func (k *lookup) answer(addresses []netip.Addr, err error) {
	k.addresses, k.err = addresses, err
	k.l.AtTurnEnd(&k.flush)
}

// cancel ends the lookup: nobody listens.
func (k *lookup) cancel() {
	k.done = nil
	k.end()
}

// end ends whatever of the lookup is still to come.
func (k *lookup) end() {
	k.timer.Stop()
	if k.stop != nil {
		k.stop()
		k.l.Cancel(&k.op) // if it has not begun; else it ends as its context has
		return
	}
	all := lookupsOf(k.l)
	for i, other := range all.waiting {
		if other == k {
			all.waiting = append(all.waiting[:i], all.waiting[i+1:]...)
			return
		}
	}
}

// tell tells done the answer, once.
func (k *lookup) tell(addresses []netip.Addr, err error) {
	if done := k.done; done != nil {
		k.done = nil
		done(addresses, err)
	}
}

// lookupEvents is a lookup as its operation, its timer and its loop see it.
type lookupEvents lookup

// Complete passes the answer on, and the worker to the next.
func (e *lookupEvents) Complete(op *proactor.Op) {
	k := (*lookup)(e)
	k.stop()
	k.timer.Stop()
	all := lookupsOf(k.l)
	all.active--
	if len(all.waiting) > 0 {
		next := all.waiting[0]
		all.waiting = append(all.waiting[:0], all.waiting[1:]...)
		next.start()
	}
	if op.Err != nil {
		k.failed = op.Err
	}
	k.tell(k.found, k.failed)
}

// Flush tells an answer that needed no lookup.
func (e *lookupEvents) Flush() { (*lookup)(e).tell(e.addresses, e.err) }

// Expire is the timeout.
func (e *lookupEvents) Expire(*loop.Timer) {
	k := (*lookup)(e)
	k.end()
	k.tell(nil, &net.DNSError{UnwrapErr: os.ErrDeadlineExceeded, Err: "no answer in time", Name: k.host, IsTimeout: true})
}

package connector

import (
	"context"
	"net/netip"

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

// SystemResolver asks [proactor.Sockets].LookupHost away from the loop, in the
// backend's bounded pool of workers. It is the default.
type SystemResolver struct{}

// Resolve implements [Resolver].
func (SystemResolver) Resolve(l *loop.Loop, host string, done func([]netip.Addr, error)) (cancel func()) {
	ctx, stop := context.WithCancel(context.Background())
	k := &lookup{done: done, stop: stop}
	k.op = proactor.Op{Kind: proactor.OpWork, Owner: k}
	sockets := l.Sockets()
	k.op.Func = func() { k.addresses, k.err = sockets.LookupHost(ctx, host) }
	l.Submit(&k.op)
	return func() {
		stop()
		l.Cancel(&k.op) // if it has not begun; else it ends as its context has
	}
}

// A lookup outlives whoever asked, if its Func has begun.
type lookup struct {
	op        proactor.Op
	stop      func()
	addresses []netip.Addr
	err       error
	done      func([]netip.Addr, error)
}

// Complete passes the answer on.
func (k *lookup) Complete(op *proactor.Op) {
	k.stop()
	if op.Err != nil {
		k.err = op.Err
	}
	k.done(k.addresses, k.err)
}

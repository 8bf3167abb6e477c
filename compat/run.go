package compat

import (
	"context"
	"errors"
	"time"
)

// shortestTick is the shortest delay of OnTick.
const shortestTick = time.Millisecond

// Run listens at protoAddr and serves until the engine ends: by
// [Engine.Stop], or by Shutdown of one of h's methods. protoAddr is
// "tcp://HOST:PORT", likewise tcp4, tcp6, udp, udp4 and udp6, or "unix://PATH".
// An empty host means all; a name is looked up.
//
// The error is that of an address that cannot be had, of an option that does not
// work, or of a loop that has failed.
func Run(h EventHandler, protoAddr string, opts ...Option) error {
	return Rotate(h, []string{protoAddr}, opts...)
}

// Rotate is [Run] with several addresses.
func Rotate(h EventHandler, addrs []string, opts ...Option) error {
	if len(addrs) == 0 {
		return ErrInvalidNetworkAddress
	}
	e, err := newEngine(h, opts)
	if err != nil {
		return err
	}
	defer close(e.done)
	defer func() { _ = e.r.Close() }() // of a reactor that has not run, or after a panic of OnBoot; else it does nothing
	for _, a := range addrs {
		if err := e.listen(a); err != nil {
			return err
		}
	}
	if h.OnBoot(Engine{e}) == Shutdown {
		return nil
	}
	err = e.run(context.Background())
	h.OnShutdown(Engine{e})
	return err
}

// run serves until the end.
func (e *engine) run(ctx context.Context) error {
	if e.o.Ticker {
		e.loops[0].l.Start(&e.tick, 0)
	}
	err := e.r.Run(ctx)
	e.stopping.Store(true)
	return errors.Join(err, e.o.closeLog())
}

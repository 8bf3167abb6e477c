package compat

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"

	"mobius"
	"mobius/loop"
)

// An Engine is what OnBoot and OnShutdown are told of. Its methods are for any
// goroutine.
type Engine struct{ eng *engine }

// engine is what Run runs, and what a Client has.
type engine struct {
	handler   EventHandler
	half      HalfCloser // the handler, if it is one
	pacer     Pacer      // likewise
	o         *Options
	r         *mobius.Reactor
	loops     []*eventLoop
	listeners []*listener
	piece     int // the most bytes of one OnTraffic; 0: no limit
	readLimit int
	tasks     sync.Pool
	tick      loop.Timer

	conns    atomic.Int64
	turn     atomic.Uint32 // whose the next connection is
	stopping atomic.Bool
	draining atomic.Int32  // loops that have not drained
	done     chan struct{} // closed when all is over
}

// newEngine makes an engine that does not run yet.
func newEngine(h EventHandler, opts []Option) (*engine, error) {
	o, err := loadOptions(opts)
	if err != nil {
		return nil, err
	}
	e := &engine{handler: h, o: o, done: make(chan struct{}), piece: o.piece(), readLimit: o.ReadLimit}
	e.half, _ = h.(HalfCloser)
	e.pacer, _ = h.(Pacer)
	e.tasks.New = newTask
	log, err := o.logger()
	if err != nil {
		return nil, err
	}
	e.r, err = mobius.New(mobius.Options{Backend: o.Backend, Open: o.Open, Loops: o.loops(), Logger: log})
	if err != nil {
		return nil, err
	}
	for _, l := range e.r.Loops() {
		el := &eventLoop{e: e, l: l}
		el.timer.Owner = el
		e.loops = append(e.loops, el)
	}
	e.draining.Store(int32(len(e.loops)))
	e.tick.Owner = e
	return e, nil
}

func (e *engine) loopOf(l *mobius.Loop) *eventLoop {
	for _, el := range e.loops {
		if el.l == l {
			return el
		}
	}
	return nil
}

// BuildProtocol makes the engine the factory of its ports.
func (e *engine) BuildProtocol(mobius.Address) mobius.Protocol { return &conn{e: e} }

// Expire is the ticker.
func (e *engine) Expire(*loop.Timer) {
	delay, action := e.handler.OnTick()
	if action == Shutdown {
		e.shutdown()
		return
	}
	if !e.stopping.Load() {
		e.loops[0].l.Start(&e.tick, max(delay, shortestTick))
	}
}

// answered deals with the error that a callback has returned.
func (e *engine) answered(l *mobius.Loop, err error) {
	switch {
	case errors.Is(err, ErrEngineShutdown):
		e.shutdown()
	case err != nil:
		l.Log().Warn("compat: a callback has returned an error", "error", err, "loop", l.Name())
	}
}

// next returns the loop of the next connection.
func (e *engine) next() *eventLoop { return e.loops[int(e.turn.Add(1)-1)%len(e.loops)] }

// Validate returns nil if the engine runs, [ErrEmptyEngine], or
// [ErrEngineInShutdown].
func (g Engine) Validate() error {
	switch {
	case g.eng == nil || len(g.eng.listeners) == 0:
		return ErrEmptyEngine
	case g.eng.stopping.Load():
		return ErrEngineInShutdown
	}
	return nil
}

// CountConnections returns how many connections there are, -1 if the engine
// does not run.
func (g Engine) CountConnections() int {
	if g.Validate() != nil {
		return -1
	}
	return int(g.eng.conns.Load())
}

// Reactor returns the reactor that the engine runs on, nil if there is none: for
// whatever else is to run on its loops.
func (g Engine) Reactor() *mobius.Reactor {
	if g.eng == nil {
		return nil
	}
	return g.eng.r
}

// Addr returns the address that the i-th address given to [Run] or [Rotate] is
// bound to, with the port that the kernel chose if 0 was asked for; nil if
// there is none.
func (g Engine) Addr(i int) net.Addr {
	if g.eng == nil || i < 0 || i >= len(g.eng.listeners) {
		return nil
	}
	return g.eng.listeners[i].addr().NetAddr()
}

// Register makes the net.Conn that [NewNetConnContext] has put into ctx, or one
// to the address of [NewNetAddrContext], a connection of the engine's; see
// [EventLoop].
func (g Engine) Register(ctx context.Context) (<-chan RegisteredResult, error) {
	if err := g.Validate(); err != nil {
		return nil, err
	}
	if c, ok := FromNetConnContext(ctx); ok {
		return g.eng.next().Enroll(ctx, c)
	}
	if addr, ok := FromNetAddrContext(ctx); ok {
		return g.eng.next().Register(ctx, addr)
	}
	return nil, ErrInvalidNetworkAddress
}

// Stop ends the engine: nothing more is accepted, every connection is closed
// once what was written to it is sent, OnShutdown is called, Run returns, and
// then Stop. If ctx ends first, what is left is cut off, and Stop returns ctx's
// error. On a loop's goroutine, in a handler's method, it would wait for
// itself: there it only begins, and returns [ErrOnLoop].
func (g Engine) Stop(ctx context.Context) error {
	if err := g.Validate(); err != nil {
		return err
	}
	return g.eng.stop(ctx)
}

func (e *engine) stop(ctx context.Context) error {
	e.shutdown()
	if e.r.OnLoop() {
		return ErrOnLoop
	}
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		_ = e.r.Stop() // an error means that it stops already
		<-e.done
		return ctx.Err()
	}
}

// on runs f on l's goroutine, or on the caller's before the engine runs, and
// returns when it has returned.
func (e *engine) on(l *mobius.Loop, f func()) error {
	if l.OnGoroutine() {
		f()
		return nil
	}
	ran := make(chan struct{})
	if err := l.Call(func() { defer close(ran); f() }); err != nil {
		return err
	}
	<-ran
	return nil
}

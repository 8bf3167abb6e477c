package proxy

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/transport"
)

// A Proxy forwards what its listeners accept. Make one with [New].
type Proxy struct {
	o        Options
	ends     transport.Options // of sides that have a transport
	workers  []*worker
	live     atomic.Int64 // sessions, and connections on their way from loop to loop
	draining atomic.Bool
	idle     chan struct{} // holds one token after live became 0 while draining
	past     history

	mu        sync.Mutex
	listeners []*listener
}

// New returns a proxy whose sessions live on loops. It is called before the
// loops run. What it needs of a loop's end it is told by the loop.
func New(loops []*loop.Loop, o Options) (*Proxy, error) {
	if len(loops) == 0 {
		return nil, errors.New("proxy: no loops")
	}
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	p := &Proxy{o: o, ends: o.ends(), idle: make(chan struct{}, 1)}
	for _, l := range loops {
		w := newWorker(p, l, loops[0])
		l.Join(&w.member)
		p.workers = append(p.workers, w)
		if o.Sample > 0 {
			l.Start(&w.sampling, o.Sample)
		}
	}
	if o.Sample > 0 {
		p.keepSample()
	}
	return p, nil
}

// Addrs returns the addresses that the proxy listens on. Any goroutine.
func (p *Proxy) Addrs() []proactor.Address {
	p.mu.Lock()
	defer p.mu.Unlock()
	addrs := make([]proactor.Address, 0, len(p.listeners))
	for _, ln := range p.listeners {
		if !slices.Contains(addrs, ln.addr) { // several loops may listen on one
			addrs = append(addrs, ln.addr)
		}
	}
	return addrs
}

// URLs returns where the proxy listens, as people write it: tcp://HOST:PORT,
// unix://PATH, or with a layer's scheme. Any goroutine.
func (p *Proxy) URLs() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var urls []string
	for _, ln := range p.listeners {
		if url := ln.url(); !slices.Contains(urls, url) { // several loops may listen on one
			urls = append(urls, url)
		}
	}
	return urls
}

// Live returns the number of sessions. Any goroutine.
func (p *Proxy) Live() int { return int(p.live.Load()) }

// gone counts the end of a session, or of a connection that became none.
func (p *Proxy) gone() {
	if p.live.Add(-1) == 0 && p.draining.Load() {
		select {
		case p.idle <- struct{}{}:
		default:
		}
	}
}

// Drain stops listening, which frees the ports; sessions go on to their ends.
// Any goroutine; it does not wait.
func (p *Proxy) Drain() {
	if p.draining.Swap(true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ln := range p.listeners {
		ln.stop()
	}
}

// Cut ends all sessions by a reset of both sides, with the reason Drained. Any
// goroutine; it does not wait.
func (p *Proxy) Cut() {
	for _, w := range p.workers {
		w.l.Insist(func() { w.cutAll(Drained) }) // a loop that has stopped has no sessions
	}
}

// Shutdown drains the proxy: it stops listening and waits until the last
// session has ended; when ctx ends first, what is left is cut, and ctx's error
// returned. It must not be called on a loop's goroutine.
func (p *Proxy) Shutdown(ctx context.Context) error {
	p.Drain()
	p.mu.Lock()
	listeners := slices.Clone(p.listeners)
	p.mu.Unlock()
	for _, ln := range listeners {
		select {
		case <-ln.stopped:
		case <-ln.w.l.Done():
		case <-ctx.Done():
		}
	}
	expired := ctx.Done()
	var again <-chan time.Time
	var err error
	for p.live.Load() > 0 {
		select {
		case <-p.idle:
			continue
		case <-expired:
			err, expired = ctx.Err(), nil
		case <-again: // a connection was on its way from one loop to another
		}
		p.Cut()
		again = time.After(tick)
	}
	return err
}

// tick is how long after a cut whatever escaped it is cut once more.
const tick = 20 * time.Millisecond

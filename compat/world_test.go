package compat

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// patience bounds every wait of a test.
const patience = 30 * time.Second

// A world is a kind of backend that engines of a test run on.
type world struct {
	*testing.T
	open func(int) (proactor.Backend, error)
	real bool
	tiny bool // its limits are tiny
}

// each runs f on the simulator, on each real backend, and on those with tiny
// limits.
func each(t *testing.T, f func(w *world)) {
	t.Run("sim", func(t *testing.T) {
		net := sim.New(sim.Options{Seed: 1, Faults: sim.NoFaults, Foreign: true})
		t.Cleanup(func() {
			if err := net.Leaks(); err != nil {
				t.Error(err)
			}
		})
		f(&world{T: t, open: func(int) (proactor.Backend, error) { return net.Open() }})
	})
	eachReal(t, f)
	for _, b := range backends.Hostile() {
		t.Run(b.Name+", "+b.Limits, func(t *testing.T) { onReal(t, b, true, f) })
	}
}

// eachReal is each without the simulator and tiny limits.
func eachReal(t *testing.T, f func(w *world)) {
	for _, b := range backends.Real() {
		t.Run(b.Name, func(t *testing.T) { onReal(t, b, false, f) })
	}
}

func onReal(t *testing.T, b backends.Backend, tiny bool, f func(w *world)) {
	testenv.Leaks(t)
	f(&world{T: t, real: true, tiny: tiny, open: func(int) (proactor.Backend, error) {
		backend, err := b.Open()
		if err != nil {
			testenv.Missing(t, "%s: %v", b.Name, err)
		}
		return backend, err
	}})
}

// options returns opts on the world's backend.
func (w *world) options(opts []Option) []Option {
	return append([]Option{WithOpen(w.open), WithLogger(silent{})}, opts...)
}

// silent is a Logger.
type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}

// A served is an engine that a test has started.
type served struct {
	eng Engine
	ran chan error
}

// booted passes an engine on from OnBoot.
type booted struct {
	EventHandler
	ready chan Engine
}

func (b *booted) OnBoot(eng Engine) Action {
	defer func() { b.ready <- eng }()
	return b.EventHandler.OnBoot(eng)
}

// serve runs an engine until the test is over.
func (w *world) serve(h EventHandler, addr string, opts ...Option) *served {
	w.Helper()
	s := &served{ran: make(chan error, 1)}
	b := &booted{h, make(chan Engine, 1)}
	wrapped := EventHandler(b)
	if half, ok := h.(HalfCloser); ok {
		wrapped = struct {
			EventHandler
			HalfCloser
		}{b, half}
	}
	if pacer, ok := h.(Pacer); ok {
		wrapped = struct {
			EventHandler
			Pacer
		}{b, pacer}
	}
	go func() { s.ran <- Run(wrapped, addr, w.options(opts)...) }()
	select {
	case s.eng = <-b.ready:
	case err := <-s.ran:
		w.Fatalf("Run: %v", err)
	}
	w.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = s.eng.Stop(ctx) // it may have ended
		if err := wait(w, s.ran); err != nil {
			w.Errorf("Run: %v", err)
		}
		s.ran <- nil
	})
	return s
}

func (s *served) address() string { return s.eng.Addr(0).String() }

// client runs a client until the test is over.
func (w *world) client(h EventHandler, opts ...Option) *Client {
	w.Helper()
	c, err := NewClient(h, w.options(opts)...)
	if err != nil {
		w.Fatal(err)
	}
	if err := c.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		if err := c.Stop(); err != nil {
			w.Errorf("Stop: %v", err)
		}
	})
	return c
}

func wait[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("not after %v", patience)
		panic("not reached")
	}
}

// A peer collects what a client's connections receive.
type peer struct {
	BuiltinEventEngine
	mu     sync.Mutex
	got    []byte
	closed chan error
}

func newPeer() *peer { return &peer{closed: make(chan error, 100)} }

func (p *peer) OnTraffic(c Conn) Action {
	b, _ := c.Next(-1)
	p.mu.Lock()
	p.got = append(p.got, b...)
	p.mu.Unlock()
	return None
}

func (p *peer) OnClose(_ Conn, err error) Action {
	p.closed <- err
	return None
}

func (p *peer) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.got)
}

// dial connects as package net does, on a real backend.
func dial(t testing.TB, s *served) net.Conn {
	t.Helper()
	a := s.eng.Addr(0)
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

func ask(t testing.TB, c net.Conn, question string, n int) string {
	t.Helper()
	if _, err := io.WriteString(c, question); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, n)
	if m, err := io.ReadFull(c, answer); err != nil {
		t.Fatalf("after %q: %v", answer[:m], err)
	}
	return string(answer)
}

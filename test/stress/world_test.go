package stress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius"
	"mobius/internal/invariant"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backends"
)

// patience is how long a client waits for anything.
func patience() time.Duration { return 4 * testenv.Patience() }

// A site is a reactor that runs, and a port of it.
type site struct {
	*testing.T
	*mobius.Reactor
	hostile bool // its limits are tiny
	log     lines
}

// lines counts what a reactor logs beyond debugging.
type lines struct {
	slog.Handler
	mu   sync.Mutex
	text []string
}

func (l *lines) Enabled(_ context.Context, at slog.Level) bool { return at >= slog.LevelInfo }

func (l *lines) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := r.Message
	r.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	l.text = append(l.text, text)
	return nil
}

func (l *lines) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l *lines) WithGroup(string) slog.Handler      { return l }

// each runs f on every backend with its own limits, on one loop and on three,
// and on one loop with tiny limits.
func each(t *testing.T, f func(s *site)) {
	for _, b := range backends.Real() {
		for _, loops := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s/loops=%d", b.Name, loops), func(t *testing.T) { run(t, b, loops, f) })
		}
	}
	for _, b := range backends.Hostile() {
		t.Run(b.Name+"/"+b.Limits, func(t *testing.T) { run(t, b, 1, f) })
	}
}

func run(t *testing.T, b backends.Backend, loops int, f func(s *site)) {
	testenv.Leaks(t)
	s := &site{T: t, hostile: b.Limits != ""}
	open := func(int) (proactor.Backend, error) { return b.Open() }
	r, err := mobius.New(mobius.Options{Loops: loops, Logger: slog.New(&s.log), Open: open})
	if err != nil {
		testenv.Missing(t, "%s: %v", b.Name, err)
	}
	s.Reactor = r
	ended := make(chan error, 1)
	go func() { ended <- r.Run(context.Background()) }()
	t.Cleanup(func() {
		if err := r.Stop(); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	f(s)
	if got := r.Backend().Name; got != b.Name {
		t.Fatalf("it ran on %s, want %s", got, b.Name)
	}
}

// amount scales n down where everything takes long.
func (s *site) amount(n int) int {
	if s.hostile {
		n /= 20
	}
	if testing.Short() || invariant.Enabled {
		n /= 10
	}
	return max(n, 1)
}

// listen has the reactor serve protocols of build on a port of the loopback.
func (s *site) listen(build func() mobius.Protocol, o mobius.ListenOptions) *mobius.Port {
	s.Helper()
	at, err := mobius.ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		s.Fatal(err)
	}
	var port *mobius.Port
	s.ask(func() {
		port, err = s.Listen(at, mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return build() }), o)
	})
	if err != nil {
		s.Fatal(err)
	}
	return port
}

// ask calls f on the first loop, and waits.
func (s *site) ask(f func()) {
	s.Helper()
	done := make(chan struct{})
	if err := s.Call(func() { defer close(done); f() }); err != nil {
		s.Fatal(err)
	}
	select {
	case <-done:
	case <-time.After(patience()):
		s.Fatal("the loop does not answer")
	}
}

// An end counts how protocols ended.
type end struct {
	made, lost, late atomic.Int64
}

// all waits until each connection that was made has been lost, n at least.
func (e *end) all(s *site, n int64) {
	s.Helper()
	testenv.Eventually(s, patience(), "every connection is told of its end", func() bool {
		return e.made.Load() >= n && e.lost.Load() == e.made.Load()
	})
	if e.late.Load() > 0 {
		s.Errorf("%d calls after the end, or second ends", e.late.Load())
	}
}

// An echo sends back what it gets, the end too.
type echo struct {
	end *end
	t   mobius.Transport
	off bool
}

func (p *echo) ConnectionMade(t mobius.Transport) {
	p.t = t
	p.end.made.Add(1)
}

func (p *echo) DataReceived(b []byte) {
	if p.off {
		p.end.late.Add(1)
	}
	_, _ = p.t.Write(b)
}

func (p *echo) ConnectionLost(error) {
	if p.off {
		p.end.late.Add(1)
	}
	p.off = true
	p.end.lost.Add(1)
}

// together runs f n times at once, at most wide at a time, and fails with the
// first errors.
func (s *site) together(n, wide int, f func(i int) error) {
	s.Helper()
	var all sync.WaitGroup
	var failed atomic.Int64
	slots := make(chan struct{}, wide)
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			if err := f(i); err != nil && failed.Add(1) <= 3 {
				s.Errorf("%d of %d: %v", i, n, err)
			}
		})
	}
	all.Wait()
	if f := failed.Load(); f > 0 {
		s.Fatalf("%d of %d failed", f, n)
	}
}

func dial(addr string) (*net.TCPConn, error) {
	c, err := net.DialTimeout("tcp", addr, patience())
	if err != nil {
		return nil, err
	}
	t := c.(*net.TCPConn)
	return t, t.SetDeadline(time.Now().Add(patience()))
}

// visit is the i-th short life of a client: what it says is its own, and each
// third ends by a reset.
func visit(addr string, i int) error {
	c, err := dial(addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if i%3 == 0 {
		_ = c.SetLinger(0)
	}
	return says(c, fmt.Appendf(nil, "cookie %d", i))
}

// says sends text and reads it back.
func says(c net.Conn, text []byte) error {
	if _, err := c.Write(text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != string(text) {
		return errors.New("something else came back")
	}
	return nil
}

package mobius

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
)

// patience bounds every wait of a test.
const patience = 20 * time.Second

// everyBackend runs test on each backend of this platform, which it names and asserts.
func everyBackend(t *testing.T, test func(t *testing.T, name string)) {
	for _, c := range candidates() {
		t.Run(c.name, func(t *testing.T) {
			testenv.Leaks(t)
			test(t, c.name)
		})
	}
}

// start runs a reactor until the test is over, when Run must have returned nil.
func start(t *testing.T, o Options) *Reactor {
	t.Helper()
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if o.Backend != "" && r.Backend().Name != o.Backend {
		t.Fatalf("runs on %q, want %q", r.Backend().Name, o.Backend)
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	t.Cleanup(func() {
		r.Stop()
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(patience):
			t.Errorf("Run did not return after Stop")
		}
	})
	return r
}

// A server echoes, and notes what it is told.
type server struct {
	mu      sync.Mutex
	loops   map[*loop.Loop]int
	lost    []error
	lostOne chan struct{}
}

func newServer() *server {
	return &server{loops: map[*loop.Loop]int{}, lostOne: make(chan struct{}, 1000)}
}

type serverConn struct {
	s *server
	t Transport
}

func (s *server) BuildProtocol(Address) Protocol { return &serverConn{s: s} }

func (c *serverConn) ConnectionMade(t Transport) {
	c.t = t
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.loops[t.Loop()]++
}

func (c *serverConn) DataReceived(p []byte) { c.t.Write(p) }

func (c *serverConn) ConnectionLost(err error) {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.lost = append(c.s.lost, err)
	c.s.lostOne <- struct{}{}
}

// ask sends a line and reads it back.
func ask(c net.Conn, text string) error {
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("got %q back for %q", got, text)
	}
	return nil
}

func dial(t *testing.T, a Address) net.Conn {
	t.Helper()
	c, err := net.Dial(a.Network(), a.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestEchoOnEveryBackend(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		for _, loops := range []int{1, 3} {
			for _, reuse := range []bool{false, true} {
				t.Run(fmt.Sprintf("loops=%d,reuse=%v", loops, reuse), func(t *testing.T) { testEcho(t, name, loops, reuse) })
			}
		}
	})
}

func testEcho(t *testing.T, name string, loops int, reuse bool) {
	r := start(t, Options{Backend: name, Loops: loops})
	s := newServer()
	addr, err := ParseAddress("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port, err := r.Listen(addr, s, ListenOptions{ReusePort: reuse})
	if err != nil {
		t.Fatal(err)
	}
	const conns = 24
	var all sync.WaitGroup
	for i := range conns {
		c := dial(t, port.Addr())
		all.Go(func() {
			for j := range 20 {
				if err := ask(c, fmt.Sprintf("%d says %d\n", i, j)); err != nil {
					t.Error(err)
					return
				}
			}
			c.Close()
		})
	}
	all.Wait()
	for range conns {
		select {
		case <-s.lostOne:
		case <-time.After(patience):
			t.Fatal("a connection's loss was not told")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range s.lost {
		var e *ConnError
		if !errors.As(err, &e) || e.Kind != Done || !errors.Is(err, io.EOF) {
			t.Errorf("a connection was lost with %v, want Done by the peer's end", err)
		}
	}
	if !reuse {
		for _, l := range r.Loops() {
			if s.loops[l] != conns/loops {
				t.Errorf("loop %s has served %d connections, want %d", l.Name(), s.loops[l], conns/loops)
			}
		}
	}
	if _, err := r.Listen(port.Addr(), s, ListenOptions{}); err == nil {
		t.Error("a second listener on a busy port: no error")
	}
	other := start(t, Options{Backend: name, Loops: loops})
	if _, err := other.ListenTCP(port.Addr().String(), s); err == nil {
		t.Error("another reactor's listener on a busy port: no error")
	}
}

func TestUNIX(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		s := newServer()
		path := t.TempDir() + "/sock"
		if _, err := r.ListenUNIX(path, s); err != nil {
			t.Fatal(err)
		}
		answers := make(chan string, 1)
		if _, err := r.ConnectUNIX(path, Client{Factory: asker("over unix", answers)}); err != nil {
			t.Fatal(err)
		}
		if got := wait(t, answers); got != "over unix" {
			t.Errorf("got %q", got)
		}
		if _, err := r.ListenUNIX(path, s); err == nil {
			t.Error("a second listener on a busy path: no error")
		}
	})
}

func wait[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// asker builds protocols that send text, tell what comes back, and close.
func asker(text string, answers chan<- string) Factory {
	return FactoryFunc(func(Address) Protocol { return &askerConn{text: text, answers: answers} })
}

type askerConn struct {
	text    string
	got     []byte
	answers chan<- string
	t       Transport
}

func (c *askerConn) ConnectionMade(t Transport) {
	c.t = t
	t.Write([]byte(c.text))
}

func (c *askerConn) DataReceived(p []byte) {
	if c.got = append(c.got, p...); len(c.got) == len(c.text) {
		c.t.LoseConnection()
	}
}

func (c *askerConn) ConnectionLost(error) { c.answers <- string(c.got) }

// Dials from outside go to the loops in turn, dials from a loop stay on it.
func TestDials(t *testing.T) {
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	r := start(t, Options{Loops: 3, Open: func(int) (proactor.Backend, error) { return net.Open() }})
	port, err := r.ListenTCP("127.0.0.1:0", newServer())
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan string, 100)
	used := map[*loop.Loop]int{}
	for range 9 {
		c, err := r.ConnectTCP(port.Addr().String(), Client{Factory: asker("x", answers)})
		if err != nil {
			t.Fatal(err)
		}
		used[c.Loop()]++
		wait(t, answers)
	}
	if len(used) != 3 || used[r.Loops()[0]] != 3 {
		t.Errorf("nine dials used %v, want three on each of three loops", used)
	}
	stayed := make(chan bool, 1)
	home := r.Loops()[2]
	home.Call(func() {
		c, err := r.ConnectTCP(port.Addr().String(), Client{Factory: asker("y", answers)})
		stayed <- err == nil && c.Loop() == home
	})
	if !wait(t, stayed) {
		t.Error("a dial from a loop went to another one")
	}
	wait(t, answers)
	if _, err := r.ConnectTCP("127.0.0.1", Client{Factory: asker("z", answers)}); err == nil {
		t.Error("ConnectTCP without a port: no error")
	}
	if _, err := r.ListenTCP("localhost:0", newServer()); err == nil {
		t.Error("ListenTCP at a name: no error")
	}
}

// Two reactors in one program share nothing: one stops, the other serves on.
func TestTwoReactors(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		a, b := start(t, Options{Backend: name}), start(t, Options{Backend: name})
		sa, sb := newServer(), newServer()
		pa, err := a.ListenTCP("127.0.0.1:0", sa)
		if err != nil {
			t.Fatal(err)
		}
		pb, err := b.ListenTCP("127.0.0.1:0", sb)
		if err != nil {
			t.Fatal(err)
		}
		ca, cb := dial(t, pa.Addr()), dial(t, pb.Addr())
		if err := errors.Join(ask(ca, "a"), ask(cb, "b")); err != nil {
			t.Fatal(err)
		}
		a.Stop()
		wait(t, sa.lostOne)
		if err := ask(cb, "b again"); err != nil {
			t.Errorf("the other reactor: %v", err)
		}
		if _, err := a.ListenTCP("127.0.0.1:0", sa); !errors.Is(err, ErrStopped) {
			t.Errorf("Listen on a stopped reactor: %v", err)
		}
	})
}

func TestStopLosesConnections(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name, Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s) // before Run
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ran := make(chan error, 1)
		go func() { ran <- r.Run(ctx) }()
		for range 4 {
			if err := ask(dial(t, port.Addr()), "hello"); err != nil {
				t.Fatal(err)
			}
		}
		cancel()
		if err := wait(t, ran); err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(s.lost) != 4 {
			t.Errorf("%d connections were lost, want 4", len(s.lost))
		}
		for _, err := range s.lost {
			if !errors.Is(err, ErrStopped) {
				t.Errorf("a connection was lost with %v, want %v", err, ErrStopped)
			}
		}
		if err := r.Run(context.Background()); !errors.Is(err, ErrRunning) {
			t.Errorf("second Run: %v", err)
		}
		if err := r.Call(func() {}); !errors.Is(err, ErrStopped) {
			t.Errorf("Call after the end: %v", err)
		}
	})
}

func TestShutdownDrains(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		c := dial(t, port.Addr())
		if err := ask(c, "before"); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- r.Shutdown(context.Background()) }()
		eventually(t, "the port refuses", func() bool {
			c, err := net.Dial("tcp", port.Addr().String())
			if err == nil {
				c.Close()
			}
			return err != nil
		})
		if err := ask(c, "while draining"); err != nil {
			t.Errorf("a connection is served on while the reactor drains: %v", err)
		}
		c.Close()
		if err := wait(t, ended); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

func TestShutdownHasADeadline(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 2})
		s := newServer()
		port, err := r.ListenTCP("127.0.0.1:0", s)
		if err != nil {
			t.Fatal(err)
		}
		if err := ask(dial(t, port.Addr()), "hello"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v, want the context's error", err)
		}
		wait(t, s.lostOne)
		var e *ConnError
		if !errors.As(s.lost[0], &e) || e.Kind != Aborted {
			t.Errorf("the connection was lost with %v, want Aborted", s.lost[0])
		}
	})
}

// A Shutdown waits for clients on every loop, though other loops have nothing
// left to do before.
func TestShutdownWaitsForEveryLoop(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r := start(t, Options{Backend: name, Loops: 3})
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		client := &quiet{make(chan struct{}, 1), make(chan error, 1)}
		if _, err := r.ConnectTCP(ln.Addr().String(), Client{Factory: FactoryFunc(func(Address) Protocol { return client })}); err != nil {
			t.Fatal(err)
		}
		wait(t, client.made)
		c, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ended := make(chan error, 1)
		go func() { ended <- r.Shutdown(context.Background()) }()
		c.SetDeadline(time.Now().Add(patience))
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("the server read %d bytes, %v; want the client's end", n, err)
		}
		c.Close()
		var e *ConnError
		if err := wait(t, client.lost); !errors.As(err, &e) || e.Kind != Done {
			t.Errorf("the client was lost with %v, want Done", err)
		}
		if err := wait(t, ended); err != nil {
			t.Errorf("Shutdown: %v", err)
		}
	})
}

type quiet struct {
	made chan struct{}
	lost chan error
}

func (q *quiet) ConnectionMade(Transport) { q.made <- struct{}{} }
func (q *quiet) DataReceived([]byte)      {}
func (q *quiet) ConnectionLost(err error) { q.lost <- err }

func TestShutdownAndCloseBeforeRun(t *testing.T) {
	for _, end := range []func(*Reactor) error{(*Reactor).Close, func(r *Reactor) error { return r.Shutdown(context.Background()) }} {
		r, err := New(Options{Loops: 2})
		if err != nil {
			t.Fatal(err)
		}
		port, err := r.ListenTCP("127.0.0.1:0", newServer())
		if err != nil {
			t.Fatal(err)
		}
		if err := end(r); err != nil {
			t.Error(err)
		}
		if c, err := net.Dial("tcp", port.Addr().String()); err == nil {
			c.Close()
			t.Error("the port is still there")
		}
		if err := end(r); err != nil {
			t.Error(err)
		}
		if err := r.Run(context.Background()); !errors.Is(err, ErrRunning) {
			t.Errorf("Run of a closed reactor: %v", err)
		}
	}
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	testenv.Eventually(t, patience, what, cond)
}

// CallLater keeps the order of times, on virtual time exactly.
func TestCallLater(t *testing.T) {
	net := sim.New(sim.Options{Faults: sim.NoFaults})
	r, err := New(Options{Open: func(int) (proactor.Backend, error) { return net.Open() }})
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	at := func(name string) func() { return func() { calls = append(calls, fmt.Sprint(name, " ", net.Now())) } }
	r.CallLater(2*time.Second, at("two"))
	one := r.CallLater(time.Hour, at("one"))
	gone := r.CallLater(time.Second, at("gone"))
	three := r.CallLater(time.Second, at("three"))
	if !one.Reset(time.Second) || !three.Delay(2*time.Second) || !gone.Cancel() || gone.Cancel() || gone.Active() || !one.Active() {
		t.Error("Reset, Delay, Cancel, Active")
	}
	if got := three.Time() - one.Time(); got != 2*time.Second {
		t.Errorf("three is %v after one, want 2s", got)
	}
	r.CallLater(4*time.Second, r.Stop)
	if err := r.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"one 1s", "two 2s", "three 3s"}; !slices.Equal(calls, want) {
		t.Errorf("calls %q, want %q", calls, want)
	}
	if one.Active() || one.Cancel() || one.Reset(1) || one.Delay(1) {
		t.Error("a call that was made is still active")
	}
}

// A panic costs its connection, is logged with its stack, and nothing else.
func TestPanicIsLogged(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		var text lockedBuffer
		r := start(t, Options{Backend: name, Logger: slog.New(slog.NewTextHandler(&text, nil))})
		lost := make(chan error, 1)
		port, err := r.ListenTCP("127.0.0.1:0", FactoryFunc(func(Address) Protocol { return &panicker{lost} }))
		if err != nil {
			t.Fatal(err)
		}
		dial(t, port.Addr()).Write([]byte("x"))
		var e *ConnError
		if err := wait(t, lost); !errors.As(err, &e) || e.Kind != Panicked {
			t.Errorf("lost with %v, want Panicked", err)
		}
		eventually(t, "the panic is logged", func() bool { return strings.Contains(text.String(), "panicker).DataReceived") })
	})
}

type panicker struct{ lost chan error }

func (p *panicker) ConnectionMade(Transport) {}
func (p *panicker) DataReceived([]byte)      { panic("oh") }
func (p *panicker) ConnectionLost(err error) { p.lost <- err }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// A loop that fails ends the others, and is Run's error.
func TestAFailingLoopEndsRun(t *testing.T) {
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	r, err := New(Options{Loops: 3, Open: func(int) (proactor.Backend, error) { return net.Open() }})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Loops()[1].Call(runtime.Goexit); err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- r.Run(context.Background()) }()
	if err := wait(t, ran); !errors.Is(err, loop.ErrGoexit) {
		t.Errorf("Run: %v, want %v", err, loop.ErrGoexit)
	}
}

// Too few processors are logged once, and never changed.
func TestGOMAXPROCSIsLoggedOnce(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
	for loops, want := range map[int]int{before: 1, max(before-2, 0): 0} {
		if loops == 0 {
			continue
		}
		var text lockedBuffer
		r, err := New(Options{Loops: loops, Logger: slog.New(slog.NewTextHandler(&text, nil)),
			Open: func(int) (proactor.Backend, error) { return net.Open() }})
		if err != nil {
			t.Fatal(err)
		}
		r.Stop()
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(text.String(), "GOMAXPROCS"); got != want {
			t.Errorf("%d loops at GOMAXPROCS %d: logged %d times, want %d", loops, before, got, want)
		}
	}
	if now := runtime.GOMAXPROCS(0); now != before {
		t.Errorf("GOMAXPROCS was %d, and is %d", before, now)
	}
}

// Everything that any goroutine may call is called from many at once, while
// the reactor starts, runs and stops. The race detector judges.
func TestAnyGoroutine(t *testing.T) {
	everyBackend(t, func(t *testing.T, name string) {
		r, err := New(Options{Backend: name, Loops: 3})
		if err != nil {
			t.Fatal(err)
		}
		ran := make(chan error, 1)
		go func() { ran <- r.Run(context.Background()) }()
		eventually(t, "it runs", func() bool { return r.Call(func() {}) == nil && !fresher(r) })
		var all sync.WaitGroup
		var answered atomic.Int32
		for range 8 {
			all.Go(func() {
				port, err := r.ListenTCP("127.0.0.1:0", newServer())
				if err != nil {
					t.Error(err)
					return
				}
				answers := make(chan string, 5)
				for range cap(answers) {
					if _, err := r.ConnectTCP(port.Addr().String(), Client{Factory: asker("hello", answers)}); err != nil {
						t.Error(err)
					}
				}
				for range cap(answers) {
					if wait(t, answers) == "hello" {
						answered.Add(1)
					}
				}
				if err := port.Shutdown(context.Background()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		r.Stop()
		if err := wait(t, ran); err != nil || answered.Load() != 40 {
			t.Errorf("Run: %v; %d answers, want 40", err, answered.Load())
		}
	})
}

func fresher(r *Reactor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.state == fresh
}

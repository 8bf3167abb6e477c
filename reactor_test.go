package mobius

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
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
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ran <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel() // r.Stop would do nothing if it came before Run
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

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	testenv.Eventually(t, patience, what, cond)
}

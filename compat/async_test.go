package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/transport"
)

// catcher passes its connections on, and counts what it reads if it reads.
type catcher struct {
	BuiltinEventEngine
	conns  chan Conn
	woken  chan int
	closed chan error
	panics bool
}

func newCatcher() *catcher {
	return &catcher{conns: make(chan Conn, 10), woken: make(chan int, 10_000), closed: make(chan error, 10)}
}

func (k *catcher) OnOpen(c Conn) ([]byte, Action) {
	k.conns <- c
	return nil, None
}

func (k *catcher) OnTraffic(c Conn) Action {
	k.woken <- c.InboundBuffered()
	if k.panics {
		panic("as the test wants it")
	}
	return None
}

func (k *catcher) OnClose(_ Conn, err error) Action {
	k.closed <- err
	return None
}

// Goroutines that write at once: each one's bytes are in order and complete, and
// every callback is called once.
func TestAsyncWritesKeepTheirOrder(t *testing.T) {
	each(t, func(w *world) {
		const writers, lines = 4, 100
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		p := newPeer()
		if _, err := w.client(p).Dial("tcp", s.address()); err != nil {
			w.Fatal(err)
		}
		c := wait(w, k.conns)
		answers := make(chan error, writers*lines)
		note := func(_ Conn, err error) error { answers <- err; return nil }
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				for n := range lines {
					line := fmt.Appendf(nil, "%d:%d\n", i, n)
					var err error
					switch n % 3 {
					case 0:
						err = c.AsyncWrite(line, note)
					case 1:
						err = c.AsyncWritev([][]byte{line[:1], nil, line[1:], nil}, note)
					case 2:
						if err = c.AsyncWrite(line, nil); err == nil {
							answers <- nil
						}
						clear(line) // it was copied
					}
					if err != nil {
						w.Error(err)
					}
				}
			})
		}
		all.Wait()
		for range writers * lines {
			if err := wait(w, answers); err != nil {
				w.Fatal(err)
			}
		}
		testenv.Eventually(w, patience, "all lines came", func() bool { return strings.Count(p.all(), "\n") == writers*lines })
		next := [writers]int{}
		for line := range strings.Lines(p.all()) {
			var i, n int
			if _, err := fmt.Sscanf(line, "%d:%d\n", &i, &n); err != nil || n != next[i] {
				w.Fatalf("%q after %v: %v", line, next, err)
			}
			next[i]++
		}
	})
}

// A callback says nil only if the kernel has the bytes.
func TestAsyncWriteOfALostConnection(t *testing.T) {
	eachReal(t, func(w *world) {
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		peer := dial(w, s)
		c := wait(w, k.conns)
		answers := make(chan error, 1)
		note := func(_ Conn, err error) error { answers <- err; return nil }
		if err := c.AsyncWrite(make([]byte, 32<<20), note); err != nil {
			w.Fatal(err)
		}
		_ = peer.(*net.TCPConn).SetLinger(0)
		_ = peer.Close()
		if err := wait(w, answers); err == nil {
			w.Error("32 MiB that nobody has read were sent, says the callback")
		}
		if err := wait(w, k.closed); err == nil || err == io.EOF {
			w.Errorf("OnClose after a reset: %v", err)
		}
		if err := c.AsyncWrite([]byte("x"), note); err != nil {
			w.Fatal(err)
		}
		if err := wait(w, answers); !errors.Is(err, net.ErrClosed) {
			w.Errorf("after the end: %v", err)
		}
	})
}

// Wake shows what was left unread; CloseWithCallback tells when all is over.
func TestWakeAndCloseWithCallback(t *testing.T) {
	each(t, func(w *world) {
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		other, err := w.client(newPeer()).Dial("tcp", s.address())
		if err != nil {
			w.Fatal(err)
		}
		c := wait(w, k.conns)
		_ = other.AsyncWrite([]byte("abc"), nil)
		for n := 0; n < 3; {
			n = wait(w, k.woken)
		}
		answers := make(chan error, 1)
		note := func(_ Conn, err error) error { answers <- err; return nil }
		if err := c.Wake(note); err != nil {
			w.Fatal(err)
		}
		if n := wait(w, k.woken); n != 3 {
			w.Errorf("woken with %d bytes, want 3", n)
		}
		if err := wait(w, answers); err != nil {
			w.Error(err)
		}
		if err := c.CloseWithCallback(note); err != nil {
			w.Fatal(err)
		}
		if err := wait(w, answers); err != nil {
			w.Error(err)
		}
		select {
		case err := <-k.closed:
			if err != nil {
				w.Errorf("OnClose has %v, want nil", err)
			}
		default:
			w.Error("the callback of a close came before OnClose")
		}
	})
}

// A panic ends its connection, in OnTraffic as in a Wake.
func TestPanicEndsOneConnection(t *testing.T) {
	eachReal(t, func(w *world) {
		k := newCatcher()
		k.panics = true
		s := w.serve(k, "tcp://127.0.0.1:0")
		for _, wake := range []bool{false, true} {
			peer := dial(w, s)
			c := wait(w, k.conns)
			if wake {
				_ = c.Wake(nil)
			} else {
				_, _ = peer.Write([]byte("x"))
			}
			var p *transport.PanicError
			if err := wait(w, k.closed); !errors.As(err, &p) || p.Value != "as the test wants it" {
				w.Errorf("wake %v: OnClose has %v, want the panic", wake, err)
			}
		}
		if s.eng.Validate() != nil {
			w.Error("the engine has ended by a panic")
		}
	})
}

// gnet answers deadlines with "unsupported".
func TestDeadlines(t *testing.T) {
	each(t, func(w *world) {
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		cl := w.client(newPeer())
		if _, err := cl.Dial("tcp", s.address()); err != nil {
			w.Fatal(err)
		}
		c := wait(w, k.conns)
		if err := errors.Join(c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now())); err != nil {
			w.Fatal(err)
		}
		if err := c.SetDeadline(time.Now().Add(10 * time.Millisecond)); err != nil {
			w.Fatal(err)
		}
		if err := wait(w, k.closed); !errors.Is(err, os.ErrDeadlineExceeded) {
			w.Errorf("OnClose has %v, want os.ErrDeadlineExceeded", err)
		}
	})
}

// A peer that takes nothing meets the deadline of writing.
func TestWriteDeadline(t *testing.T) {
	eachReal(t, func(w *world) {
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		dial(w, s)
		c := wait(w, k.conns)
		if err := c.AsyncWrite(make([]byte, 32<<20), nil); err != nil {
			w.Fatal(err)
		}
		if err := c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			w.Fatal(err)
		}
		if err := wait(w, k.closed); !errors.Is(err, os.ErrDeadlineExceeded) {
			w.Errorf("OnClose has %v, want os.ErrDeadlineExceeded", err)
		}
	})
}

// Both sides have limits: more unread, or unsent, is an error.
func TestLimits(t *testing.T) {
	each(t, func(w *world) {
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0", WithReadLimit(1000))
		other, err := w.client(newPeer(), WithWriteLimit(5000)).Dial("tcp", s.address())
		if err != nil {
			w.Fatal(err)
		}
		answers := make(chan error, 1)
		note := func(_ Conn, err error) error { answers <- err; return nil }
		_ = other.AsyncWrite(make([]byte, 5001), note)
		if err := wait(w, answers); !errors.Is(err, transport.ErrFull) {
			w.Errorf("5,001 bytes: %v, want ErrFull", err)
		}
		_ = other.AsyncWrite(make([]byte, 1001), nil)
		if err := wait(w, k.closed); err != ErrInboundFull {
			w.Errorf("OnClose has %v, want ErrInboundFull", err)
		}
	})
}

// A slow peer: the handler is told to stop, and to go on.
type pacing struct {
	catcher
	marks chan string
}

func (p *pacing) OnFull(Conn)    { p.marks <- "full" }
func (p *pacing) OnDrained(Conn) { p.marks <- "drained" }

func TestPacer(t *testing.T) {
	eachReal(t, func(w *world) {
		p := &pacing{*newCatcher(), make(chan string, 10)}
		s := w.serve(p, "tcp://127.0.0.1:0", WithWriteBufferCap(1000))
		peer := dial(w, s)
		c := wait(w, p.conns)
		sent := bytes.Repeat([]byte("x"), 16<<20)
		if err := c.AsyncWrite(sent, nil); err != nil {
			w.Fatal(err)
		}
		if m := wait(w, p.marks); m != "full" {
			w.Errorf("first %q", m)
		}
		if _, err := io.ReadFull(peer, sent); err != nil {
			w.Fatal(err)
		}
		if m := wait(w, p.marks); m != "drained" {
			w.Errorf("then %q", m)
		}
	})
}

// Functions run on the loop, now and later, unless their context has ended.
func TestExecuteAndSchedule(t *testing.T) {
	each(t, func(w *world) {
		k := newCatcher()
		s := w.serve(k, "tcp://127.0.0.1:0")
		if _, err := w.client(newPeer()).Dial("tcp", s.address()); err != nil {
			w.Fatal(err)
		}
		l := wait(w, k.conns).EventLoop()
		ran := make(chan string, 10)
		as := func(name string) Runnable {
			return RunnableFunc(func(context.Context) error { ran <- name; return nil })
		}
		ended, end := context.WithCancel(context.Background())
		end()
		err := errors.Join(
			l.Schedule(context.Background(), as("later"), 20*time.Millisecond),
			l.Schedule(ended, as("never"), time.Millisecond),
			l.Execute(ended, as("never")),
			l.Execute(context.Background(), as("now")))
		if err != nil {
			w.Fatal(err)
		}
		if a, b := wait(w, ran), wait(w, ran); a != "now" || b != "later" {
			w.Errorf("ran %s, then %s", a, b)
		}
		if err := l.Execute(context.Background(), nil); err != ErrNilRunnable {
			w.Error(err)
		}
		stop := RunnableFunc(func(context.Context) error { return ErrEngineShutdown })
		if err := l.Execute(context.Background(), stop); err != nil {
			w.Fatal(err)
		}
		if err := wait(w, s.ran); err != nil {
			w.Error(err)
		}
		s.ran <- nil
	})
}

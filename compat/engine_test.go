package compat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// echo answers with what it gets, and notes what it is told.
type echo struct {
	BuiltinEventEngine
	opened atomic.Int32
	down   chan struct{}
	closed chan error
}

func newEcho() *echo { return &echo{down: make(chan struct{}, 1), closed: make(chan error, 1000)} }

func (e *echo) OnOpen(Conn) ([]byte, Action) {
	e.opened.Add(1)
	return []byte("hello "), None
}

func (e *echo) OnTraffic(c Conn) Action {
	b, err := c.Next(-1)
	if err != nil {
		return Close
	}
	if _, err := c.Write(b); err != nil {
		return Close
	}
	return None
}

func (e *echo) OnClose(_ Conn, err error) Action {
	e.closed <- err
	return None
}

func (e *echo) OnShutdown(Engine) { e.down <- struct{}{} }

// An echo server and a client of the same make, on all backends.
func TestEcho(t *testing.T) {
	each(t, func(w *world) {
		h := newEcho()
		s := w.serve(h, "tcp://127.0.0.1:0")
		p := newPeer()
		c, err := w.client(p).DialContext("tcp", s.address(), "mine")
		if err != nil {
			t.Fatal(err)
		}
		if c.Context() != "mine" {
			w.Errorf("the context is %v", c.Context())
		}
		sent := strings.Repeat("0123456789", 5000)
		if err := c.AsyncWrite([]byte(sent), nil); err != nil {
			w.Fatal(err)
		}
		testenv.Eventually(w, patience, "everything came back", func() bool { return p.all() == "hello "+sent })
		if n := s.eng.CountConnections(); n != 1 {
			w.Errorf("%d connections, want 1", n)
		}
		if err := c.Close(); err != nil {
			w.Error(err)
		}
		if err := wait(w, h.closed); err != io.EOF {
			w.Errorf("the server's OnClose has %v, want io.EOF", err)
		}
		if err := wait(w, p.closed); err != nil {
			w.Errorf("the client's OnClose has %v, want nil", err)
		}
		if err := s.eng.Stop(context.Background()); err != nil {
			w.Errorf("Stop: %v", err)
		}
		wait(w, h.down)
		if err := s.eng.Stop(context.Background()); !errors.Is(err, ErrEngineInShutdown) {
			w.Errorf("a second Stop: %v", err)
		}
		if n := s.eng.CountConnections(); n != -1 {
			w.Errorf("%d connections after the end, want -1", n)
		}
	})
}

// A message that comes in pieces is seen when it is whole, and those behind it.
type framer struct {
	BuiltinEventEngine
	frames chan string
}

func (f *framer) OnTraffic(c Conn) Action {
	for {
		head, err := c.Peek(2)
		if err != nil {
			return None
		}
		n := int(head[0])<<8 | int(head[1])
		whole, err := c.Peek(2 + n)
		if errors.Is(err, io.ErrShortBuffer) {
			return None
		}
		f.frames <- string(whole[2:])
		if m, err := c.Discard(2 + n); m != 2+n || err != nil {
			panic("Discard has not discarded")
		}
	}
}

func frame(s string) []byte { return append([]byte{byte(len(s) >> 8), byte(len(s))}, s...) }

func TestFramesInPieces(t *testing.T) {
	for _, most := range []int{0, 1, 16} {
		each(t, func(w *world) {
			f := &framer{frames: make(chan string, 100)}
			s := w.serve(f, "tcp://127.0.0.1:0", WithReadBufferCap(most))
			c, err := w.client(newPeer()).Dial("tcp", s.address())
			if err != nil {
				w.Fatal(err)
			}
			want := []string{"", "a", strings.Repeat("b", 300), "c", strings.Repeat("d", 9000), "", "e"}
			var all []byte
			for _, x := range want {
				all = append(all, frame(x)...)
			}
			for len(all) > 0 {
				n := min(len(all), 7+len(all)/3)
				if err := c.AsyncWrite(all[:n], nil); err != nil {
					w.Fatal(err)
				}
				all = all[n:]
			}
			for i, x := range want {
				if got := wait(w, f.frames); got != x {
					w.Fatalf("frame %d is %.20q (%d bytes), want %.20q (%d)", i, got, len(got), x, len(x))
				}
			}
		})
	}
}

// What is unread at the end can be read in OnClose.
type late struct {
	BuiltinEventEngine
	left chan string
}

func (l *late) OnClose(c Conn, _ error) Action {
	b, _ := c.Next(-1)
	l.left <- string(b)
	return None
}

func TestUnreadIsThereAtTheEnd(t *testing.T) {
	each(t, func(w *world) {
		l := &late{left: make(chan string, 1)}
		s := w.serve(l, "tcp://127.0.0.1:0")
		c, err := w.client(newPeer()).Dial("tcp", s.address())
		if err != nil {
			w.Fatal(err)
		}
		_ = c.AsyncWrite([]byte("first "), nil)
		_ = c.AsyncWrite([]byte("second"), nil)
		_ = c.Close()
		if got := wait(w, l.left); got != "first second" {
			w.Errorf("%q is left, want everything", got)
		}
	})
}

// farewell writes much and closes.
type farewell struct {
	BuiltinEventEngine
	bytes int
}

func (f *farewell) OnTraffic(c Conn) Action {
	_, _ = c.Discard(-1)
	_, _ = c.Write(bytes.Repeat([]byte("x"), f.bytes))
	return Close
}

// gnet's Close drops what the socket does not take at once.
func TestCloseDeliversWhatWasWritten(t *testing.T) {
	eachReal(t, func(w *world) {
		const much = 32 << 20
		s := w.serve(&farewell{bytes: much}, "tcp://127.0.0.1:0")
		c := dial(w, s)
		_, _ = c.Write([]byte("go"))
		if n, err := io.Copy(io.Discard, c); n != much || err != nil {
			w.Errorf("%d bytes came, want %d: %v", n, much, err)
		}
	})
}

// An engine that is stopped sends what was written.
func TestStopDeliversWhatWasWritten(t *testing.T) {
	eachReal(t, func(w *world) {
		const much = 8 << 20
		s := w.serve(&stopper{bytes: much}, "tcp://127.0.0.1:0", WithNumEventLoop(2))
		c := dial(w, s)
		_, _ = c.Write([]byte("go"))
		if n, err := io.Copy(io.Discard, c); n != much || err != nil {
			w.Errorf("%d bytes came, want %d: %v", n, much, err)
		}
		if err := wait(w, s.ran); err != nil {
			w.Error(err)
		}
		s.ran <- nil
	})
}

// stopper writes much and ends the engine.
type stopper struct {
	BuiltinEventEngine
	bytes int
}

func (f *stopper) OnTraffic(c Conn) Action {
	_, _ = c.Discard(-1)
	_, _ = c.Write(bytes.Repeat([]byte("x"), f.bytes))
	return Shutdown
}

// ticker ends the engine at its third tick.
type ticker struct {
	BuiltinEventEngine
	n int
}

func (k *ticker) OnTick() (time.Duration, Action) {
	if k.n++; k.n == 3 {
		return 0, Shutdown
	}
	return time.Millisecond, None
}

func TestTickerEndsTheEngine(t *testing.T) {
	each(t, func(w *world) {
		k := &ticker{}
		if err := Run(k, "tcp://127.0.0.1:0", w.options([]Option{WithTicker(true)})...); err != nil || k.n != 3 {
			w.Errorf("Run: %v after %d ticks", err, k.n)
		}
	})
}

// refuser ends the engine at once.
type refuser struct {
	BuiltinEventEngine
	down bool
}

func (r *refuser) OnBoot(Engine) Action { return Shutdown }
func (r *refuser) OnShutdown(Engine)    { r.down = true }

func TestOnBootRefuses(t *testing.T) {
	each(t, func(w *world) {
		r := &refuser{}
		if err := Run(r, "tcp://127.0.0.1:0", w.options(nil)...); err != nil || r.down {
			w.Errorf("Run: %v; OnShutdown %v", err, r.down)
		}
	})
}

// A peer that finishes writing is answered afterwards, if the handler cares.
type half struct {
	BuiltinEventEngine
	conns chan Conn
}

func (h *half) OnHalfClose(c Conn) Action {
	h.conns <- c
	return None
}

func TestAnswerAfterHalfClose(t *testing.T) {
	eachReal(t, func(w *world) {
		h := &half{conns: make(chan Conn, 1)}
		s := w.serve(h, "tcp://127.0.0.1:0")
		c := dial(w, s)
		_, _ = c.Write([]byte("question"))
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
			w.Fatal(err)
		}
		there := wait(w, h.conns)
		asked := make(chan error, 1)
		if err := there.AsyncWrite([]byte("answer"), func(_ Conn, err error) error { asked <- err; return nil }); err != nil {
			w.Fatal(err)
		}
		if err := wait(w, asked); err != nil {
			w.Error(err)
		}
		_ = there.Close()
		if b, err := io.ReadAll(c); string(b) != "answer" || err != nil {
			w.Errorf("%q came, %v", b, err)
		}
	})
}

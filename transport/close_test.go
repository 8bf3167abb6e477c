package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
	"mobius/sim"
)

// The peers' loss: close with 32 MiB pending (gnet delivered 4 of them).
func TestCloseDeliversWhatIsPending(t *testing.T) {
	const size = 32 << 20
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) {
			if _, err := r.c.Write(pattern(0, size)); err != nil {
				t.Error(err)
			}
			r.c.LoseConnection()
		}
		w.pair(s, c, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
			t.Errorf("the client got %d bytes, or others", c.got.Len())
		}
		s.want(Done, net.ErrClosed)
		c.want(Done, io.EOF)
	})
}

// The peer finishes while 20 MiB are pending.
func TestPeersEndDoesNotDiscardOutput(t *testing.T) {
	const size = 20 << 20
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, size)) }
		c.onMade = func(r *rec) { r.c.LoseWriteConnection() }
		w.pair(s, half{c}, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
			t.Errorf("the client got %d bytes, or others", c.got.Len())
		}
		s.want(Done, io.EOF)
		if want := []string{"made", "write lost", "read lost", "lost"}; !slices.Equal(c.events, want) {
			t.Errorf("client: %v, want %v", c.events, want)
		}
	})
}

// … but if the output cannot be delivered, the end is no clean one.
func TestFailedFlushAfterThePeersEnd(t *testing.T) {
	w, f := newFaultyWorld(t)
	s, c := w.rec("server"), w.rec("client")
	w.pair(s, half{c}, nil)
	c.c.PauseReading()
	_, _ = s.c.Write(make([]byte, 1<<20))
	c.c.LoseWriteConnection()
	w.until("losing", func() bool { return s.c.state == losing })
	f.fail = func(op *proactor.Op) error {
		if op == &s.c.send {
			return syscall.EPIPE
		}
		return nil
	}
	c.c.ResumeReading()
	w.until("both lost", func() bool { return s.lost() && c.lost() })
	s.want(Lost, syscall.EPIPE)
	c.want(Lost, syscall.ECONNRESET)
}

// The server closes with unread input, to a client that writes on and reads
// slowly: close(2) would reset the connection (RFC 2525, 2.17).
func TestUnreadInputDoesNotDestroyOutput(t *testing.T) {
	const size = 2_000_000
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		c.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, 10_000)); r.c.PauseReading() }
		w.pair(s, c, nil)
		w.pass(time.Second)
		_, _ = s.c.Write(pattern(0, size))
		s.c.LoseConnection()
		if s.c.in.n != 0 {
			t.Errorf("%d bytes are kept for nobody", s.c.in.n)
		}
		for !s.lost() && !c.lost() && c.got.Len() < size {
			c.c.ResumeReading()
			before := c.got.Len()
			w.until("some bytes", func() bool { return c.got.Len() > before || c.lost() })
			c.c.PauseReading()
			_, _ = c.c.Write(pattern(0, 1000))
			w.pass(time.Millisecond)
		}
		c.c.ResumeReading()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
			t.Errorf("the client got %d bytes, or others; it ended with %v", c.got.Len(), c.err)
		}
		s.want(Done, net.ErrClosed)
		if s.got.Len() != 0 {
			t.Errorf("%d bytes were delivered to one who was paused and closed", s.got.Len())
		}
	})
}

// The peers' loss: request, CloseWrite, and a reply that comes 100 ms later.
func TestReplyAfterThePeersEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		c.onMade = func(r *rec) { _, _ = r.c.Write([]byte("request")); r.c.LoseWriteConnection() }
		w.pair(half{s}, half{c}, nil)
		w.until("request there", func() bool { return len(s.events) == 2 })
		w.pass(100 * time.Millisecond)
		_, _ = s.c.Write([]byte("reply"))
		s.c.LoseConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if s.got.String() != "request" || c.got.String() != "reply" {
			t.Errorf("server got %q, client %q", s.got.String(), c.got.String())
		}
		if want := []string{"made", "read lost", "lost"}; !slices.Equal(s.events, want) {
			t.Errorf("server: %v, want %v", s.events, want)
		}
		if want := []string{"made", "write lost", "read lost", "lost"}; !slices.Equal(c.events, want) {
			t.Errorf("client: %v, want %v", c.events, want)
		}
	})
}

// When both have finished, the connection ends by itself (Twisted #3037: it
// leaked).
func TestBothHalvesClosedIsTheEnd(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onRead = func(r *rec) { _, _ = r.c.Write([]byte("bye")); r.c.LoseWriteConnection() }
		c.onMade = func(r *rec) { r.c.LoseWriteConnection() }
		w.pair(half{s}, half{c}, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		s.want(Done, io.EOF)
		c.want(Done, io.EOF)
		if want := []string{"made", "read lost", "write lost", "lost"}; !slices.Equal(s.events, want) {
			t.Errorf("server: %v, want %v", s.events, want)
		}
		if c.got.String() != "bye" {
			t.Errorf("client got %q", c.got.String())
		}
	})
}

// An abort ends the connection whatever it is doing, once. (Twisted:
// abortConnection of ITCPTransport.)
func TestAbort(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"once":               func(c *Conn) { c.AbortConnection() },
		"twice":              func(c *Conn) { c.AbortConnection(); c.AbortConnection() },
		"then lose":          func(c *Conn) { c.AbortConnection(); c.LoseConnection(); c.LoseWriteConnection() },
		"while closing":      func(c *Conn) { c.LoseConnection(); c.AbortConnection() },
		"while half-closing": func(c *Conn) { c.LoseWriteConnection(); c.AbortConnection() },
		"with output":        func(c *Conn) { _, _ = c.Write(make([]byte, 1<<20)); c.AbortConnection() },
		"while sending":      func(c *Conn) { c.l.AtTurnEnd(&c.flush); c.AbortConnection() },
		"paused":             func(c *Conn) { c.PauseReading(); c.AbortConnection(); c.ResumeReading() },
	} {
		for where := range 2 {
			each(t, func(t *testing.T, w *world) {
				s, c := w.rec("server "+name), w.rec("client "+name)
				if where == 0 {
					s.onMade = func(r *rec) { end(r.c) }
				} else {
					s.onData = func(r *rec) { end(r.c) }
					c.onMade = func(r *rec) { _, _ = r.c.Write([]byte("now")) }
				}
				w.pair(s, c, nil)
				w.until("both lost", func() bool { return s.lost() && c.lost() })
				s.want(Aborted, net.ErrClosed)
				c.want(Lost, syscall.ECONNRESET)
				if c.got.Len() != 0 {
					t.Errorf("%s: %d bytes of an aborted turn were sent", name, c.got.Len())
				}
			})
		}
	}
}

// ConnectionLost comes in a later turn than the abort, also if nothing is left
// to cancel.
func TestAbortEndsInALaterTurn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onRead = func(r *rec) {
			r.c.AbortConnection()
			_ = w.l.Call(func() {
				if r.lost() {
					t.Error("lost in the turn of the abort")
				}
			})
		}
		w.pair(half{s}, c, nil)
		c.c.LoseWriteConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		s.want(Aborted, net.ErrClosed)
	})
}

// A peer that never reads does not keep an abort waiting.
func TestAbortWithAFullSocket(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		c.onMade = func(r *rec) { r.c.PauseReading() }
		w.pair(s, c, nil)
		_, _ = s.c.Write(make([]byte, 32<<20))
		w.pass(time.Second)
		if s.c.Queued() == 0 {
			t.Fatal("the socket is not full")
		}
		start := w.l.Backend().Now()
		s.c.AbortConnection()
		if s.lost() {
			t.Error("lost inside AbortConnection")
		}
		w.until("lost", func() bool { return s.lost() })
		if took := w.l.Backend().Now() - start; took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		s.want(Aborted, net.ErrClosed)
		w.turns(3)
		c.c.ResumeReading()
		w.until("client lost", func() bool { return c.lost() })
		c.want(Lost, syscall.ECONNRESET)
	})
}

func TestCloseWithError(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		bad := errors.New("bad request")
		s.onMade = func(r *rec) {
			_, _ = r.c.Write([]byte("400"))
			r.c.CloseWithError(bad)
			r.c.CloseWithError(io.ErrNoProgress)
		}
		w.pair(s, c, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		s.want(Failed, bad)
		c.want(Done, io.EOF)
		if c.got.String() != "400" {
			t.Errorf("client got %q", c.got.String())
		}
	})
}

// deadlineCase is one way to wait too long.
type deadlineCase struct {
	name   string
	o      Options
	server func(*rec) Protocol
	start  func(s, c *Conn)
	kind   Kind
	cause  error
	op     string
	after  time.Duration
}

var deadlineCases = []deadlineCase{
	{"flush without progress", Options{}, nil,
		func(s, c *Conn) { c.PauseReading(); _, _ = s.Write(make([]byte, 8<<20)); s.LoseConnection() },
		TimedOut, os.ErrDeadlineExceeded, "close", 30 * time.Second},
	{"flush without progress, shorter", Options{CloseTimeout: time.Second}, nil,
		func(s, c *Conn) { c.PauseReading(); _, _ = s.Write(make([]byte, 8<<20)); s.LoseConnection() },
		TimedOut, os.ErrDeadlineExceeded, "close", time.Second},
	{"flush without progress, shorter than idle", Options{IdleTimeout: time.Hour, CloseTimeout: time.Second}, nil,
		func(s, c *Conn) { c.PauseReading(); _, _ = s.Write(make([]byte, 8<<20)); s.LoseConnection() },
		TimedOut, os.ErrDeadlineExceeded, "close", time.Second},
	{"peer does not end, shorter than idle", Options{IdleTimeout: time.Hour, CloseTimeout: time.Second}, nil,
		func(s, c *Conn) { c.PauseReading(); s.LoseConnection() },
		Done, net.ErrClosed, "close", time.Second},
	{"peer does not end", Options{}, nil,
		func(s, c *Conn) { c.PauseReading(); _, _ = s.Write([]byte("x")); s.LoseConnection() },
		Done, net.ErrClosed, "close", 30 * time.Second},
	{"half-closed here", Options{}, nil,
		func(s, c *Conn) { s.LoseWriteConnection() },
		TimedOut, os.ErrDeadlineExceeded, "half-closed", 30 * time.Second},
	{"half-closed there", Options{HalfClosedTimeout: 5 * time.Second}, func(r *rec) Protocol { return half{r} },
		func(s, c *Conn) { c.LoseWriteConnection() },
		TimedOut, os.ErrDeadlineExceeded, "half-closed", 5 * time.Second},
	{"idle", Options{IdleTimeout: time.Minute}, nil,
		func(s, c *Conn) { _, _ = c.Write([]byte("x")) },
		TimedOut, os.ErrDeadlineExceeded, "idle", time.Minute},
	{"peer never reads", Options{IdleTimeout: time.Minute}, nil,
		func(s, c *Conn) { c.PauseReading(); _, _ = s.Write(make([]byte, 8<<20)) },
		TimedOut, os.ErrDeadlineExceeded, "idle", time.Minute},
	{"detach without progress", Options{CloseTimeout: time.Second}, nil,
		func(s, c *Conn) {
			c.PauseReading()
			_, _ = s.Write(make([]byte, 8<<20))
			_ = s.Detach(func(proactor.Handle, []byte, error) {})
		},
		TimedOut, os.ErrDeadlineExceeded, "close", time.Second},
}

func TestDeadlines(t *testing.T) {
	for _, tc := range deadlineCases {
		w := newWorld(t, quiet(1))
		s, c := w.rec("server "+tc.name), w.rec("client "+tc.name)
		server, client := Protocol(s), Protocol(half{c})
		if tc.server != nil {
			server = tc.server(s)
		}
		a, h := w.handles()
		local, _, _ := w.l.Sockets().Names(h)
		NewConn(w.l, a.h, w.ln.Addr(), a.peer, &tc.o).Start(server)
		NewConn(w.l, h, local, w.ln.Addr(), &Options{HalfClosedTimeout: -1, CloseTimeout: -1}).Start(client)
		start := w.l.Backend().Now()
		tc.start(s.c, c.c)
		w.until(tc.name, func() bool { return s.lost() })
		took := w.l.Backend().Now() - start
		s.want(tc.kind, tc.cause)
		var e *ConnError
		if errors.As(s.err, &e) && (e.Op != tc.op || e.Timeout() != (tc.kind == TimedOut)) {
			t.Errorf("%s: %v, Timeout %v", tc.name, e, e.Timeout())
		}
		if took < tc.after || took > tc.after+tc.after/looks+time.Millisecond {
			t.Errorf("%s: after %v, want %v", tc.name, took, tc.after)
		}
		if tc.kind == TimedOut && c.c.flags.has(paused) { // it is told that it did not get all
			c.c.ResumeReading()
			w.until("client lost", func() bool { return c.lost() })
			c.want(Lost, syscall.ECONNRESET)
		}
		c.c.AbortConnection()
		w.until("client lost", func() bool { return c.lost() })
	}
}

// A slow reader makes progress, so the deadline does not cut it off; even one
// that takes a single send a bit at a time.
func TestDeadlineIsForNoProgress(t *testing.T) {
	for _, o := range []sim.Options{{}, {BufferSize: 1000, StreamBuffer: 1000}} {
		const size = 100_000
		o.Seed, o.Faults = 1, sim.NoFaults
		w := newWorld(t, o)
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, &Options{CloseTimeout: 2 * time.Second})
		_, _ = s.c.Write(pattern(0, size))
		s.c.LoseConnection()
		c.onData = func(r *rec) { r.c.PauseReading() }
		for !c.lost() {
			c.c.ResumeReading()
			w.pass(time.Second)
		}
		if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
			t.Errorf("the client got %d bytes, or others", c.got.Len())
		}
		if took := w.l.Backend().Now(); o.BufferSize > 0 && took < 10*time.Second {
			t.Errorf("the reader was not slow: %v", took)
		}
	}
}

// A byte every 50 s keeps a connection with deadlines of a minute alive, at
// the end that sends it and at the end that receives it, closed by half or not.
func TestTrafficPutsDeadlinesOff(t *testing.T) {
	for name, prepare := range map[string]func(from, to *Conn){
		"open":               func(from, to *Conn) {},
		"the other way shut": func(from, to *Conn) { to.LoseWriteConnection() },
	} {
		w := newWorld(t, quiet(1))
		s, c := w.rec("server"), w.rec("client")
		w.pair(half{s}, half{c}, &Options{IdleTimeout: time.Minute, HalfClosedTimeout: time.Minute})
		prepare(s.c, c.c)
		for range 20 {
			w.pass(50 * time.Second)
			_, _ = s.c.Write([]byte("x"))
		}
		if s.lost() || c.lost() {
			t.Errorf("%s: lost: %v, %v", name, s.err, c.err)
		}
	}
}

package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"mobius/internal/invariant"
	"mobius/loop"
	"mobius/proactor"
)

// A connection that is idle is this one object, and the kernel's.
func TestConnSize(t *testing.T) {
	if got, most := unsafe.Sizeof(Conn{}), uintptr(768); got > most {
		t.Errorf("a Conn is %d bytes, at most %d wanted (a size class of the allocator)", got, most)
	}
}

type wrapped struct{ x any }

func (w wrapped) Unwrap() any { return w.x }

func TestAsFindsAbilitiesThreeDeep(t *testing.T) {
	w := newWorld(t, quiet(1))
	deep := func(x any) any { return wrapped{wrapped{wrapped{x}}} }
	if _, ok := As[HalfCloser](deep(half{w.rec("h")})); !ok {
		t.Error("HalfCloser not found")
	}
	if _, ok := As[Drainer](deep(drain{w.rec("d")})); !ok {
		t.Error("Drainer not found")
	}
	if _, ok := As[Queuer](deep(&Conn{})); !ok {
		t.Error("Queuer not found")
	}
	if _, ok := As[*Conn](deep(&Conn{})); !ok {
		t.Error("*Conn not found")
	}
	if _, ok := As[HalfCloser](deep(w.rec("plain"))); ok {
		t.Error("found an ability that is not there")
	}
	if _, ok := As[HalfCloser](nil); ok {
		t.Error("found an ability of nothing")
	}
}

// wrapper hides a protocol's abilities from a type assertion.
type wrapper struct{ Protocol }

func (w wrapper) Unwrap() any { return w.Protocol }

func TestWrappedProtocolKeepsItsAbilities(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onRead = func(r *rec) { _, _ = r.c.Write(pattern(0, 200_000)) }
		s.onPause = func(r *rec) {}
		s.onResume = func(r *rec) { r.c.LoseConnection() }
		c.onMade = func(r *rec) { r.c.LoseWriteConnection() }
		w.pair(wrapper{wrapper{wrapper{newBoth(s)}}}, wrapper{wrapper{wrapper{newBoth(c)}}}, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if want := []string{"made", "read lost", "pause", "resume", "lost"}; !slices.Equal(s.events, want) {
			t.Errorf("server: %v, want %v", s.events, want)
		}
		if !bytes.Equal(c.got.Bytes(), pattern(0, 200_000)) {
			t.Errorf("the client got %d bytes, or others", c.got.Len())
		}
	})
}

func TestBothDirectionsInOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) {
			_, _ = r.c.Write([]byte("hello, "))
			_, _ = r.c.Writev([][]byte{[]byte("wor"), nil, []byte("ld")})
			_ = r.c.WriteOwned([]byte("!"), nil)
			r.c.LoseConnection()
		}
		w.pair(s, c, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if c.got.String() != "hello, world!" {
			t.Errorf("got %q", c.got.String())
		}
		s.want(Done, net.ErrClosed)
		c.want(Done, io.EOF)
		if n := w.l.Backend().Stats().Submitted; n > 8 {
			t.Errorf("%d operations: the writes of one turn are not one send", n)
		}
	})
}

func TestUnixStreams(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.listen(onePath)
		s, c := w.rec("server"), w.rec("client")
		s.onData = func(r *rec) { _, _ = r.c.Write(r.last) }
		c.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, 100_000)) }
		c.onData = func(r *rec) {
			if r.got.Len() == 100_000 {
				r.c.LoseConnection()
			}
		}
		w.pair(s, c, nil)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, 100_000)) {
			t.Error("other bytes came back")
		}
		if !s.c.LocalAddr().IsAbstract() || s.c.LocalAddr() != c.c.RemoteAddr() {
			t.Errorf("addresses %v and %v", s.c.LocalAddr(), c.c.RemoteAddr())
		}
	})
}

// Writes after the end was asked for are refused.
func TestWritesAreRefusedAfterTheEndWasAskedFor(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"LoseConnection":      (*Conn).LoseConnection,
		"LoseWriteConnection": (*Conn).LoseWriteConnection,
		"AbortConnection":     (*Conn).AbortConnection,
		"CloseWithError":      func(c *Conn) { c.CloseWithError(errors.New("enough")) },
		"Detach": func(c *Conn) {
			_ = c.Detach(func(h proactor.Handle, _ []byte, _ error) { _ = c.l.Sockets().CloseFD(h) })
		},
	} {
		each(t, func(t *testing.T, w *world) {
			s, c := w.rec("server"), w.rec("client")
			s.onMade = func(r *rec) {
				end(r.c)
				released := 0
				_, err1 := r.c.Write([]byte("x"))
				_, err2 := r.c.Writev([][]byte{[]byte("x")})
				err3 := r.c.WriteOwned([]byte("x"), func() { released++ })
				for _, err := range []error{err1, err2, err3} {
					if !errors.Is(err, ErrNotWritable) || !errors.Is(err, net.ErrClosed) {
						t.Errorf("%s: write answered %v", name, err)
					}
				}
				if released != 1 || r.c.Room() != 0 {
					t.Errorf("%s: released %d times, room %d", name, released, r.c.Room())
				}
			}
			c.onMade = func(r *rec) { r.c.LoseConnection() }
			w.pair(s, c, nil)
			w.until(name+": both lost", func() bool { return s.lost() && c.lost() })
			if c.got.Len() != 0 {
				t.Errorf("%s: %q was sent", name, c.got.String())
			}
			if _, err := s.c.Write([]byte("x")); err == nil {
				t.Errorf("%s: a write after the loss was taken", name)
			}
		})
	}
}

func TestPanicsEndTheirConnectionOnly(t *testing.T) {
	boom := errors.New("boom")
	set := map[string]func(*rec){
		"made": func(r *rec) { r.onMade = func(*rec) { panic(boom) } },
		"data": func(r *rec) { r.onData = func(*rec) { panic(boom) } },
		"read": func(r *rec) { r.onRead = func(*rec) { panic(boom) } },
		"write": func(r *rec) {
			r.onMade = func(r *rec) { r.c.LoseWriteConnection() }
			r.onWrite = func(*rec) { panic(boom) }
		},
		"pause": func(r *rec) {
			r.onMade = func(r *rec) { _, _ = r.c.Write(make([]byte, 1<<20)) }
			r.onPause = func(*rec) { panic(boom) }
		},
		"resume": func(r *rec) {
			r.onMade = func(r *rec) { _, _ = r.c.Write(make([]byte, 1<<20)) }
			r.onResume = func(*rec) { panic(boom) }
		},
		"release": func(r *rec) { r.onMade = func(r *rec) { _ = r.c.WriteOwned([]byte("x"), func() { panic(boom) }) } },
		"abort":   func(r *rec) { r.onData = func(r *rec) { r.c.AbortConnection(); panic(boom) } },
	}
	for name, f := range set {
		each(t, func(t *testing.T, w *world) {
			other1, other2 := w.rec("other server"), w.rec("other client")
			w.pair(other1, other2, nil)
			s, c := w.rec("server"), w.rec("client")
			f(s)
			c.onMade = func(r *rec) { _, _ = r.c.Write([]byte("hello")) }
			w.pair(newBoth(s), c, nil)
			if name == "read" {
				c.c.LoseWriteConnection()
			}
			w.until(name+": both lost", func() bool { return s.lost() && c.lost() })
			s.want(Panicked, boom)
			var p *PanicError
			if !errors.As(s.err, &p) || p.Value != boom {
				t.Errorf("%s: the reason is %v", name, s.err)
			}
			if len(w.troubles) != 1 || w.troubles[0].Kind != loop.Panicked || !strings.Contains(string(w.troubles[0].Stack), "transport") {
				t.Errorf("%s: reported %v", name, w.troubles)
			}
			if name != "read" && name != "write" { // else an end was on its way already
				c.want(Lost, syscall.ECONNRESET)
			}
			if other1.lost() || other2.lost() {
				t.Errorf("%s: another connection was lost", name)
			}
		})
	}
}

// A panic in ConnectionLost changes nothing about the end.
func TestPanicInConnectionLost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onLost = func(*rec) { panic("late") }
		w.pair(s, c, nil)
		members := w.l.Members()
		c.c.LoseConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		s.want(Done, io.EOF)
		if len(w.troubles) != 1 || w.l.Members() != members-2 {
			t.Errorf("troubles %v, members %d, were %d", w.troubles, w.l.Members(), members)
		}
	})
}

// Connections learn that the loop stops, also a paused one.
func TestStopTellsAll(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		c.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, 10_000)) }
		w.pair(s, c, nil)
		w.pass(time.Second)
		w.l.Stop()
		if err := w.l.Close(); err != nil {
			t.Fatal(err)
		}
		s.want(Stopped, loop.ErrStopped)
		c.want(Stopped, loop.ErrStopped)
	})
}

func TestGoexitTellsAll(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	s.onData = func(r *rec) { r.inside = 0; runtime.Goexit() }
	done := make(chan struct{})
	go func() { // the goroutine that the loop will have lost
		defer close(done)
		w.pair(s, c, nil)
		_, _ = c.c.Write([]byte("x"))
		for w.l.Iterate(w.limit) == nil {
		}
	}()
	<-done
	s.want(Stopped, loop.ErrGoexit)
	c.want(Stopped, loop.ErrGoexit)
}

// Operations that do not end do not keep a stop waiting for ever, nor anybody
// in the dark.
func TestAbandonedConnectionsAreToldToo(t *testing.T) {
	w, f := newFaultyWorld(t)
	s, c := w.rec("server"), w.rec("client")
	s.hanging, c.hanging = true, true
	w.pair(s, c, nil)
	f.hang = true
	released := 0
	_ = s.c.WriteOwned(make([]byte, 1000), func() { released++ })
	w.turns(3)
	w.l.Stop()
	_ = w.l.Close()
	s.want(Stopped, loop.ErrStopped)
	c.want(Stopped, loop.ErrStopped)
	if released != 1 {
		t.Errorf("released %d times", released)
	}
	if len(w.troubles) != 1 || w.troubles[0].Kind != loop.Abandoned {
		t.Errorf("reported %v", w.troubles)
	}
	select {
	case <-w.ln.Stop().Done():
	default:
		t.Error("the listener's stop has no result")
	}
	w.net = nil // the leaks are what the test is about
}

// A connection is one allocation.
func TestNewConnAllocatesOnce(t *testing.T) {
	w := newWorld(t, quiet(1))
	var c *Conn
	if n := testing.AllocsPerRun(100, func() { c = NewConn(w.l, 1, tcpAny, tcpAny, nil) }); n > 1 && !invariant.Enabled {
		t.Errorf("%v allocations", n)
	}
	_ = c
}

// A loop's Shutdown lets connections end in good order.
func TestShutdownFlushes(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, 1<<20)) }
		w.pair(s, c, nil)
		w.l.Leave(&c.c.member) // the client plays another program
		w.l.Shutdown(time.Minute)
		for w.l.Iterate(w.limit) == nil {
		}
		s.want(Done, net.ErrClosed)
		if !bytes.Equal(c.got.Bytes(), pattern(0, 1<<20)) {
			t.Errorf("the client got %d bytes, or others", c.got.Len())
		}
	})
}

// Errors tell the whole story in one line.
func TestErrorTexts(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	s.onMade = func(r *rec) { panic("oh") }
	c.onMade = func(r *rec) {
		if r.c.Loop() != w.l || r.c.Protocol() != Protocol(r) || w.ln.Loop() != w.l || w.ln.Handle() == 0 {
			t.Error("Loop, Protocol, Handle")
		}
	}
	w.pair(s, c, nil)
	w.until("both lost", func() bool { return s.lost() && c.lost() })
	for err, want := range map[error]string{
		s.err: "protocol tcp 127.0.0.1:1: panicked: panic: oh",
		c.err: "read tcp " + w.ln.Addr().String() + ": lost: connection reset by peer",
		&AcceptError{Addr: onePath, Err: syscall.EMFILE}: "accept on unix @transport-test: too many open files",
	} {
		if got := strings.ReplaceAll(err.Error(), s.c.RemoteAddr().String(), "127.0.0.1:1"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if Kind(200).String() != "unknown" || (&ConnError{}).Temporary() {
		t.Error("Kind.String, Temporary")
	}
	defer func() {
		if recover() == nil {
			t.Error("a second Start went unnoticed")
		}
	}()
	s.c.Start(s)
}

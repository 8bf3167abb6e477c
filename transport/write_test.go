package transport

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
)

// PauseWriting comes once, ResumeWriting once, and again.
func TestWaterMarks(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(drain{s}, c, &Options{HighWater: 100, LowWater: 10})
		c.c.PauseReading()
		_, _ = s.c.Write(make([]byte, 100))
		if len(s.events) != 1 {
			t.Errorf("told at the mark itself: %v", s.events)
		}
		for range 3 {
			_, _ = s.c.Write(make([]byte, 1))
		}
		if want := []string{"made", "pause"}; !slices.Equal(s.events, want) {
			t.Errorf("%v, want %v", s.events, want)
		}
		w.until("resumed", func() bool { return s.c.Queued() <= 10 })
		_, _ = s.c.Writev([][]byte{make([]byte, 60), make([]byte, 60)})
		w.until("resumed again", func() bool { return s.c.Queued() == 0 })
		if want := []string{"made", "pause", "resume", "pause", "resume"}; !slices.Equal(s.events, want) {
			t.Errorf("%v, want %v", s.events, want)
		}
	})
}

// A flush that somebody asks for while the rest of one piece is being sent sends nothing.
func TestFlushLeavesTheSendUnderWayAlone(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		c.c.PauseReading()
		n := 0
		for ; s.c.flying == 0; n += 60_000 {
			if _, err := s.c.Write(pattern(n, 60_000)); err != nil {
				t.Fatal(err)
			}
			w.turns(2)
		}
		s.c.l.AtTurnEnd(&s.c.flush)
		w.turns(1)
		c.c.ResumeReading()
		w.until("all is there", func() bool { return c.got.Len() >= n && s.c.Queued() == 0 })
		if !bytes.Equal(c.got.Bytes(), pattern(0, n)) || len(w.troubles) > 0 {
			t.Errorf("got %d bytes of %d, or others; %v", c.got.Len(), n, w.troubles)
		}
	})
}

// ResumeWriting writes so much that it pauses anew.
func TestResumeWritingFillsTheQueueAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		rounds := 0
		s.onResume = func(r *rec) {
			if rounds++; rounds <= 20 {
				_, _ = r.c.Write(pattern(rounds*1000, 1000))
			} else {
				r.c.LoseConnection()
			}
		}
		s.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, 1000)) }
		w.pair(drain{s}, c, &Options{HighWater: 100})
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, 21_000)) {
			t.Errorf("got %d bytes, or others", c.got.Len())
		}
	})
}

// ResumeWriting may end the connection.
func TestEndsInsideWaterMarks(t *testing.T) {
	for name, end := range map[string]func(*Conn){
		"abort": (*Conn).AbortConnection, "lose": (*Conn).LoseConnection, "lose write": (*Conn).LoseWriteConnection,
	} {
		for _, at := range []string{"pause", "resume"} {
			each(t, func(t *testing.T, w *world) {
				s, c := w.rec("server"), w.rec("client")
				act := func(r *rec) { end(r.c) }
				if at == "pause" {
					s.onPause = act
				} else {
					s.onResume = act
				}
				s.onMade = func(r *rec) { _, _ = r.c.Write(make([]byte, 1<<20)) }
				c.onRead = func(r *rec) { r.c.LoseConnection() }
				w.pair(drain{s}, half{c}, nil)
				w.until(name+" in "+at, func() bool { return s.lost() && c.lost() })
				if name != "abort" && c.got.Len() != 1<<20 {
					t.Errorf("%s in %s: the client got %d bytes", name, at, c.got.Len())
				}
			})
		}
	}
}

// The limit refuses a write as a whole.
func TestHardLimit(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, &Options{HardLimit: 1000})
		released := 0
		release := func() { released++ }
		take := func(err error, ok bool) {
			t.Helper()
			if ok != (err == nil) || !ok && !errors.Is(err, ErrFull) {
				t.Errorf("answered %v, want taken: %v", err, ok)
			}
		}
		_, err := s.c.Write(make([]byte, 1001))
		take(err, false)
		_, err = s.c.Write(pattern(0, 600))
		take(err, true)
		_, err = s.c.Writev([][]byte{make([]byte, 300), make([]byte, 101)})
		take(err, false)
		take(s.c.WriteOwned(make([]byte, 401), release), false)
		take(s.c.WriteOwned(pattern(600, 400), release), true)
		_, err = s.c.Write([]byte("x"))
		take(err, false)
		if s.c.Room() != 0 || s.c.Queued() != 1000 || released != 1 {
			t.Errorf("room %d, queued %d, released %d", s.c.Room(), s.c.Queued(), released)
		}
		w.until("drained", func() bool { return s.c.Queued() == 0 })
		if s.c.Room() != 1000 || released != 2 {
			t.Errorf("room %d, released %d", s.c.Room(), released)
		}
		s.c.LoseConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, 1000)) {
			t.Errorf("got %d bytes, or others", c.got.Len())
		}
	})
}

// The peers' loss: a writev of 64 MiB to a slow reader.
func TestWritevToASlowReader(t *testing.T) {
	const size = 64 << 20
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		all := pattern(0, size)
		var bufs [][]byte
		for rest := all; len(rest) > 0; rest = rest[1<<20:] {
			bufs = append(bufs, rest[:1<<20])
		}
		if n, err := s.c.Writev(bufs); n != size || err != nil {
			t.Fatalf("Writev: %d, %v", n, err)
		}
		clear(bufs[0]) // it was copied
		copy(bufs[0], pattern(0, 1<<20))
		s.c.LoseConnection()
		c.onData = func(r *rec) { r.c.PauseReading() }
		for !c.lost() {
			c.c.ResumeReading()
			w.pass(100 * time.Microsecond)
		}
		if !bytes.Equal(c.got.Bytes(), all) {
			t.Errorf("the client got %d bytes, or others", c.got.Len())
		}
	})
}

// WriteOwned gives the memory back exactly once, whatever happens.
func TestWriteOwnedReleasesOnce(t *testing.T) {
	const pieces = 50
	for name, end := range map[string]func(s, c *Conn){
		"sent":          func(s, c *Conn) { s.LoseConnection() },
		"aborted":       func(s, c *Conn) { s.AbortConnection() },
		"reset":         func(s, c *Conn) { c.AbortConnection() },
		"not read":      func(s, c *Conn) { c.PauseReading(); s.LoseConnection() },
		"stopped":       func(s, c *Conn) { s.l.Stop() },
		"write refused": func(s, c *Conn) { s.AbortConnection(); s.LoseConnection() },
	} {
		for _, from := range []int{0, 1} {
			each(t, func(t *testing.T, w *world) {
				s, c := w.rec("server "+name), w.rec("client "+name)
				w.pair(s, c, &Options{CloseTimeout: time.Second, ZeroCopyFrom: from})
				released := make([]int, pieces)
				for i := range pieces {
					buf := pattern(i*10_000, 10_000)
					if err := s.c.WriteOwned(buf, func() { released[i]++; clear(buf) }); err != nil {
						t.Fatal(err)
					}
					if i == 25 {
						w.turns(5)
					}
				}
				end(s.c, c.c)
				if name == "stopped" {
					_ = w.l.Close()
				} else {
					w.until(name, func() bool { return s.lost() })
				}
				for i, n := range released {
					if n != 1 {
						t.Errorf("%s, zero-copy from %d: piece %d released %d times", name, from, i, n)
					}
				}
				if name == "sent" {
					w.until("client lost", func() bool { return c.lost() })
					if !bytes.Equal(c.got.Bytes(), pattern(0, pieces*10_000)) {
						t.Errorf("got %d bytes, or others", c.got.Len())
					}
				}
			})
		}
	}
}

// One buffer of many sends, with and without copies by the kernel.
func TestLargeWriteOwned(t *testing.T) {
	const size = 5_000_000
	for _, from := range []int{0, 1} {
		each(t, func(t *testing.T, w *world) {
			s, c := w.rec("server"), w.rec("client")
			w.pair(s, c, &Options{ZeroCopyFrom: from})
			released := 0
			buf := pattern(3, size)
			_, _ = s.c.Write(pattern(0, 3))
			if err := s.c.WriteOwned(buf, func() { released++; clear(buf) }); err != nil {
				t.Fatal(err)
			}
			_, _ = s.c.Write(pattern(size+3, 10))
			w.until("sent", func() bool { return c.got.Len() == size+13 })
			w.until("released", func() bool { return released > 0 })
			if !bytes.Equal(c.got.Bytes(), pattern(0, size+13)) || released != 1 {
				t.Errorf("other bytes arrived, or released %d times", released)
			}
		})
	}
}

// One report that the kernel copied ends the zero-copy sends of a connection.
func TestZeroCopyStopsWhenItBringsNothing(t *testing.T) {
	for _, byCopy := range []bool{false, true} {
		w, f := newFaultyWorld(t)
		s, c := w.rec("server"), w.rec("client")
		pinned := 0
		f.fail = func(op *proactor.Op) error {
			if op.Pin != nil {
				pinned++
			}
			return nil
		}
		w.pair(s, c, &Options{ZeroCopyFrom: 1000})
		for i := range 10 {
			_ = s.c.WriteOwned(make([]byte, 999), nil) // too small
			_ = s.c.WriteOwned(make([]byte, 1000), nil)
			w.until("sent", func() bool { return s.c.Queued() == 0 && s.c.pins == 0 })
			if i == 0 {
				if pinned != 1 {
					t.Fatalf("%d pinned sends of two writes", pinned)
				}
				s.c.flags &^= copied
				if byCopy {
					s.c.flags |= copied
				}
			} else if !byCopy {
				s.c.flags &^= copied // the simulated kernel may say so
			}
		}
		if want := map[bool]int{true: 1, false: 10}[byCopy]; pinned != want {
			t.Errorf("copied %v: %d pinned sends, want %d", byCopy, pinned, want)
		}
	}
}

// The kernel's report reaches the connection.
func TestReleasedTellsOfCopies(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	w.pair(s, c, nil)
	for _, byCopy := range []bool{false, true} {
		p := &pin{c: s.c, s: &segment{class: uint8(bare), kind: owned, pins: 1}}
		s.c.pins++
		p.Released(&p.Pin, byCopy)
		if s.c.flags.has(copied) != byCopy || s.c.pins != 0 {
			t.Errorf("copied %v: flag %v, %d pins", byCopy, s.c.flags.has(copied), s.c.pins)
		}
	}
}

// While a connection is being closed one send is small, since on some backends
// only its end is progress.
func TestSendsAreSmallAtTheEnd(t *testing.T) {
	o := quiet(1)
	o.WriteFrom = 1 << 30 // Sends only
	w := newWorld(t, o)
	s, c := w.rec("server"), w.rec("client")
	w.pair(s, c, nil)
	c.c.PauseReading()
	_, _ = s.c.Write(make([]byte, 8<<20))
	w.turns(1)
	if s.c.flying != maxSend {
		t.Errorf("a send of %d bytes, want %d", s.c.flying, maxSend)
	}
	s.c.LoseConnection()
	c.c.ResumeReading()
	w.until("the next send", func() bool { return s.c.Queued() <= 8<<20-maxSend && s.c.flying > 0 })
	if s.c.flying > maxSendLeaving {
		t.Errorf("a send of %d bytes, want %d at most", s.c.flying, maxSendLeaving)
	}
	w.until("both lost", func() bool { return s.lost() && c.lost() })
}

// A release that writes, and one that ends the connection, inside the queue's
// own work.
func TestReleaseUsesTheConnection(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		n := 0
		var release func()
		release = func() {
			if n++; n < 10 {
				_ = s.c.WriteOwned(pattern(n*100, 100), release)
			} else {
				_, _ = s.c.Write(pattern(n*100, 100))
				s.c.LoseConnection()
			}
		}
		_ = s.c.WriteOwned(pattern(0, 100), release)
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(c.got.Bytes(), pattern(0, 1100)) {
			t.Errorf("got %d bytes, or others", c.got.Len())
		}
	})
}

// Echoes allocate nothing, copied or held, and no write of one turn costs a
// send of its own.
func TestEchoAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("the checks that are compiled in allocate")
	}
	for _, size := range []int{64, HoldFrom, 20_000} {
		each(t, func(t *testing.T, w *world) {
			s, c := w.rec("server"), w.rec("client")
			s.deaf, c.deaf = true, true
			got := 0
			s.onData = func(r *rec) {
				_, _ = r.c.Write(r.last[:1])
				_, _ = r.c.Write(r.last[1:])
			}
			c.onData = func(r *rec) { got += len(r.last) }
			w.pair(s, c, nil)
			p := pattern(0, size)
			echo := func() {
				got = 0
				_, _ = c.c.Write(p)
				for got < size {
					if err := w.l.Iterate(time.Minute); err != nil {
						t.Fatal(err)
					}
				}
			}
			for range 100 {
				echo()
			}
			before := w.l.Backend().Stats().Submitted
			if n := testing.AllocsPerRun(200, echo); n != 0 {
				t.Errorf("%d bytes: %v allocations per echo", size, n)
			}
			if sends := w.l.Backend().Stats().Submitted - before; sends > 2*201 {
				t.Errorf("%d bytes: %d sends for 201 echoes", size, sends)
			}
			w.turns(2)
			if s.c.out.head != nil || s.c.vec != nil || s.c.send.Buf != nil {
				t.Errorf("%d bytes: an idle connection keeps buffers", size)
			}
		})
	}
}

// The pool of a loop keeps a bounded amount.
func TestPoolIsBounded(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	w.pair(s, c, nil)
	_, _ = s.c.Write(make([]byte, 32<<20))
	s.c.LoseConnection()
	w.until("both lost", func() bool { return s.lost() && c.lost() })
	if p := poolOf(w.l); p.bytes > maxPooled || p.bytes < maxPooled/2 {
		t.Errorf("the pool keeps %d bytes, bound %d", p.bytes, maxPooled)
	}
}

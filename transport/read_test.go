package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

// Nothing is delivered after a pause in ConnectionMade, and all of it after
// the resume.
func TestPauseInConnectionMade(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		c.onMade = func(r *rec) { _, _ = r.c.Write(pattern(0, 1<<20)); r.c.LoseConnection() }
		w.pair(s, c, nil)
		w.pass(time.Minute / 4)
		if s.got.Len() != 0 {
			t.Fatalf("%d bytes delivered while paused", s.got.Len())
		}
		s.c.ResumeReading()
		if s.got.Len() != 0 {
			t.Error("bytes delivered inside ResumeReading")
		}
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		if !bytes.Equal(s.got.Bytes(), pattern(0, 1<<20)) {
			t.Errorf("got %d bytes, or others", s.got.Len())
		}
	})
}

// Of several pauses and resumes the last counts.
func TestLastPauseOrResumeCounts(t *testing.T) {
	for _, calls := range []string{"p", "pr", "prp", "pprr", "rr", "prprprp", "rp"} {
		each(t, func(t *testing.T, w *world) {
			s, c := w.rec("server"), w.rec("client")
			play := func(r *rec) {
				for _, x := range calls {
					if x == 'p' {
						r.c.PauseReading()
					} else {
						r.c.ResumeReading()
					}
				}
			}
			s.onMade = play
			w.pair(s, c, nil)
			_, _ = c.c.Write([]byte("1"))
			w.pass(time.Second)
			paused := calls[len(calls)-1] == 'p'
			if got := s.got.Len() == 0; got != paused {
				t.Errorf("%s in ConnectionMade: delivered %q", calls, s.got.String())
			}
			s.c.ResumeReading()
			w.until(calls+" delivered", func() bool { return s.got.Len() == 1 })
			s.onData = play
			_, _ = c.c.Write([]byte("2"))
			w.until(calls+" delivered", func() bool { return s.got.Len() == 2 })
			_, _ = c.c.Write([]byte("3"))
			w.pass(time.Second)
			if got := s.got.Len() == 2; got != paused {
				t.Errorf("%s in DataReceived: delivered %q", calls, s.got.String())
			}
		})
	}
}

// The end is not told before the resume, and not forgotten after.
func TestEndWhilePaused(t *testing.T) {
	for _, resumeAt := range []time.Duration{0, time.Millisecond, time.Second} {
		each(t, func(t *testing.T, w *world) {
			s, c := w.rec("server"), w.rec("client")
			s.onData = func(r *rec) { r.events = append(r.events, "data"); r.c.PauseReading() }
			c.onMade = func(r *rec) { _, _ = r.c.Write([]byte("x")); r.c.LoseConnection() }
			w.pair(s, c, nil)
			w.until("data", func() bool { return s.got.Len() == 1 })
			w.pass(resumeAt)
			s.events = append(s.events, "resume")
			s.c.ResumeReading()
			w.until("both lost", func() bool { return s.lost() && c.lost() })
			if want := []string{"made", "data", "resume", "lost"}; !slices.Equal(s.events, want) {
				t.Errorf("%v, want %v", s.events, want)
			}
			s.want(Done, io.EOF)
		})
	}
}

// A paused, idle connection learns of a reset; one with bytes kept
// learns of it after them.
func TestResetWhilePaused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		w.pair(s, c, nil)
		w.pass(time.Second)
		c.c.AbortConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		s.want(Lost, syscall.ECONNRESET)

		s, c = w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		w.pair(s, c, nil)
		_, _ = c.c.Write(pattern(0, 5000))
		w.pass(time.Second)
		c.c.AbortConnection()
		w.pass(time.Second)
		s.c.ResumeReading()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		s.want(Lost, syscall.ECONNRESET)
		if !bytes.Equal(s.got.Bytes(), pattern(0, 5000)) {
			t.Errorf("got %d bytes before the reset", s.got.Len())
		}
	})
}

// A reset that was to be told after the bytes that were kept is told when they
// are given up.
func TestCloseWithAResetBehindKeptBytes(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	s.onMade = func(r *rec) { r.c.PauseReading() }
	w.pair(s, c, nil)
	_, _ = c.c.Write([]byte("x"))
	w.until("kept, and the Recv has ended", func() bool { return s.c.in.n > 0 && !s.c.recv.Active() })
	s.c.recv.Begin()
	s.c.recv.Deliver(0, syscall.ECONNRESET, false)
	if s.c.state != open {
		t.Fatalf("state %v", s.c.state)
	}
	s.c.LoseConnection()
	c.c.AbortConnection()
	w.until("both lost", func() bool { return s.lost() && c.lost() })
	s.want(Lost, syscall.ECONNRESET)
	if s.got.Len() != 0 {
		t.Error("bytes were delivered to one who is paused")
	}
}

// One who does not read learns by writing that the peer has gone.
func TestWriteWithoutReadingNoticesTheLoss(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		c.onMade = func(r *rec) { _, _ = r.c.Write([]byte("x")); r.c.AbortConnection() }
		w.pair(s, c, nil)
		w.pass(time.Second)
		for i := 0; i < 100 && !s.lost(); i++ {
			_, _ = s.c.Write([]byte("are you there?"))
			w.pass(time.Second)
		}
		if kindOf(s.err) != Lost {
			t.Errorf("ended with %v", s.err)
		}
	})
}

// What the peer sent before it reset our writes is still delivered: an early
// answer to a request that is too large.
func TestInputAfterAFailedWrite(t *testing.T) {
	w, f := newFaultyWorld(t)
	s, c := w.rec("server"), w.rec("client")
	w.pair(s, c, nil)
	f.fail = func(op *proactor.Op) error {
		if op == &s.c.send {
			return syscall.EPIPE
		}
		return nil
	}
	_, _ = s.c.Write(make([]byte, 100))
	w.until("failing", func() bool { return s.c.state == failing })
	if _, err := s.c.Write([]byte("x")); !errors.Is(err, ErrNotWritable) || s.c.Queued() != 0 {
		t.Errorf("Write answered %v, %d bytes are kept for nobody", err, s.c.Queued())
	}
	_, _ = c.c.Write([]byte("413 too large"))
	c.c.LoseConnection()
	w.until("both lost", func() bool { return s.lost() && c.lost() })
	s.want(Lost, syscall.EPIPE)
	if s.got.String() != "413 too large" {
		t.Errorf("got %q", s.got.String())
	}
}

// … but one who is paused is told of it at once.
func TestFailedWriteWhilePaused(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		w, f := newFaultyWorld(t)
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		f.fail = func(op *proactor.Op) error {
			if op == &s.c.send {
				return syscall.EPIPE
			}
			return nil
		}
		if when == "before" {
			s.c.PauseReading()
		}
		_, _ = s.c.Write(make([]byte, 100))
		if when == "after" {
			w.until("failing", func() bool { return s.c.state == failing })
			s.c.PauseReading()
		}
		w.until("lost", func() bool { return s.lost() })
		s.want(Lost, syscall.EPIPE)
		c.c.AbortConnection()
		w.until("client lost", func() bool { return c.lost() })
	}
}

// What a Recv that is being cancelled still brings comes after what was kept,
// though the pause is over, and its end after that.
func TestStragglersAfterAResume(t *testing.T) {
	for _, end := range []error{io.EOF, syscall.ECONNRESET} {
		w := newWorld(t, quiet(1))
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		w.pair(s, c, nil)
		_, _ = c.c.Write([]byte("kept, "))
		w.until("kept, and the Recv has ended", func() bool { return s.c.in.n > 0 && !s.c.recv.Active() })
		s.c.ResumeReading()
		op := &s.c.recv // as the backend would, in a later part of the same poll
		op.Begin()
		op.Buf = []byte("straggling")
		op.Deliver(len(op.Buf), nil, true)
		op.Buf = nil
		op.Deliver(0, end, false)
		w.until("lost", func() bool { return s.lost() })
		if s.got.String() != "kept, straggling" || !errors.Is(s.err, end) {
			t.Errorf("got %q, %v", s.got.String(), s.err)
		}
		c.c.AbortConnection()
		w.until("client lost", func() bool { return c.lost() })
	}
}

// One byte at a time, with a pause after each.
func TestOneByteAtATime(t *testing.T) {
	const size = 300
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		w.pair(s, c, nil)
		s.onData = func(r *rec) {
			r.c.PauseReading()
			r.w.l.Call(func() { r.c.ResumeReading() })
			_, _ = r.c.Write(r.last)
		}
		for i := range size {
			_, _ = c.c.Write(pattern(i, 1))
			w.turns(1)
		}
		w.until("all back", func() bool { return c.got.Len() == size })
		if !bytes.Equal(c.got.Bytes(), pattern(0, size)) {
			t.Error("other bytes came back")
		}
	})
}

func TestResumeAfterTheLoss(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		s.onMade = func(r *rec) { r.c.PauseReading() }
		s.onLost = func(r *rec) {
			r.c.ResumeReading()
			r.c.PauseReading()
			r.c.LoseConnection()
			r.c.LoseWriteConnection()
			r.c.AbortConnection()
			r.c.CloseWithError(io.EOF)
			if err := r.c.Detach(nil); err == nil {
				t.Error("a lost connection was detached")
			}
		}
		w.pair(s, c, nil)
		s.c.AbortConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		w.turns(5)
		s.want(Aborted, net.ErrClosed)
	})
}

// Detach hands over what is unread, and the socket with everything after it.
func TestDetach(t *testing.T) {
	for _, held := range []int{0, 100, 100_000} {
		each(t, func(t *testing.T, w *world) {
			s, c := w.rec("server"), w.rec("client")
			s.onMade = func(r *rec) { r.c.PauseReading() }
			w.pair(s, c, nil)
			_, _ = c.c.Write(pattern(0, held))
			w.pass(time.Second)
			_, _ = s.c.Write(pattern(0, 1<<20))
			var got proactor.Handle
			var unread []byte
			calls := 0
			if err := s.c.Detach(func(h proactor.Handle, p []byte, err error) {
				got, unread = h, p
				if calls++; calls > 1 || err != nil || !s.lost() {
					t.Errorf("done: call %d, %v, lost %v", calls, err, s.lost())
				}
			}); err != nil {
				t.Fatal(err)
			}
			if calls != 0 {
				t.Error("done inside Detach")
			}
			_, _ = c.c.Write(pattern(held, 1000))
			w.until("handed over", func() bool { return calls > 0 })
			s.want(Detached, net.ErrClosed)
			next := w.rec("successor")
			n := NewConn(w.l, got, s.c.LocalAddr(), s.c.RemoteAddr(), nil)
			next.got.Write(unread)
			n.Start(next)
			w.until("the rest", func() bool { return next.got.Len() == held+1000 })
			if !bytes.Equal(next.got.Bytes(), pattern(0, held+1000)) {
				t.Error("other bytes after the detach")
			}
			w.until("the output", func() bool { return c.got.Len() == 1<<20 })
		})
	}
}

// A connection that is given away before it has read anything loses nothing,
// and does not wait for its peer.
func TestDetachInConnectionMade(t *testing.T) {
	w := newWorld(t, quiet(1))
	s, c := w.rec("server"), w.rec("client")
	var got proactor.Handle
	s.onMade = func(r *rec) {
		if err := r.c.Detach(func(h proactor.Handle, unread []byte, err error) {
			if got = h; len(unread) > 0 || err != nil {
				t.Errorf("handed over with %d bytes, %v", len(unread), err)
			}
		}); err != nil {
			t.Error(err)
		}
	}
	w.pair(s, c, nil)
	w.turns(2)
	if got == 0 {
		t.Fatal("not handed over")
	}
	if err := w.l.Sockets().CloseFD(got); err != nil {
		t.Error(err)
	}
}

func TestDetachOfALostConnection(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		s, c := w.rec("server"), w.rec("client")
		c.onMade = func(r *rec) { r.c.PauseReading() }
		w.pair(s, c, nil)
		_, _ = s.c.Write(make([]byte, 8<<20))
		var reason error
		calls := 0
		if err := s.c.Detach(func(h proactor.Handle, p []byte, err error) { calls++; reason = err }); err != nil {
			t.Fatal(err)
		}
		w.pass(time.Second)
		c.c.AbortConnection()
		w.until("both lost", func() bool { return s.lost() && c.lost() })
		w.turns(2)
		if calls != 1 || kindOf(reason) != Lost || kindOf(s.err) != Lost {
			t.Errorf("%d calls, %v; lost with %v", calls, reason, s.err)
		}
	})
}

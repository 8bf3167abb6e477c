package transport

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
)

// reach brings the server of a new pair into each state.
var reach = map[state]func(w *world, f *faulty, s, c *Conn){
	open: func(w *world, f *faulty, s, c *Conn) {},
	readDone: func(w *world, f *faulty, s, c *Conn) {
		c.LoseWriteConnection()
		w.until("readDone", func() bool { return s.state == readDone })
	},
	shutting: func(w *world, f *faulty, s, c *Conn) {
		c.PauseReading()
		_, _ = s.Write(make([]byte, 8<<20))
		s.LoseWriteConnection()
		w.turns(5)
	},
	shut: func(w *world, f *faulty, s, c *Conn) {
		s.LoseWriteConnection()
		w.turns(2)
	},
	losing: func(w *world, f *faulty, s, c *Conn) {
		c.PauseReading()
		_, _ = s.Write(make([]byte, 8<<20))
		s.LoseConnection()
		w.turns(5)
	},
	lingering: func(w *world, f *faulty, s, c *Conn) {
		c.PauseReading()
		s.LoseConnection()
		w.turns(2)
	},
	failing: func(w *world, f *faulty, s, c *Conn) {
		f.fail = func(op *proactor.Op) error {
			if op == &s.send {
				return syscall.EPIPE
			}
			return nil
		}
		_, _ = s.Write([]byte("x"))
		w.until("failing", func() bool { return s.state == failing })
	},
	detaching: func(w *world, f *faulty, s, c *Conn) {
		c.PauseReading()
		_, _ = s.Write(make([]byte, 8<<20))
		_ = s.Detach(func(h proactor.Handle, _ []byte, _ error) { _ = s.l.Sockets().CloseFD(h) })
		w.turns(5)
	},
	dying: func(w *world, f *faulty, s, c *Conn) { s.AbortConnection() },
	dead: func(w *world, f *faulty, s, c *Conn) {
		s.AbortConnection()
		w.until("dead", func() bool { return s.state == dead })
	},
}

// calls says where each call leads from each state, at once; from the others it
// leads nowhere.
var calls = map[string]struct {
	call  func(c *Conn) error
	to    map[state]state
	works stateSet // elsewhere the error is ErrNotWritable; 0: it has none
}{
	"Write":      {call: func(c *Conn) error { _, err := c.Write([]byte("x")); return err }, works: writable},
	"Writev":     {call: func(c *Conn) error { _, err := c.Writev([][]byte{{1}, {2}}); return err }, works: writable},
	"WriteOwned": {call: func(c *Conn) error { return c.WriteOwned([]byte("x"), func() {}) }, works: writable},
	"Detach": {
		call: func(c *Conn) error {
			return c.Detach(func(h proactor.Handle, _ []byte, _ error) { _ = c.l.Sockets().CloseFD(h) })
		},
		to: map[state]state{open: detaching, readDone: detaching}, works: writable,
	},
	"LoseConnection": {
		call: func(c *Conn) error { c.LoseConnection(); return nil },
		to:   map[state]state{open: losing, readDone: losing, shutting: losing, shut: lingering, failing: dying, detaching: losing},
	},
	"CloseWithError": {
		call: func(c *Conn) error { c.CloseWithError(errors.New("enough")); return nil },
		to:   map[state]state{open: losing, readDone: losing, shutting: losing, shut: lingering, failing: dying, detaching: losing},
	},
	"LoseWriteConnection": {
		call: func(c *Conn) error { c.LoseWriteConnection(); return nil },
		to:   map[state]state{open: shutting, readDone: shutting},
	},
	"AbortConnection": {
		call: func(c *Conn) error { c.AbortConnection(); return nil },
		to: map[state]state{open: dying, readDone: dying, shutting: dying, shut: dying, losing: dying, lingering: dying,
			failing: dying, detaching: dying},
	},
	"PauseReading":  {call: func(c *Conn) error { c.PauseReading(); return nil }, to: map[state]state{failing: dying}},
	"ResumeReading": {call: func(c *Conn) error { c.ResumeReading(); return nil }},
	"deadline": {
		call: func(c *Conn) error { c.expired(); return nil },
		to: map[state]state{open: dying, readDone: dying, shutting: dying, shut: dying, losing: dying, lingering: dying,
			failing: dying, detaching: dying},
	},
	"the loop's stop": {
		call: func(c *Conn) error { (*events)(c).Fail(errors.New("stop")); return nil },
		to: map[state]state{open: dying, readDone: dying, shutting: dying, shut: dying, losing: dying, lingering: dying,
			failing: dying, detaching: dying},
	},
	"the loop's shutdown": {
		call: func(c *Conn) error { (*events)(c).Finish(); return nil },
		to:   map[state]state{open: losing, readDone: losing, shutting: losing, shut: lingering, failing: dying, detaching: losing},
	},
}

// Every call in every state, from outside and inside a callback of another
// connection: where it leads, what it answers, that it calls nothing back, and
// that the connection comes to one end all the same.
func TestEveryCallInEveryState(t *testing.T) {
	for from := open; from < states; from++ {
		for name, tc := range calls {
			w, f := newFaultyWorld(t)
			s, c := w.rec("server "+from.String()+" "+name), w.rec("client")
			w.pair(newBoth(s), half{c}, nil)
			reach[from](w, f, s.c, c.c)
			if s.c.state != from {
				t.Fatalf("%v was not reached, but %v", from, s.c.state)
			}
			events := len(s.events)
			err := tc.call(s.c)
			to, moves := tc.to[from]
			if !moves {
				to = from
			}
			if s.c.state != to {
				t.Errorf("%s in %v leads to %v, want %v", name, from, s.c.state, to)
			}
			if refused := tc.works != 0 && !from.in(tc.works); refused != errors.Is(err, ErrNotWritable) || refused != (err != nil) {
				t.Errorf("%s in %v answers %v", name, from, err)
			}
			if len(s.events) != events {
				t.Errorf("%s in %v called back: %v", name, from, s.events[events:])
			}
			w.turns(3)
			c.c.ResumeReading()
			c.c.LoseConnection()
			w.pass(time.Minute)
			if s.c.ResumeReading(); !s.lost() {
				s.c.LoseConnection()
			}
			w.until("both lost: "+s.name, func() bool { return s.lost() && c.lost() })
			w.close()
		}
	}
}

// A connection that was not started is still its maker's.
func TestCallsBeforeStart(t *testing.T) {
	w := newWorld(t, quiet(1))
	a, h := w.handles()
	c := NewConn(w.l, a.h, w.ln.Addr(), a.peer, nil)
	for name, tc := range calls {
		if name == "deadline" {
			continue
		}
		if err := tc.call(c); c.state != made || (err != nil) != (tc.works != 0) {
			t.Errorf("%s before Start: %v, state %v", name, err, c.state)
		}
	}
	w.turns(2)
	if err := w.l.Sockets().CloseFD(a.h); err != nil {
		t.Error(err)
	}
	_ = w.l.Sockets().CloseFD(h)
}

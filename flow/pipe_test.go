package flow

import (
	"bytes"
	"errors"
	"testing"

	"mobius/connector"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

// A peer records what it gets; with half it goes on after the end of input.
type peer struct {
	t       transport.Transport
	got     []byte
	readEnd bool
	lost    error
}

func (p *peer) ConnectionMade(t transport.Transport) { p.t = t }
func (p *peer) DataReceived(b []byte)                { p.got = append(p.got, b...) }
func (p *peer) ReadConnectionLost()                  { p.readEnd = true }
func (p *peer) WriteConnectionLost()                 {}
func (p *peer) ConnectionLost(err error)             { p.lost = err }

// link connects two peers on l.
func link(w *backends.World, l *loop.Loop) (server, client *peer) {
	w.Helper()
	server, client = &peer{}, &peer{}
	build := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return server })
	port, err := connector.Listen([]*loop.Loop{l}, w.Address(), build, connector.ListenOptions{})
	if err != nil {
		w.Fatal(err)
	}
	f := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return client })
	connector.Connect(l, connector.To(port.Addr()), connector.Client{Factory: f}, connector.Options{})
	w.Until("connected", func() bool { return server.t != nil && client.t != nil })
	port.StopListening()
	return server, client
}

// Two pairs are joined in their middle: left ── a │ b ── right.
func piped(t *testing.T, f func(w *backends.World, left, a, b, right *peer)) {
	backends.Each(t, func(w *backends.World) {
		l := w.Loop()
		a, left := link(w, l)
		b, right := link(w, l)
		f(w, left, a, b, right)
	})
}

func send(w *backends.World, p *peer, b []byte) {
	w.Helper()
	if _, err := p.t.Write(b); err != nil {
		w.Fatal(err)
	}
}

func TestPipeTakesOverWhatWasWaiting(t *testing.T) {
	piped(t, func(w *backends.World, left, a, b, right *peer) {
		a.t.PauseReading()
		send(w, left, []byte("early "))
		send(w, b, []byte("queued "))
		for range 5 {
			w.Turn()
		}
		if err := Pipe(a.t, b.t); err != nil {
			w.Fatal(err)
		}
		w.Until("early has come", func() bool { return len(right.got) >= len("queued early ") })
		send(w, left, []byte("late"))
		left.t.LoseWriteConnection()
		w.Until("the end has come", func() bool { return right.readEnd })
		if string(right.got) != "queued early late" {
			w.Errorf("right has %q", right.got)
		}
		send(w, right, []byte("answer"))
		right.t.LoseConnection()
		w.Until("all is over", func() bool { return left.lost != nil && right.lost != nil && a.lost != nil && b.lost != nil })
		if string(left.got) != "answer" || len(a.got)+len(b.got) > 0 || !orderly(left.lost) || !orderly(a.lost) {
			w.Errorf("left has %q, then %v; a %q, %v; b %q", left.got, left.lost, a.got, a.lost, b.got)
		}
	})
}

// stalls lets turns pass, with each of which something is tried, until the queue
// of the pipe's output has come to rest; that must be neither empty nor long.
func stalls(w *backends.World, q transport.Queuer, each func()) {
	w.Helper()
	most := 0
	for still, last := 0, -1; still < 50; still++ {
		w.Turn()
		each()
		most = max(most, q.Queued())
		if sum := q.Queued(); sum != last {
			last, still = sum, 0
		}
	}
	if limit := transport.DefaultHighWater + 512<<10; most == 0 || most > limit {
		w.Errorf("%d bytes waited, want some, and at most %d", most, limit)
	}
}

// A reader that stalls costs a bounded amount of memory in the middle.
func TestPipeBoundsWhatWaits(t *testing.T) {
	piped(t, func(w *backends.World, left, a, b, right *peer) {
		if err := Pipe(a.t, b.t); err != nil {
			w.Fatal(err)
		}
		right.t.PauseReading()
		q, _ := transport.As[transport.Queuer](b.t)
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		send(w, left, want)
		stalls(w, q, func() {})
		right.t.ResumeReading()
		w.Until("all has come", func() bool { return len(right.got) == len(want) })
		if !bytes.Equal(right.got, want) {
			w.Error("bytes were changed")
		}
		left.t.AbortConnection()
		w.Until("right is lost", func() bool { return right.lost != nil })
		if orderly(right.lost) {
			w.Errorf("a reset has become %v", right.lost)
		}
	})
}

type plain struct{ transport.Transport }

func TestPipeRefuses(t *testing.T) {
	piped(t, func(w *backends.World, left, a, b, right *peer) {
		if err := Pipe(a.t, plain{b.t}); !errors.Is(err, ErrCannotPipe) {
			w.Errorf("no Upgrader: %v", err)
		}
		b.t.LoseWriteConnection()
		if err := Pipe(a.t, b.t); !errors.Is(err, transport.ErrNotWritable) {
			w.Errorf("a closed direction: %v", err)
		}
		w.Until("both are closed", func() bool { return left.readEnd && right.readEnd })
	})
}

// Whoever had a transport before cannot have its input flow on, when what waits
// for the other end is long already, nor stop it.
func TestPipeReadsWhateverItsUsersSay(t *testing.T) {
	piped(t, func(w *backends.World, left, a, b, right *peer) {
		if err := Pipe(a.t, b.t); err != nil {
			w.Fatal(err)
		}
		a.t.PauseReading()
		send(w, left, []byte("hello"))
		w.Until("it comes through a pause of the former user's", func() bool { return string(right.got) == "hello" })
		right.got = nil
		right.t.PauseReading()
		q, _ := transport.As[transport.Queuer](b.t)
		want := bytes.Repeat([]byte("0123456789abcdef"), 1<<20)
		send(w, left, want)
		stalls(w, q, a.t.ResumeReading)
		right.t.ResumeReading()
		w.Until("all has come", func() bool { return len(right.got) == len(want) })
		left.t.AbortConnection()
		w.Until("right is lost", func() bool { return right.lost != nil })
	})
}

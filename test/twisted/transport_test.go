package twisted

import (
	"bytes"
	"errors"
	"net"
	"syscall"
	"testing"

	"mobius/proactor"
	"mobius/transport"
)

// pattern returns n bytes of which no stretch is like another.
func pattern(n int) []byte {
	p := make([]byte, n)
	x := uint32(1)
	for i := range p {
		x = x*1664525 + 1013904223
		p[i] = byte(x >> 24)
	}
	return p
}

// Single writes and sequences, mixed, arrive whole and in order, both ways.
func TestCase141WritesArriveInOrder(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		all := pattern(6000)
		for _, from := range []*talker{a, b} {
			for rest := all; len(rest) > 0; rest = rest[1000:] {
				for _, err := range []error{
					second(from.t.Write(rest[:1])),
					second(from.t.Writev([][]byte{rest[1:300], nil, rest[300:301]})),
					from.t.WriteOwned(rest[301:900], nil),
					second(from.t.Writev([][]byte{rest[900:1000]})),
				} {
					if err != nil {
						s.Fatal(err)
					}
				}
				s.Turn()
			}
		}
		for _, to := range []*talker{a, b} {
			to.has(len(all))
			if !bytes.Equal(to.got, all) {
				s.Errorf("%s: what arrived is not what was written", to.name)
			}
		}
	})
}

func second(_ int, err error) error { return err }

// writeRefused checks that no write is taken any more, whichever it is, that
// each says why, and that memory lent to one is given back.
func (s *scene) writeRefused(p *talker) {
	s.Helper()
	released := 0
	one, err := p.t.Write([]byte("late"))
	several, errv := p.t.Writev([][]byte{[]byte("too "), []byte("late")})
	erro := p.t.WriteOwned([]byte("owned"), func() { released++ })
	if one != 0 || several != 0 || released != 1 {
		s.Errorf("%s: Write took %d, Writev %d; WriteOwned released %d times; want 0, 0, once", p.name, one, several, released)
	}
	for _, err := range []error{err, errv, erro} {
		if !errors.Is(err, transport.ErrNotWritable) || !errors.Is(err, net.ErrClosed) {
			s.Errorf("%s: a write returned %v, want %v", p.name, err, transport.ErrNotWritable)
		}
	}
}

// Writes to a lost connection do nothing, and say so.
func TestCase144WriteAfterLoss(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, client := s.silent("server"), s.silent("client")
		server.talker.onLost, client.talker.onLost = s.writeRefused, s.writeRefused
		a, b := s.pair(server, client)
		b.t.LoseConnection()
		s.bothLost(a, b)
		s.writeRefused(a)
		s.writeRefused(b)
		s.idle()
	})
}

// A connection that does not read is told of the peer's end all the same, once
// it writes.
func TestCase147WriteToAGonePeerWithoutReading(t *testing.T) {
	eachStream(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		a.t.PauseReading()
		s.turns(3)
		b.t.AbortConnection()
		s.Until("the server is lost", func() bool {
			if a.err == nil {
				_, _ = a.t.Write([]byte("anybody?"))
			}
			return a.err != nil
		})
		if k := kindOf(a.err); k != "lost" && (s.wire != unix || k != "done") {
			s.Errorf("lost with %v", a.err)
		}
		s.idle()
	})
}

// The last of several calls of PauseReading and ResumeReading counts.
func TestCase148LastPauseOrResumeCounts(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		for i, calls := range []string{"p", "r", "pp", "prp", "rr", "rprpp", "prpr"} {
			for _, call := range calls {
				if call == 'p' {
					a.t.PauseReading()
				} else {
					a.t.ResumeReading()
				}
			}
			before := len(a.got)
			b.write("x")
			if calls[len(calls)-1] == 'r' {
				a.has(i + 1)
				continue
			}
			s.pass()
			if len(a.got) != before {
				s.Fatalf("%q: data came, though the last call was a pause", calls)
			}
		}
	})
}

// ResumeReading makes a connection read.
func TestCase149ResumeReads(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onMade = func(p *talker) { p.t.PauseReading() }
		a, b := s.pair(server, s.silent("client"))
		b.write("x")
		s.pass()
		if len(a.got) > 0 {
			s.Fatal("it reads, though it is paused")
		}
		a.t.ResumeReading()
		a.has(1)
	})
}

// ResumeReading and PauseReading of a lost connection do nothing.
func TestCase151ResumeAfterLoss(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onLost = func(p *talker) { p.t.ResumeReading() }
		a, b := s.pair(server, s.silent("client"))
		b.t.AbortConnection()
		s.bothLost(a, b)
		a.t.ResumeReading()
		b.t.PauseReading()
		b.t.ResumeReading()
		s.turns(3)
		if a.lost != 1 || b.lost != 1 {
			s.Errorf("lost %d and %d times", a.lost, b.lost)
		}
		s.idle()
	})
}

// The peer sends and closes; we pause inside the delivery, and resume in a
// later turn: the end comes after the resume, and it comes.
func TestCase152EndAfterPauseInDelivery(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.plant("server")
		server.talker.onData = func(p *talker) {
			p.t.PauseReading()
			p.note("paused after %d", len(p.got))
		}
		a, b := s.pair(server, s.silent("client"))
		b.write("bye")
		b.t.LoseConnection()
		s.Until("the first data", func() bool { return len(a.got) > 0 })
		for len(a.got) < 3 { // one delivery may not have everything
			s.pass()
			if a.err != nil {
				s.Fatal("lost during the pause")
			}
			a.t.ResumeReading()
			n := len(a.got)
			s.Until("more data", func() bool { return len(a.got) > n })
		}
		s.pass()
		if a.err != nil {
			s.Fatal("lost during the pause")
		}
		a.note("resume")
		a.t.ResumeReading()
		s.bothLost(a, b)
		last := s.events[len(s.events)-3:]
		s.events = last
		s.expect("server paused after 3", "server resume", "server lost: done")
	})
}

// TryWrite, the write below the transport: a full connection takes nothing,
// which is no error, and one whose peer is gone is an error of the kernel's.
func TestCase155TryWrite(t *testing.T) {
	eachStream(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		b.t.PauseReading()
		var h proactor.Handle
		if err := a.t.Detach(func(got proactor.Handle, _ []byte, err error) { h = got }); err != nil {
			s.Fatal(err)
		}
		s.Until("detached", func() bool { return h != 0 })
		backend := s.l.Backend()
		taken := 0
		s.Until("the connection is full", func() bool {
			n, err := backend.TryWrite(h, [][]byte{make([]byte, 1<<20)})
			if err != nil {
				s.Fatalf("TryWrite: %d, %v", n, err)
			}
			taken += n
			return n == 0
		})
		if taken == 0 {
			s.Error("TryWrite took nothing at all")
		}
		b.t.AbortConnection()
		var gone error
		s.Until("an error", func() bool {
			n, err := backend.TryWrite(h, [][]byte{[]byte("x")})
			if gone = err; err != nil && n != 0 {
				s.Errorf("TryWrite: %d, %v", n, err)
			}
			return err != nil
		})
		if !errors.Is(gone, syscall.EPIPE) && !errors.Is(gone, syscall.ECONNRESET) {
			s.Errorf("TryWrite to a peer that is gone: %v", gone)
		}
		if err := s.l.Sockets().CloseFD(h); err != nil {
			s.Error(err)
		}
	})
}

package twisted

import (
	"bytes"
	"fmt"
	"testing"

	"mobius/transport"
)

// A connection ends with a receive and a send in flight, and its number is
// used again at once: nothing late reaches the new connection, and the old one
// is told once.
func TestX57NumberUsedAgain(t *testing.T) {
	eachHostile(t, func(s *scene) {
		want := pattern(3000)
		for round := range 6 {
			a, b := s.pair(s.silent("old server"), s.silent("old client"))
			b.t.PauseReading()
			a.write(string(make([]byte, 1<<20))) // zeros, most of which are in flight at the end
			b.write("old")
			s.turns(round)
			a.t.AbortConnection()
			b.t.AbortConnection()
			c, d := s.pair(s.silent("server"), s.silent("client"))
			c.write(string(want))
			d.write(string(want))
			c.has(len(want))
			d.has(len(want))
			if !bytes.Equal(c.got, want) || !bytes.Equal(d.got, want) {
				s.Fatalf("round %d: the new connection got bytes that nobody has sent on it", round)
			}
			s.bothLost(a, b)
			d.t.LoseConnection()
			s.bothLost(c, d)
			if a.lost != 1 || b.lost != 1 || c.lost != 1 || d.lost != 1 {
				s.Fatalf("round %d: lost %d, %d, %d and %d times", round, a.lost, b.lost, c.lost, d.lost)
			}
		}
		s.idle()
	})
}

// A pause while a receive is in flight: nothing is delivered before the resume,
// nothing is lost, and the end comes after the last byte.
func TestX58PauseWithAReceiveInFlight(t *testing.T) {
	eachHostile(t, func(s *scene) {
		want := pattern(4000)
		a, b := s.pair(s.silent("server"), s.silent("client"))
		b.write(string(want))
		b.t.LoseConnection()
		paused := false
		a.onData = func(p *talker) {
			if paused {
				s.Error("data came during the pause")
			}
		}
		for turn := 0; a.err == nil; turn++ {
			s.Turn()
			a.t.PauseReading()
			paused = true
			had := len(a.got)
			s.turns(3)
			if turn%8 == 0 {
				s.pass()
			}
			if len(a.got) != had {
				s.Fatal("data came during the pause")
			}
			paused = false
			a.t.ResumeReading()
			s.Until("more, or the end", func() bool { return len(a.got) > had || a.err != nil })
			if a.err != nil && len(a.got) != len(want) {
				s.Fatalf("lost after %d of %d bytes: %v", len(a.got), len(want), a.err)
			}
		}
		if !bytes.Equal(a.got, want) || kindOf(a.err) != "done" || a.lost != 1 {
			s.Errorf("got %d of %d bytes, lost %d times: %v", len(a.got), len(want), a.lost, a.err)
		}
	})
}

// Accepts and receives that the kernel ends early, or that find no buffer, go
// on: many connections at once lose neither themselves nor a byte.
func TestX59EndedEarly(t *testing.T) {
	eachHostile(t, func(s *scene) {
		want := pattern(3000)
		server := s.silent("server")
		server.talker.onData = func(p *talker) {
			if len(p.got) == len(want) {
				p.write("done")
			}
		}
		p := s.listen(server)
		var clients []*plant
		for i := range 12 {
			c := s.silent(fmt.Sprint(i))
			c.talker.onMade = func(p *talker) { p.write(string(want)) }
			clients = append(clients, c)
			s.connect(p.Addr(), c)
		}
		for _, c := range clients {
			s.Until("answered", func() bool { return len(c.made) == 1 && string(c.made[0].got) == "done" })
		}
		for _, m := range server.made {
			if !bytes.Equal(m.got, want) {
				s.Fatal("what arrived is not what was sent")
			}
		}
		if len(server.made) != len(clients) {
			s.Errorf("%d of %d clients were accepted", len(server.made), len(clients))
		}
	})
}

// The writer changes its memory at once after Write, and after the release of
// WriteOwned: the peer gets what was written.
func TestX60WritersMemory(t *testing.T) {
	eachHostile(t, func(s *scene) {
		for _, zeroCopyFrom := range []int{0, 512} {
			a, b := s.pairWith(s.silent("server"), s.silent("client"), &transport.Options{ZeroCopyFrom: zeroCopyFrom})
			b.t.PauseReading()
			var want []byte
			released := 0
			for i := range 4 {
				piece := bytes.Repeat([]byte{byte('a' + i)}, 900)
				want = append(want, piece...)
				owned := bytes.Clone(piece)
				want = append(want, owned...)
				if _, err := a.t.Write(piece); err != nil {
					s.Fatal(err)
				}
				clear(piece)
				if err := a.t.WriteOwned(owned, func() { released++; clear(owned) }); err != nil {
					s.Fatal(err)
				}
				s.turns(i % 2)
			}
			b.t.ResumeReading()
			b.has(len(want))
			if !bytes.Equal(b.got, want) {
				s.Errorf("zero-copy from %d: what arrived is not what was written", zeroCopyFrom)
			}
			s.Until("released", func() bool { return released == 4 })
			b.t.LoseConnection()
			s.bothLost(a, b)
			if released != 4 {
				s.Errorf("zero-copy from %d: released %d times, want 4", zeroCopyFrom, released)
			}
		}
	})
}

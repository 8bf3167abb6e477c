package twisted

import (
	"testing"

	"mobius/transport"
)

// halves makes a plant's protocols half-closers.
func halves(f *plant) *plant {
	f.wrap = func(p *talker) transport.Protocol { return &halfTalker{talker: p} }
	return f
}

// A client that half-closes: its data arrives, both are told of their half, and
// it writes no more.
func TestCase156ClientHalfCloses(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(halves(s.plant("server")), halves(s.plant("client")))
		b.write("hello")
		b.t.LoseWriteConnection()
		s.Until("both are told", func() bool { return s.has("client write lost") && s.has("server read lost") })
		if string(a.got) != "hello" {
			s.Errorf("the server got %q", a.got)
		}
		if len(s.events) != 2 {
			s.Errorf("events %q, want one for each side", s.events)
		}
		if n, err := b.t.Write([]byte("more")); n != 0 || err == nil {
			s.Errorf("Write after the half close: %d, %v; want an error", n, err)
		}
		a.write("still there")
		b.has(len("still there"))
		if string(a.got) != "hello" {
			s.Errorf("the server got %q", a.got)
		}
	})
}

// A server that half-closes: it and the client are told of their half, and the
// server goes on reading.
func TestCase157ServerHalfCloses(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(halves(s.plant("server")), halves(s.plant("client")))
		a.t.LoseWriteConnection()
		s.Until("both are told", func() bool { return s.has("server write lost") && s.has("client read lost") })
		b.write("and now?")
		a.has(len("and now?"))
		if len(s.events) != 2 || string(a.got) != "and now?" {
			s.Errorf("events %q, and the server got %q", s.events, a.got)
		}
	})
}

// A half close after the peer's close harms nobody.
func TestCase159HalfCloseAfterThePeersClose(t *testing.T) {
	for name, end := range map[string]func(transport.Transport){
		"close": transport.Transport.LoseConnection,
		"abort": transport.Transport.AbortConnection,
	} {
		t.Run(name, func(t *testing.T) {
			eachHostile(t, func(s *scene) {
				a, b := s.pair(s.silent("server"), s.silent("client"))
				b.t.PauseReading() // it does not know yet that the peer has gone
				end(a.t)
				s.turns(10)
				b.t.LoseWriteConnection()
				b.t.ResumeReading()
				s.bothLost(a, b)
				b.t.LoseWriteConnection()
				if b.lost != 1 {
					s.Errorf("lost %d times", b.lost)
				}
				s.idle()
			})
		})
	}
}

// A panic in ReadConnectionLost is reported, and is how the connection ends.
func TestCase160ReadConnectionLostPanics(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		server.wrap = func(p *talker) transport.Protocol {
			return &halfTalker{talker: p, onReadLost: func(*talker) { panic("read") }}
		}
		a, b := s.pair(server, halves(s.silent("client")))
		b.t.LoseWriteConnection()
		s.bothLost(a, b)
		s.endedBy(a, "read")
	})
}

// A panic in WriteConnectionLost is reported, and is how the connection ends.
func TestCase161WriteConnectionLostPanics(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		server.wrap = func(p *talker) transport.Protocol {
			return &halfTalker{talker: p, onWriteLost: func(*talker) { panic("write") }}
		}
		a, b := s.pair(server, s.silent("client"))
		a.t.LoseWriteConnection()
		s.bothLost(a, b)
		s.endedBy(a, "write")
	})
}

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

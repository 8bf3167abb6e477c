package twisted

import (
	"errors"
	"testing"

	"mobius/transport"
)

// Abort inside DataReceived: ConnectionLost comes later, once, and says so; the
// peer notices; nothing is left.
func TestCase163AbortInDataReceived(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client := s.plant("server"), s.plant("client")
		server.talker.onData = func(p *talker) {
			p.note("abort")
			p.t.AbortConnection()
			p.note("returned")
		}
		a, b := s.pair(server, client)
		b.write("x")
		s.bothLost(a, b)
		if kindOf(a.err) != "aborted" || kindOf(b.err) != "lost" && kindOf(b.err) != "done" {
			s.Errorf("ended with %v and %v, want aborted, and lost or done", a.err, b.err)
		}
		s.Until("the factories are told", func() bool { return s.has("client stop") })
		var own []string
		for _, e := range s.events {
			if e[0] == 's' {
				own = append(own, e)
			}
		}
		s.events = own
		s.expect("server abort", "server returned", "server lost: aborted")
		if a.lost != 1 || b.lost != 1 {
			s.Errorf("lost %d and %d times, want once each", a.lost, b.lost)
		}
		s.idle()
	})
}

// DataReceived aborts and then panics: lost once, with the panic as reason.
func TestCase172AbortAndPanicInDataReceived(t *testing.T) {
	each(t, func(s *scene) {
		server := s.silent("server")
		server.talker.onData = func(p *talker) {
			p.t.AbortConnection()
			panic("thrown")
		}
		a, b := s.pair(server, s.silent("client"))
		b.write("x")
		s.bothLost(a, b)
		var p *transport.PanicError
		if !errors.As(a.err, &p) || p.Value != "thrown" || a.lost != 1 {
			s.Errorf("lost %d times, %v; want once, with the panic", a.lost, a.err)
		}
		s.panics(1)
		s.idle()
	})
}

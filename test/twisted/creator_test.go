package twisted

import (
	"fmt"
	"testing"

	"mobius"
	"mobius/endpoint"
	"mobius/loop"
	"mobius/transport"
)

// One connection, as a future: cancelled before there is a connection, the
// attempt is aborted, and nothing is built.
func TestCase124CancelBeforeTheConnection(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, client := s.silent("server"), s.plant("client")
		f := s.clientTo(s.listen(server).Addr()).Connect(s.Context(), client)
		f.Cancel()
		fails(s, f, transport.Aborted, loop.ErrCanceled)
		s.await("client stop")
		s.pass()
		s.expect("client start", "client connecting", "client failed: aborted", "client stop")
		for _, p := range server.made { // the kernel may have been quicker
			s.Until("the server has noticed", func() bool { return p.err != nil })
		}
	})
}

// Cancelled when the connection was just made, but nobody told so: it is
// dropped, and the future fails.
func TestCase125CancelOfANewConnection(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, client := s.silent("server"), s.plant("client")
		p := s.listen(server)
		var f *mobius.Future[mobius.Protocol]
		client.talker.onMade = func(*talker) { f.Cancel() }
		f = s.clientTo(p.Addr()).Connect(s.Context(), client)
		fails(s, f, transport.Aborted, loop.ErrCanceled)
		s.Until("both have noticed", func() bool {
			return s.has("client stop") && len(server.made) == 1 && server.made[0].err != nil
		})
		if client.made[0].lost != 1 || len(client.errs) != 1 {
			s.Errorf("the protocol was lost %d times, the factory told %v", client.made[0].lost, client.errs)
		}
		s.stop(p)
		s.idle()
	})
}

// What is said of a connection is what is connected to, and the protocol of the
// result is the one that the factory has built for it.
func TestCase136OneConnection(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("server"))
		text := "unix:path=" + endpoint.Quote(p.Addr().String())
		if !p.Addr().IsUnix() {
			text = fmt.Sprintf("tcp:host=%s:port=%d", endpoint.Quote(p.Addr().IP().String()), p.Addr().Port())
		}
		to, err := endpoint.ParseClient(desk{s: s}, text)
		if err != nil {
			s.Fatal(err)
		}
		client := s.silent("client")
		got, err := result(s, to.Connect(s.Context(), client))
		if err != nil || got != mobius.Protocol(client.made[0]) {
			s.Fatalf("%s: the result is %v, %v; want the protocol that was built", text, got, err)
		}
		if peer := client.made[0].t.RemoteAddr(); peer != p.Addr() || client.peers[0] != p.Addr() {
			s.Errorf("%s: connected to %v, built for %v, want %v", text, peer, client.peers[0], p.Addr())
		}
	})
}

package tls

import (
	"crypto/tls"
	"errors"
	"os"
	"runtime"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/sim"
	"mobius/transport"
)

const crowd = 1000

// helloStart is how a ClientHello begins: enough for a handshake to begin and
// to wait for the rest.
var helloStart = []byte{22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}

// 1,000 clients that say nothing, or only the beginning, take neither
// goroutines (the silent ones) nor places to compute from a good one.
func TestSilentClients(t *testing.T) {
	for name, first := range map[string][]byte{"silent": nil, "half a hello": helloStart} {
		t.Run(name, func(t *testing.T) {
			each(t, func(s *scene) {
				s.o = Options{HandshakeTimeout: -1, MaxComputing: 1, MaxHandshakes: 2 * crowd}
				server, client := s.both()
				made := 0
				port := s.listenTLS(func() transport.Protocol {
					if made++; made <= crowd {
						return s.rec("bored")
					}
					return server
				})
				before := runtime.NumGoroutine()
				for range crowd {
					r := s.rec("silent")
					r.onMade = func(r *rec) { r.t.Write(first) }
					s.dial(port.Addr(), r)
				}
				s.until("the crowd is there", func() bool { return StatsOf(s.l).InProgress == crowd })
				s.until("all have computed what there is", func() bool { return StatsOf(s.l).Computing == 0 })
				if first == nil && runtime.NumGoroutine() > before+10 {
					t.Errorf("%d goroutines, were %d", runtime.NumGoroutine(), before)
				}
				start := s.l.Backend().Now()
				echo(server)
				client.onMade = func(r *rec) { r.write("hello") }
				s.dialTLS(port.Addr(), client)
				s.until("the good client's echo", func() bool { return client.got.Len() == 5 })
				if took := s.l.Backend().Now() - start; took > 5*time.Second {
					t.Errorf("the good client was served after %v", took)
				}
				if st := StatsOf(s.l); st.InProgress != crowd || st.Handshakes != 2 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// An established connection has no goroutine.
func TestNoGoroutinePerConnection(t *testing.T) {
	each(t, func(s *scene) {
		port := s.listenTLS(func() transport.Protocol { r := s.rec("server"); echo(r); return r })
		before := runtime.NumGoroutine()
		for range crowd {
			r := s.rec("client")
			r.onShaken = func(r *rec) { r.write("hello") }
			s.dialTLS(port.Addr(), r)
		}
		s.until("all are served", func() bool {
			for _, r := range s.recs {
				if r.name == "client" && r.got.Len() < 5 {
					return false
				}
			}
			return true
		})
		if st := StatsOf(s.l); st.Handshakes != 2*crowd || st.InProgress != 0 {
			t.Errorf("%+v", st)
		}
		if !testenv.Becomes(10*time.Second, func() bool { return runtime.NumGoroutine() <= before+10 }) {
			t.Errorf("%d goroutines for %d connections, were %d before them", runtime.NumGoroutine(), 2*crowd, before)
		}
	})
}

// What is beyond MaxHandshakes is refused, counted, and told why; a place that
// becomes free is taken again.
func TestMaxHandshakes(t *testing.T) {
	each(t, func(s *scene) {
		s.o.MaxHandshakes = 3
		silent := s.rec("silent")
		var servers []*rec
		port := s.listenTLS(func() transport.Protocol {
			r := s.rec("server")
			servers = append(servers, r)
			return r
		})
		s.dial(port.Addr(), silent)
		s.until("one is there", func() bool { return StatsOf(s.l).InProgress == 1 })
		client := s.rec("client")
		s.dialTLS(port.Addr(), client)
		s.until("the handshake", func() bool { return StatsOf(s.l).Handshakes == 2 })
		var crowd [3]*rec
		for i := range crowd {
			crowd[i] = s.rec("silent")
			s.dial(port.Addr(), crowd[i])
		}
		s.until("one is refused", func() bool {
			return StatsOf(s.l).Refused == 1 && (crowd[0].lost() || crowd[1].lost() || crowd[2].lost())
		})
		last := servers[len(servers)-1]
		last.ended(transport.Refused, "handshake")
		if !errors.Is(last.err, ErrTooManyHandshakes) {
			t.Errorf("refused with %v", last.err)
		}
		if last.story() != "made lost" {
			t.Errorf("the refused one was told %q", last.story())
		}
		silent.t.AbortConnection()
		s.until("it has left", func() bool { return StatsOf(s.l).InProgress == 2 })
	})
}

// A handshake ends by its deadline on either side, and computes no more.
func TestHandshakeDeadline(t *testing.T) {
	each(t, func(s *scene) {
		s.o.HandshakeTimeout = 50 * time.Millisecond
		server, client := s.both()
		deaf := s.rec("deaf")
		s.dial(s.listenTLS(func() transport.Protocol { return server }).Addr(), s.rec("silent"))
		s.dialTLS(s.listen(func() transport.Protocol { return deaf }).Addr(), client)
		s.until("both deadlines", func() bool { return server.lost() && client.lost() })
		for _, r := range []*rec{server, client} {
			r.ended(transport.TimedOut, "handshake")
			if !errors.Is(r.err, os.ErrDeadlineExceeded) || r.story() != "made lost" {
				t.Errorf("%s: %v, %s", r.name, r.err, r.story())
			}
		}
		if st := StatsOf(s.l); st.TimedOut != 2 || st.Failed != 2 || st.InProgress != 0 {
			t.Errorf("%+v", st)
		}
	})
}

// A connection may be aborted at every stage of the handshake: it ends once,
// and nothing is left, the goroutine included.
func TestAbortInHandshake(t *testing.T) {
	testenv.Leaks(t)
	seeds(t, 200, sim.Options{Harmless: true}, func(s *scene, seed uint64) {
		server, client := s.both()
		s.pair(server, client)
		who := s.recs[seed%2]
		s.until("it is made", func() bool { return who.t != nil })
		s.l.Start(&loop.Timer{Func: who.t.AbortConnection}, time.Duration(seed)*7*time.Microsecond)
		s.until("both ends", func() bool { return (server.lost() || server.t == nil) && client.lost() })
		if StatsOf(s.l).InProgress != 0 {
			t.Errorf("seed %d: %+v", seed, StatsOf(s.l))
		}
	})
}

// The loop's end in the middle of handshakes leaves nothing behind.
func TestLoopEndsInHandshake(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		s.pair(server, client)
		s.until("it is made", func() bool { return server.t != nil && client.t != nil })
		s.l.Stop()
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		if server.kind() != transport.Stopped || client.kind() != transport.Stopped {
			t.Errorf("%v, %v", server.err, client.err)
		}
	})
}

// Only so many handshakes compute at once; the others wait for their turn.
func TestMaxComputing(t *testing.T) {
	testenv.Leaks(t)
	each(t, func(s *scene) {
		const limit = 2
		s.o.MaxComputing = limit
		most := 0
		s.server.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }
		port := s.listenTLS(func() transport.Protocol { return s.rec("server") })
		var clients []*rec
		for range 20 {
			r := s.rec("client")
			clients = append(clients, r)
			s.dialTLS(port.Addr(), r)
		}
		s.until("all are done", func() bool {
			most = max(most, StatsOf(s.l).Computing)
			for _, r := range clients {
				if !r.shaken() {
					return false
				}
			}
			return true
		})
		if most > limit {
			t.Errorf("%d computed at once, at most %d may", most, limit)
		}
	})
}

// A callback of the config that panics costs its own connection, and is
// reported; so does one that ends its goroutine.
func TestCallbackPanics(t *testing.T) {
	each(t, func(s *scene) {
		s.client.VerifyConnection = func(tls.ConnectionState) error { panic("surprise") }
		server, client := s.both()
		s.pair(server, client)
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		client.ended(transport.Panicked, "protocol")
		if all := s.TakeTroubles(); len(all) != 1 || all[0].Value != "surprise" || len(all[0].Stack) == 0 {
			t.Errorf("reported %v", all)
		}
		s.client.VerifyConnection = func(tls.ConnectionState) error { runtime.Goexit(); return nil }
		server, client = s.both()
		s.pair(server, client)
		s.until("both ends", func() bool { return server.lost() && client.lost() })
		client.ended(transport.Failed, "handshake")
	})
}

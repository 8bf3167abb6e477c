package twisted

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"mobius/connector"
	"mobius/loop"
	"mobius/transport"
)

// Bytes written after LoseConnection are dropped, with an error; those before
// it are not.
func TestX1WriteAfterLoseConnection(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		want := pattern(2000)
		a.write(string(want))
		a.t.LoseConnection()
		s.writeRefused(a)
		s.bothLost(a, b)
		if !bytes.Equal(b.got, want) {
			s.Errorf("the client got %d bytes, want the %d written before", len(b.got), len(want))
		}
	})
}

// The same after LoseWriteConnection.
func TestX2WriteAfterLoseWriteConnection(t *testing.T) {
	eachHostile(t, func(s *scene) {
		a, b := s.pair(halves(s.silent("server")), halves(s.silent("client")))
		want := pattern(2000)
		a.write(string(want))
		a.t.LoseWriteConnection()
		s.writeRefused(a)
		b.has(len(want))
		s.pass()
		s.writeRefused(a)
		if !bytes.Equal(b.got, want) {
			s.Errorf("the client got %d bytes, want the %d written before", len(b.got), len(want))
		}
	})
}

// BuildProtocol panics on a server: the connection is closed, and the next one
// served.
func TestX5ServerBuildProtocolPanics(t *testing.T) {
	eachStream(t, func(s *scene) {
		server := s.silent("server")
		builds := 0
		server.onBuild = func() {
			if builds++; builds == 1 {
				panic("no")
			}
		}
		p := s.listen(server)
		first, second := s.silent("first"), s.silent("second")
		s.connect(p.Addr(), first)
		s.Until("the first is lost", func() bool { return len(first.errs) == 1 })
		s.connect(p.Addr(), second)
		s.Until("the second is served", func() bool { return len(server.made) == 1 && server.made[0].t != nil })
		server.made[0].write("hello")
		s.Until("greeted", func() bool { return len(second.made) == 1 && string(second.made[0].got) == "hello" })
		if p.Conns() != 1 {
			s.Errorf("the port has %d connections, want 1", p.Conns())
		}
		s.panics(1)
	})
}

// ConnectionMade panics: that side loses the connection, with the panic as the
// cause, whichever side it is; the peer notices.
func TestX8ConnectionMadePanics(t *testing.T) {
	for _, culprit := range []string{"server", "client"} {
		t.Run(culprit, func(t *testing.T) {
			eachStream(t, func(s *scene) {
				server, client := s.silent("server"), s.silent("client")
				panics := map[string]*plant{"server": server, "client": client}[culprit]
				panics.talker.onMade = func(*talker) { panic("made") }
				p := s.listen(server)
				s.connect(p.Addr(), client)
				s.Until("both are lost", func() bool {
					return len(server.made) == 1 && server.made[0].err != nil && len(client.errs) == 1
				})
				s.stop(p)
				s.endedBy(panics.made[0], "made")
			})
		})
	}
}

// The peer finishes while much output waits, and nobody here is a half-closer:
// the output is flushed, and then the end told.
func TestX10OutputAfterThePeersEnd(t *testing.T) {
	eachStream(t, func(s *scene) {
		want := pattern(20 << 20)
		a, b := s.pair(s.silent("server"), halves(s.silent("client")))
		b.t.PauseReading()
		a.write(string(want))
		b.t.LoseWriteConnection()
		s.pass()
		if a.err != nil {
			s.Fatalf("lost with output pending: %v", a.err)
		}
		b.t.ResumeReading()
		s.bothLost(a, b)
		if !bytes.Equal(b.got, want) {
			s.Errorf("the client got %d of %d bytes", len(b.got), len(want))
		}
		if kindOf(a.err) != "done" || !errors.Is(a.err, io.EOF) {
			s.Errorf("lost with %v, want the peer's end", a.err)
		}
	})
}

// StopListening twice in one turn: both get the same result.
func TestX12StopListeningTwice(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.silent("server"))
		one, two := p.StopListening(), p.StopListening()
		_, err1 := result(s, one)
		_, err2 := result(s, two)
		if err1 != nil || err2 != nil {
			s.Errorf("stopped with %v and %v", err1, err2)
		}
	})
}

// StopListening in the first of several BuildProtocols: there is no second.
func TestX13StopListeningInBuildProtocol(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server := s.silent("server")
		p := s.listen(server)
		server.onBuild = func() { p.StopListening() }
		var clients []*plant
		for i := range 5 {
			clients = append(clients, s.silent(fmt.Sprint(i)))
			s.connect(p.Addr(), clients[i])
		}
		s.Until("one is served, the others are not", func() bool {
			ended := 0
			for _, c := range clients {
				ended += len(c.errs)
			}
			return ended == 4 && len(server.made) == 1
		})
		s.stop(p)
		s.pass()
		if len(server.peers) != 1 {
			s.Errorf("BuildProtocol was called %d times", len(server.peers))
		}
	})
}

// A paused, idle connection whose peer resets it is told.
func TestX18ResetWhilePaused(t *testing.T) {
	eachTCP(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		a.t.PauseReading()
		s.pass()
		b.t.AbortConnection()
		s.bothLost(a, b)
		if kindOf(a.err) != "lost" || !errors.Is(a.err, syscall.ECONNRESET) {
			s.Errorf("lost with %v, want the reset", a.err)
		}
	})
}

// A paused, idle connection is told that the loop stops.
func TestX19StopWhilePaused(t *testing.T) {
	eachStream(t, func(s *scene) {
		a, b := s.pair(s.silent("server"), s.silent("client"))
		a.t.PauseReading()
		s.pass()
		s.l.Stop()
		s.bothLost(a, b)
		for _, p := range []*talker{a, b} {
			if kindOf(p.err) != "stopped" || !errors.Is(p.err, loop.ErrStopped) || p.lost != 1 {
				s.Errorf("%s was lost %d times, %v", p.name, p.lost, p.err)
			}
		}
	})
}

// Writes while the writer is told to wait do not tell it again; each
// PauseWriting is followed by one ResumeWriting.
func TestX20PauseOnce(t *testing.T) {
	eachHostile(t, func(s *scene) {
		server, client := s.plant("server"), s.silent("client")
		server.wrap = func(p *talker) transport.Protocol { return &pacedTalker{talker: p} }
		a, b := s.pairWith(server, client, &transport.Options{HighWater: 1000, LowWater: 100})
		for round := range 3 {
			for range 4 {
				a.write(string(make([]byte, 600)))
			}
			s.expect("server pause")
			b.has((round + 1) * 2400)
			s.await("server resume")
			s.expect("server resume")
		}
	})
}

// A read or a write that fails: the errno is there.
func TestX21Errno(t *testing.T) {
	eachTCP(t, func(s *scene) {
		for _, writing := range []bool{false, true} {
			a, b := s.pair(s.silent("server"), s.silent("client"))
			if writing {
				b.t.PauseReading()
				s.fill(a)
			}
			b.t.AbortConnection()
			s.bothLost(a, b)
			var errno syscall.Errno
			if !errors.As(a.err, &errno) || errno != syscall.ECONNRESET && errno != syscall.EPIPE {
				s.Errorf("writing %v: lost with %v, want an errno", writing, a.err)
			}
		}
	})
}

// Start of a port that listens is an error, and changes nothing.
func TestX33StartOfALivePort(t *testing.T) {
	eachStream(t, func(s *scene) {
		server, client := s.plant("server"), s.silent("client")
		p := s.listen(server)
		if err := p.Start(); !errors.Is(err, connector.ErrNotIdle) {
			s.Errorf("Start: %v, want %v", err, connector.ErrNotIdle)
		}
		s.connect(p.Addr(), client)
		s.await("server made")
		s.stop(p)
		s.expect("server start", "server build", "server made", "server stop")
	})
}

// StopListening of a stopped port has its result already.
func TestX35StopOfAStoppedPort(t *testing.T) {
	eachStream(t, func(s *scene) {
		p := s.listen(s.plant("server"))
		s.stop(p)
		again := p.StopListening()
		if !done(again) {
			s.Error("the result is not there yet")
		}
		if _, err := result(s, again); err != nil {
			s.Error(err)
		}
		s.expect("server start", "server stop")
	})
}

// A close while input was not read, and the peer reads slowly: it gets every
// byte and a clean end.
func TestX36CloseWithUnreadInput(t *testing.T) {
	eachHostile(t, func(s *scene) {
		want := pattern(4000)
		server := s.silent("server")
		server.talker.onMade = func(p *talker) { p.t.PauseReading() }
		a, b := s.pair(server, s.silent("client"))
		b.t.PauseReading()
		b.write(string(want))
		s.pass()
		a.write(string(want))
		a.t.LoseConnection()
		s.pass()
		b.t.ResumeReading()
		b.has(len(want))
		s.bothLost(a, b)
		if !bytes.Equal(b.got, want) || kindOf(b.err) != "done" || !errors.Is(b.err, io.EOF) {
			s.Errorf("the client got %d of %d bytes, and then %v", len(b.got), len(want), b.err)
		}
		if len(a.got) > 0 || kindOf(a.err) != "done" {
			s.Errorf("the server was given %d bytes, and then %v", len(a.got), a.err)
		}
	})
}

// The waits between attempts to reconnect: the first is Initial, and none, with
// whatever jitter, is longer than Max.
func TestX51ReconnectDelays(t *testing.T) {
	each(t, func(s *scene) {
		client := s.silent("client")
		r := &connector.Reconnecting{
			Factory: client, Initial: time.Millisecond, Max: 5 * time.Millisecond, Factor: 2, Jitter: 0.5,
			Rand: func() float64 { return 0.999999 },
		}
		var began []time.Duration
		client.onStarted = func(*connector.Connector) { began = append(began, s.l.Now()) }
		ended := []time.Duration{}
		client.onFailed = func(*connector.Connector) { ended = append(ended, s.l.Now()) }
		s.connect(s.deadEnd(), r)
		s.Until("six attempts have been made", func() bool { return len(began) > 5 })
		r.StopTrying()
		if s.Net == nil {
			return // the waits are at least so long; a busy machine decides how much longer
		}
		for i, most := range []time.Duration{1500, 3000, 5000, 5000, 5000} {
			most *= time.Microsecond
			if wait := began[i+1] - ended[i]; wait > most || wait < most-time.Microsecond {
				s.Errorf("wait %d lasted %v, want %v", i+1, wait, most)
			}
		}
	})
}

package proxy

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

func TestLayered(t *testing.T) {
	eachLayered(t, Options{}, func(s *layered) {
		client, server := s.pair()
		client.say("hello")
		server.hears("hello")
		server.say("and hello to you")
		client.hears("and hello to you")
		client.t.LoseWriteConnection()
		s.Until("the upstream hears the end", func() bool { return server.ended })
		server.say(", late")
		client.hears("and hello to you, late")
		server.t.LoseWriteConnection()
		client.endsWell()
		server.endsWell()
		r := s.report(1, Done, Nobody)
		if r.Sent != 5 || r.Received != 22 || r.Attempts != 1 || r.Err != nil {
			s.Errorf("the report says %+v", r)
		}
		if want := map[bool]string{true: "tls://", false: "tcp://"}; !strings.HasPrefix(r.ListenerURL(), want[s.ways.client]) ||
			!strings.HasPrefix(r.UpstreamURL(), want[s.ways.server]) || s.p.URLs()[0] != r.ListenerURL() {
			s.Errorf("the URLs are %s, %s and %s", r.ListenerURL(), r.UpstreamURL(), s.p.URLs())
		}
	})
}

// A client that has sent its close_notify, and keeps its socket, has ended: once
// the upstream has, too, nothing waits for the client.
func TestClientKeepsItsSocketAfterCloseNotify(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newLayered(w, ways{client: true})
		s.start(Options{HalfClosedTimeout: time.Hour})
		raw, err := net.Dial("tcp", s.p.Addrs()[0].String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		heard := make(chan string, 1)
		go func() {
			c := tls.Client(raw, s.client)
			c.Write([]byte("question"))
			c.CloseWrite()
			answer, err := io.ReadAll(c)
			heard <- fmt.Sprintf("%s, %v", answer, err)
		}()
		s.Until("accepted upstream", func() bool { return len(s.accepted) == 1 && s.accepted[0].ended })
		s.accepted[0].hears("question")
		s.accepted[0].say("answer")
		s.accepted[0].t.LoseConnection()
		s.report(1, Done, Nobody)
		if got := <-heard; got != "answer, <nil>" {
			t.Errorf("the client heard %s", got)
		}
		s.drained()
	})
}

// A reset, and an end without a close_notify, is a reset for the other side.
func TestLayeredReset(t *testing.T) {
	for _, dead := range []Side{Client, Server} {
		t.Run(dead.String(), func(t *testing.T) {
			eachLayered(t, Options{}, func(s *layered) {
				client, server := s.pair()
				client.say("half of")
				server.hears("half of")
				left := server
				if dead == Client {
					client.t.AbortConnection()
				} else {
					server.t.AbortConnection()
					left = client
				}
				left.endsBadly()
				s.report(1, Broken, dead)
			})
		})
	}
}

// What a slow reader has not taken is bounded, and arrives.
func TestLayeredBackpressure(t *testing.T) {
	small := proactor.SocketOptions{SendBuffer: 128 << 10}
	eachLayered(t, Options{Listener: small, Upstream: small}, func(s *layered) {
		client, server := s.pair()
		client.say("x")
		server.hears("x")
		pump := s.p.workers[0].sessions[0].pump
		for from, to := range map[*talker]*talker{client: server, server: client} {
			e := pump.server
			if to == client {
				e = pump.client
			}
			to.got.Reset()
			to.t.PauseReading()
			text := strings.Repeat("0123456789abcdef", 4<<20/16)
			from.say(text)
			bounded := func() {
				if n, most := e.queuedNow(), transport.DefaultHighWater+512<<10; n > most {
					s.Errorf("%d bytes wait for the %v, want at most %d", n, e.side, most)
				}
			}
			s.Until("the proxy reads no more", func() bool { bounded(); return e.full })
			for range 10 {
				s.Pass(s.near, 20*time.Millisecond)
				bounded()
			}
			to.t.ResumeReading()
			s.Until("all of it", func() bool { bounded(); return to.got.Len() >= len(text) })
			to.hears(text)
		}
		client.t.LoseWriteConnection()
		server.t.LoseWriteConnection()
		s.report(1, Done, Nobody)
	})
}

// An idle session ends in time, one that moves a little now and then does not.
func TestLayeredIdle(t *testing.T) {
	for _, y := range []ways{{true, false}, {false, true}, {true, true}} {
		s := newLayered(backends.Simulate(t, quiet), y)
		stop := s.metronome()
		s.start(Options{IdleTimeout: time.Hour, HalfClosedTimeout: 10 * time.Second})
		client, server := s.pair()
		for range 5 {
			s.Pass(s.near, 50*time.Minute)
			client.say("x")
			s.Pass(s.near, 50*time.Minute)
			server.say("y")
		}
		last := s.Net.Now()
		client.endsBadly()
		server.endsBadly()
		s.report(1, Idle, Nobody)
		if d := s.Net.Now() - last; d < time.Hour || d > 76*time.Minute {
			t.Errorf("%v: the session ended %v after its last byte, want an hour", y, d)
		}
		client, server = s.pair()
		client.t.LoseWriteConnection()
		s.Until("the end is passed on", func() bool { return server.ended })
		client.endsBadly()
		s.report(2, HalfClosed, Server)
		stop()
		s.drained()
	}
}

// A slow reader is not idle: what waits for it becomes less.
func TestLayeredSlowReader(t *testing.T) {
	o := quiet
	o.StreamBuffer = 4 << 10
	for _, y := range []ways{{true, false}, {false, true}, {true, true}} {
		s := newLayered(backends.Simulate(t, o), y)
		stop := s.metronome()
		s.marks = transport.Options{HalfClosedTimeout: -1, CloseTimeout: -1}
		s.start(Options{IdleTimeout: 40 * time.Second, HalfClosedTimeout: 40 * time.Second})
		client, server := s.pair()
		begin := s.Net.Now()
		text := strings.Repeat("0123456789abcdef", 48<<10/16) // less than a transport keeps
		server.say(text)
		server.t.LoseWriteConnection()
		client.on = func(c *talker) {
			c.t.PauseReading()
			s.near.Start(&loop.Timer{Func: c.t.ResumeReading}, 5*time.Second)
		}
		client.hears(text)
		if d := s.Net.Now() - begin; y.client && d < 41*time.Second {
			t.Errorf("%v: all was read after %v, which is no slow reader", y, d)
		}
		client.t.LoseWriteConnection()
		client.endsWell()
		s.report(1, Done, Nobody)
		stop()
		s.drained()
	}
}

// Handshakes that fail: the client's is a reason of its own, and never costs
// the upstream anything; the upstream's is an attempt that failed.
func TestHandshakesThatFail(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newLayered(w, ways{client: true})
		s.handshake.HandshakeTimeout = time.Second
		s.start(Options{Sample: time.Millisecond})
		s.ways.client = false
		s.dial().until(func(c *talker) {
			c.polite = true
			c.say("GET / HTTP/1.0\r\n\r\n")
		})
		if r := s.report(1, Handshake, Client); r.Attempts != 0 || r.Err == nil {
			s.Errorf("the report says %+v", r)
		}
		s.dial().until(func(c *talker) { c.t.LoseConnection() })
		s.report(2, Handshake, Client)
		s.dial().until(func(*talker) {}) // who says nothing
		if r := s.report(3, Handshake, Client); !errors.Is(r.Err, os.ErrDeadlineExceeded) {
			s.Errorf("the report's error is %v", r.Err)
		}
		s.ways.client = true
		s.client = &tls.Config{RootCAs: testenv.NewCA(s).Pool(), ServerName: tlsHost}
		s.dial()
		s.report(4, Handshake, Client)
		if len(s.accepted) != 0 {
			s.Errorf("%d connections to the upstream without a handshake", len(s.accepted))
		}
		s.Until("sampled", func() bool { return s.p.Status().Loops[0].TLS.Failed == 4 })
		st := s.p.Status()
		if c := st.Loops[0].TLS; st.Ends["handshake"] != 4 || c.NotTLS != 1 || c.TimedOut != 1 || c.Completed != 0 {
			s.Errorf("the status says %+v of ends, %+v of TLS", st.Ends, c)
		}
		s.drained()
	})
}

func TestUpstreamsHandshakeFails(t *testing.T) {
	for _, client := range []bool{false, true} {
		backends.Each(t, func(w *backends.World) {
			s := newLayered(w, ways{client: client, server: true})
			s.client = &tls.Config{RootCAs: testenv.NewCA(s).Pool(), ServerName: tlsHost} // of another authority
			s.ways.client = false
			s.start(Options{Sample: time.Millisecond})
			c := s.dial()
			c.endsBadly()
			var unknown x509.UnknownAuthorityError
			if r := s.report(1, NoUpstream, Server); r.Attempts != 1 || !errors.As(r.Err, &unknown) {
				s.Errorf("the report says %+v", r)
			}
			if u := s.p.Status().Upstreams[0]; u.Up || u.Failed != 1 || u.Total != 0 || u.Live != 0 ||
				!strings.Contains(u.Error, "unknown authority") || !strings.HasPrefix(u.Address, "tls://") {
				s.Errorf("the upstream's status is %+v", u)
			}
			s.drained()
		})
	}
}

// An upstream that accepts and then says nothing costs an attempt, and the
// next one is tried; the same goes for one that speaks no TLS.
func TestSilentUpstream(t *testing.T) {
	for _, answer := range []string{"", "220 mail.test ESMTP\r\n"} {
		s := newLayered(backends.Simulate(t, quiet), ways{client: true, server: true})
		mute, err := transport.Listen(s.far, s.Address(), nil, func(h proactor.Handle, a proactor.Address) {
			c := transport.NewConn(s.far, h, a, a, nil)
			m := &talker{s: s}
			c.Start(m)
			m.say(answer)
		})
		if err != nil {
			t.Fatal(err)
		}
		route := &RoundRobin{}
		stop := metronome(s.near, s.mid, s.far)
		s.start(Options{Route: route})
		route.upstreams = []*Upstream{NewUpstreamOver(mute.Addr(), s.upstream.layer), s.upstream}
		client, server := s.pair()
		client.say("hello")
		server.hears("hello")
		client.t.LoseWriteConnection()
		server.t.LoseWriteConnection()
		if r := s.report(1, Done, Nobody); r.Attempts != 2 {
			t.Errorf("%d attempts, want 2", r.Attempts)
		} else if r.Duration > 2*DefaultConnectTimeout {
			t.Errorf("the session took %v", r.Duration)
		}
		if up := route.upstreams[0].status(0); up.Failed != 1 || up.Up {
			t.Errorf("the silent upstream is %+v", up)
		}
		mute.Stop()
		stop()
		s.drained()
	}
}

// What a filter has read of the client's hello, and what a dialer sends ahead
// in clear, stand before the layers.
func TestLayersStandBehindFilterAndDialer(t *testing.T) {
	backends.Each(t, func(w *backends.World) {
		s := newLayered(w, ways{client: true})
		s.start(Options{Accept: &sniffer{refuse: "?"}, Dial: &prefixer{}})
		client, server := s.pair()
		client.say("hello")
		server.hears("PROXY 127.0.0.1\r\nhello")
		client.t.LoseWriteConnection()
		server.t.LoseWriteConnection()
		if r := s.report(1, Done, Nobody); r.Sent != 22 {
			s.Errorf("%d bytes sent, want 22", r.Sent)
		}
		s.drained()
	})
}

// A glutton is a Filter that has read more than a transport keeps.
type glutton struct{}

func (glutton) Accept(s *Session) { s.Admit(make([]byte, transport.DefaultHardLimit+1)) }
func (glutton) Cancel(*Session)   {}

// What a filter has read and the upstream's transport does not take is not
// lost silently.
func TestWhatAFilterReadIsTooMuch(t *testing.T) {
	s := newLayered(backends.Simulate(t, quiet), ways{server: true})
	s.start(Options{Accept: glutton{}})
	s.dial()
	if r := s.report(1, Broken, Server); !errors.Is(r.Err, transport.ErrFull) {
		t.Errorf("the session ends with %v, want ErrFull", r.Err)
	}
	s.drained()
}

// A session ends wherever a cut finds it, and leaves nothing behind.
func TestLayeredCut(t *testing.T) {
	for seed := uint64(1); seed <= 300; seed++ {
		rng := rand.New(rand.NewPCG(seed, 3))
		y := []ways{{true, false}, {false, true}, {true, true}}[rng.IntN(3)]
		s := newLayered(backends.Simulate(t, sim.Options{Seed: seed, Faults: sim.NoFaults}), y)
		s.start(Options{})
		client := s.dial()
		for range rng.IntN(60) {
			s.Turn()
			s.Pass(s.near, time.Duration(rng.IntN(200))*time.Microsecond)
		}
		if rng.IntN(2) == 0 {
			s.mid.Stop()
		} else {
			s.p.Drain()
			s.p.Cut()
			s.port.StopListening()
		}
		s.Until("the client's end", func() bool { return client.lost != nil || client.t == nil })
		s.Until("no session", func() bool { return s.p.Live() == 0 })
		if t.Failed() {
			t.Fatalf("seed %d, %v", seed, y)
		}
	}
}

// A loop's Shutdown lets sessions end by themselves.
func TestLayeredShutdown(t *testing.T) {
	for _, y := range []ways{{true, false}, {false, true}, {true, true}} {
		s := newLayered(backends.Simulate(t, quiet), y)
		s.start(Options{})
		client, server := s.pair()
		client.say("hello")
		server.hears("hello")
		s.mid.Shutdown(time.Hour)
		s.Pass(s.near, time.Minute)
		server.say("still here")
		client.hears("still here")
		client.t.LoseWriteConnection()
		server.t.LoseWriteConnection()
		client.endsWell()
		server.endsWell()
		s.report(1, Done, Nobody)
		s.port.StopListening()
	}
}

// A connection that stands costs no goroutine.
func TestLayeredGoroutines(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := newLayered(w, ways{true, true})
		s.start(Options{})
		const n = 200
		begin := runtime.NumGoroutine()
		var all []*talker
		for range n {
			all = append(all, s.dial())
		}
		s.Until("all are accepted upstream", func() bool { return len(s.accepted) == n })
		for _, c := range all {
			c.say("hello")
		}
		s.Until("all are heard", func() bool {
			return !slices.ContainsFunc(s.accepted, func(u *talker) bool { return u.got.String() != "hello" })
		})
		s.Until("handshakes have left no goroutine", func() bool { return runtime.NumGoroutine() <= begin+20 })
		for _, c := range all {
			c.t.AbortConnection()
		}
		s.drained()
	})
}

// However pieces and buffers are cut, all of it arrives both ways, and no side
// is left waiting for a word that it may go on.
func TestLayeredBulkSeeds(t *testing.T) {
	for seed := uint64(1); seed <= 60 && !t.Failed(); seed++ {
		rng := rand.New(rand.NewPCG(seed, 5))
		y := []ways{{true, false}, {false, true}, {true, true}}[rng.IntN(3)]
		o := sim.Options{Seed: seed, Harmless: true, Buffers: 4 + rng.IntN(60)}
		o.BufferSize, o.StreamBuffer = 1<<(10+rng.IntN(8)), 1<<(13+rng.IntN(8))
		s := newLayered(backends.Simulate(t, o), y)
		s.start(Options{IdleTimeout: -1, HalfClosedTimeout: -1})
		client, server := s.pair()
		to, from := strings.Repeat("to the upstream ", rng.IntN(1<<16)), strings.Repeat("to the client. ", rng.IntN(1<<16))
		client.say(to)
		server.say(from)
		client.t.LoseWriteConnection()
		server.t.LoseWriteConnection()
		s.Until("both have ended", func() bool { return client.lost != nil && server.lost != nil })
		if client.got.String() != from || server.got.String() != to {
			t.Errorf("seed %d, %v: %d of %d and %d of %d bytes arrived; lost: %v, %v",
				seed, y, client.got.Len(), len(from), server.got.Len(), len(to), client.lost, server.lost)
		}
		s.report(1, Done, Nobody)
		s.drained()
	}
}

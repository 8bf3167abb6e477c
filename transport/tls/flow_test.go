package tls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/cryptotest"
	"time"

	"mobius/connector"
	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
)

// established connects two protocols and waits until both have shaken hands.
func (s *scene) established(server, client transport.Protocol, a, b *rec) {
	s.Helper()
	s.pair(server, client)
	s.until("the handshake", func() bool { return a.shaken() && b.shaken() })
}

// A pause holds in the middle of what has arrived, record by record; the end
// comes after what was kept.
func TestPauseReading(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		pauses := 0
		server.onData = func(r *rec) {
			pauses++
			r.t.PauseReading()
			got := r.got.Len()
			s.l.Start(&loop.Timer{Func: func() {
				if r.got.Len() != got {
					t.Errorf("data came in a pause")
				}
				r.t.ResumeReading()
			}}, time.Millisecond)
		}
		s.established(server, client, server, client)
		var want strings.Builder
		for i := range 50 {
			text := strings.Repeat(string(rune('a'+i%26)), i+1)
			want.WriteString(text)
			client.t.Write([]byte(text))
			client.t.(*Conn).y.advance() // a record each
		}
		client.t.LoseConnection()
		s.until("the end", server.lost)
		if server.got.String() != want.String() || pauses != 50 {
			t.Errorf("%d bytes in %d pieces, want %d in 50", server.got.Len(), pauses, want.Len())
		}
		server.ended(transport.Done, "read")
	})
}

// A pause before the handshake does not hinder it, and holds after it.
func TestPauseInHandshake(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		server.onMade = func(r *rec) { r.t.PauseReading() }
		client.onMade = func(r *rec) { r.write("early") }
		s.established(server, client, server, client)
		s.Pass(s.l, 20*time.Millisecond)
		if server.got.Len() > 0 {
			t.Fatal("data came in a pause")
		}
		server.t.ResumeReading()
		s.until("the data", func() bool { return server.got.String() == "early" })
	})
}

// What a turn writes leaves as few records as will hold it.
func TestCoalescing(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		s.established(server, client, server, client)
		pieces := 0
		server.onData = func(*rec) { pieces++ }
		for range 100 {
			client.write("0123456789")
		}
		s.until("all is there", func() bool { return server.got.Len() == 1000 })
		if pieces != 1 {
			t.Errorf("100 small writes of one turn came in %d records", pieces)
		}
	})
}

// The water marks call once each, alternating, before and after the handshake;
// none of what was written is lost.
func TestWaterMarks(t *testing.T) {
	each(t, func(s *scene) {
		s.below.HighWater, s.below.LowWater = 50_000, 10_000
		server, client := s.both()
		sent := 0
		fill := func(r *rec) {
			for !strings.HasSuffix(r.story(), "pause") && sent < 3<<20 {
				r.write(string(make([]byte, 7000)))
				sent += 7000
			}
		}
		client.onMade, client.onResume = fill, fill
		s.pair(server, drain{client})
		s.until("all is there", func() bool { return sent >= 3<<20 && server.got.Len() == sent })
		pauses := strings.Count(client.story(), "pause")
		if !strings.HasPrefix(client.story(), "made pause shaken resume pause") || pauses < 10 {
			t.Errorf("client: %d pauses: %.200s", pauses, client.story())
		}
		if strings.Contains(client.story(), "pause pause") || strings.Contains(client.story(), "resume resume") {
			t.Errorf("not alternating: %s", client.story())
		}
	})
}

// Room is what is taken, and not one byte more; and what was taken arrives,
// since nothing is sealed without room.
func TestHardLimit(t *testing.T) {
	each(t, func(s *scene) {
		s.below.HardLimit, s.below.HighWater = 40_000, 20_000
		server, client := s.both()
		sent := 0
		full := func(r *rec) {
			q, _ := transport.As[transport.Queuer](r.t)
			room := q.Room()
			if sent > 400_000 {
				return
			}
			if _, err := r.t.Write(make([]byte, room+1)); !errors.Is(err, transport.ErrFull) {
				t.Errorf("Write of Room()+1: %v", err)
			}
			r.write(string(make([]byte, room)))
			sent += room
			if _, err := r.t.Write(make([]byte, q.Room()+1)); !errors.Is(err, transport.ErrFull) {
				t.Errorf("Write without room: %v", err)
			}
		}
		client.onMade, client.onShaken, client.onResume = full, full, full
		s.pair(server, drain{client})
		s.until("many times the limit", func() bool { return sent > 400_000 && server.got.Len() == sent })
	})
}

// WriteOwned releases once in every case, Writev joins.
func TestWriteOwnedAndWritev(t *testing.T) {
	each(t, func(s *scene) {
		server, client := s.both()
		released := 0
		release := func() { released++ }
		client.onMade = func(r *rec) {
			r.t.WriteOwned([]byte("one "), release)
			r.t.Writev([][]byte{[]byte("two "), nil, []byte("three")})
		}
		s.established(server, client, server, client)
		s.until("all is there", func() bool { return server.got.String() == "one two three" })
		client.t.LoseConnection()
		if err := client.t.WriteOwned([]byte("x"), release); err == nil {
			t.Error("WriteOwned after LoseConnection")
		}
		if released != 2 {
			t.Errorf("released %d times, want twice", released)
		}
	})
}

// One seed is one run, cryptography included.
func TestSameSeedSameTrace(t *testing.T) {
	// The hour is in certificates and in tickets, and so in the bytes.
	now, ca := time.Now(), testenv.NewCA(t)
	certificate := ca.Issue(host, "127.0.0.1")
	run := func(seed uint64) uint64 {
		cryptotest.SetGlobalRandom(t, seed)
		s := newScene(backends.Simulate(t, sim.Options{Seed: seed, Harmless: true}))
		s.server = &tls.Config{Certificates: []tls.Certificate{certificate}}
		s.client = &tls.Config{RootCAs: ca.Pool(), ServerName: host}
		for _, c := range []*tls.Config{s.server, s.client} {
			c.Time = func() time.Time { return now }
		}
		server, client := s.both()
		echo(server)
		client.onShaken = func(r *rec) { r.write(string(pattern(50_000))) }
		s.pair(server, client)
		s.Until("the echo", func() bool { return client.got.Len() == 50_000 })
		return s.Net.TraceHash()
	}
	for seed := uint64(1); seed <= 20; seed++ {
		if a, b := run(seed), run(seed); a != b {
			t.Errorf("seed %d: traces %x and %x", seed, a, b)
		}
	}
}

// A presser writes at the end of each turn, until it is told to pause.
type presser struct {
	*rec
	flush loop.Flush
	full  bool
	left  int
}

func (p *presser) PauseWriting()  { p.full = true }
func (p *presser) ResumeWriting() { p.full = false; p.t.Loop().AtTurnEnd(&p.flush) }

func (p *presser) Flush() {
	if p.left > 0 && !p.full {
		p.left -= 30_000
		p.write(string(make([]byte, 30_000)))
		p.t.Loop().AtTurnEnd(&p.flush)
	}
}

// What is pending makes the layer full, and by the time that it is sealed some
// of the rest was sent: the transport below was never full, and says nothing.
func TestResumeThoughTheQueueBelowWasNeverLong(t *testing.T) {
	each(t, func(s *scene) {
		s.below.HighWater, s.below.LowWater = 64<<10, 16<<10
		server, client := s.both()
		p := &presser{rec: client, left: 1_200_000}
		p.flush.Owner = p
		s.established(server, p, server, client)
		s.l.AtTurnEnd(&p.flush)
		s.until("all is there", func() bool { return server.got.Len() == 1_200_000 })
	})
}

// A chat is one side of a random conversation.
type chat struct {
	*rec
	rng   *rand.Rand
	out   []byte // to be sent
	sent  int
	timer loop.Timer
	half  bool
}

func (c *chat) ReadConnectionLost()  { c.note("read-lost", nil) }
func (c *chat) WriteConnectionLost() { c.note("write-lost", nil) }

// step writes a piece, pauses, resumes, or ends.
func (c *chat) step() {
	if c.lost() {
		return
	}
	switch n := c.rng.IntN(20); {
	case n == 0:
		c.t.PauseReading()
	case n < 4:
		c.t.ResumeReading()
	case c.sent < len(c.out):
		k := min(1+c.rng.IntN(1<<c.rng.IntN(17)), len(c.out)-c.sent)
		if _, err := c.t.Write(c.out[c.sent : c.sent+k]); err == nil {
			c.sent += k
		}
	case c.half:
		c.t.ResumeReading()
		c.t.LoseWriteConnection()
		return
	}
	c.s.l.Start(&c.timer, time.Duration(c.rng.IntN(1000))*time.Microsecond)
}

// Under every fault bytes come in order or the connection is lost, once, with
// a reason; and if both sides end well then all bytes have come.
func TestSeeds(t *testing.T) {
	count := 400
	if testing.Short() {
		count = 100
	}
	seeds(t, count, sim.Options{}, func(s *scene, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 1))
		if rng.IntN(2) == 0 {
			s.client.MaxVersion = tls.VersionTLS12
		}
		s.below.HighWater = 1 << rng.IntN(18)
		a, b := s.rec("server"), s.rec("client")
		var chats [2]*chat
		for i, r := range []*rec{a, b} {
			c := &chat{rec: r, rng: rng, out: pattern(rng.IntN(200_000)), half: true}
			c.timer.Func = c.step
			r.onMade = func(*rec) { c.step() }
			chats[i] = c
		}
		f := connector.FactoryFunc(func(proactor.Address) transport.Protocol { return Wrap(chats[0], s.server, Server, nil) })
		port, err := connector.Listen([]*loop.Loop{s.l}, s.Address(), f, connector.ListenOptions{Transport: &s.below})
		if err != nil {
			return // a fault
		}
		s.dialTLS(port.Addr(), chats[1])
		s.Until("both ends", func() bool { return s.failed > 0 || (a.t == nil || a.lost()) && b.lost() })
		for _, trouble := range s.TakeTroubles() {
			if trouble.Kind != loop.AcceptFailed {
				t.Fatalf("seed %d: %v", seed, trouble)
			}
		}
		for i, c := range chats {
			other := chats[1-i]
			if !bytes.HasPrefix(other.out, c.got.Bytes()) {
				t.Fatalf("seed %d: %s has got what was not sent", seed, c.name)
			}
			if c.t != nil && c.kind() == transport.Done && errors.Is(c.err, io.EOF) && c.got.Len() != len(other.out) {
				t.Fatalf("seed %d: %s ended well with %d of %d bytes: %v", seed, c.name, c.got.Len(), len(other.out), c.err)
			}
		}
	})
}

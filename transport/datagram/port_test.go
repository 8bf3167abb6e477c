package datagram

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/loop"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/transport"
)

func TestEcho(t *testing.T) {
	each(t, func(s *site) {
		server := &log{}
		server.on = func(data []byte, from proactor.Address) {
			if err := server.port.WriteTo(data, from); err != nil {
				s.Error(err)
			}
		}
		client := &log{}
		a, b := s.listen(s.v4(), server, nil), s.listen(s.v4(), client, nil)
		if a.LocalAddr().Port() == 0 {
			s.Fatalf("bound to %v", a.LocalAddr())
		}
		for _, text := range []string{"one", "", strings.Repeat("x", 8000)} {
			s.write(b, text, a.LocalAddr())
		}
		s.Until("three answers", func() bool { return len(client.events) == 4 })
		if client.from != a.LocalAddr() || server.from != b.LocalAddr() {
			s.Errorf("from %v and %v, want %v and %v", client.from, server.from, a.LocalAddr(), b.LocalAddr())
		}
		want := []string{"start", `"one"`, `""`, `"` + strings.Repeat("x", 8000) + `"`}
		if !slices.Equal(client.events, want) {
			s.Errorf("the client met %.80q", client.events)
		}
		if st := a.Stats(); st.Received != 3 || st.Sent != 3 {
			s.Errorf("%+v", st)
		}
	})
}

// Stopping frees the address, tells the protocol once and later, and may be
// followed by another start.
func TestStopAndStartAgain(t *testing.T) {
	each(t, func(s *site) {
		p := &log{}
		port := s.listen(s.v4(), p, nil)
		at := port.LocalAddr()
		if err := port.Start(); !errors.Is(err, syscall.EISCONN) {
			s.Errorf("Start of a port that has started: %v", err)
		}
		for range 3 {
			f := port.StopListening()
			if f != port.StopListening() || p.stops != 0 {
				s.Fatal("StopProtocol ran inside StopListening, or its second future is another one")
			}
			if err := port.WriteTo([]byte("late"), at); !errors.Is(err, net.ErrClosed) {
				s.Errorf("write after the stop: %v", err)
			}
			s.Until("stopped", isDone(f))
			var e *transport.ConnError
			if p.stops != 1 || !errors.As(p.why, &e) || e.Kind != transport.Done || !isDone(port.StopListening())() {
				s.Fatalf("%d stops, the last one with %v", p.stops, p.why)
			}
			other := s.listen(at, &log{}, nil) // the address is free
			s.Until("the other has stopped", isDone(other.StopListening()))
			if err := port.Start(); err != nil {
				s.Fatal(err)
			}
			if port.LocalAddr() != at {
				s.Errorf("started again at %v, was at %v", port.LocalAddr(), at)
			}
			p.stops, p.events = 0, nil
			s.write(port, "self", at)
			s.Until("it receives again", p.has(`"self"`))
		}
		_, err := Listen(s.l, at, &log{}, nil)
		if !errors.Is(err, syscall.EADDRINUSE) {
			s.Errorf("a second port at one address: %v", err)
		}
	})
}

func isDone[T any](f *loop.Future[T]) func() bool {
	return func() bool {
		select {
		case <-f.Done():
			return true
		default:
			return false
		}
	}
}

// What was written before StopListening is sent.
func TestStopSendsWhatWasWritten(t *testing.T) {
	each(t, func(s *site) {
		in, out := &log{}, &log{}
		a, b := s.listen(s.v4(), in, nil), s.listen(s.v4(), out, nil)
		for range 50 {
			s.write(b, "x", a.LocalAddr())
		}
		s.Until("stopped", isDone(b.StopListening()))
		s.Until("all have arrived", func() bool { return len(in.events) == 51 })
	})
}

func TestStopInsideCallbacks(t *testing.T) {
	each(t, func(s *site) {
		first := &log{start: func(p *Port) { p.StopListening() }}
		s.listen(s.v4(), first, nil)
		second := &log{}
		second.on = func([]byte, proactor.Address) { second.port.StopListening() }
		port := s.listen(s.v4(), second, nil)
		s.write(port, "a", port.LocalAddr())
		s.write(port, "b", port.LocalAddr())
		s.Until("both have stopped", func() bool { return first.stops == 1 && second.stops == 1 })
		if len(second.events) != 3 {
			s.Errorf("after a stop inside DatagramReceived: %q", second.events)
		}
	})
}

func TestPanicsAreReportedAndThePortGoesOn(t *testing.T) {
	each(t, func(s *site) {
		p := &log{}
		p.on = func(data []byte, _ proactor.Address) {
			if string(data) == "bad" {
				panic("bad datagram")
			}
		}
		port := s.listen(s.v4(), p, nil)
		s.write(port, "bad", port.LocalAddr())
		s.write(port, "good", port.LocalAddr())
		s.Until("the next one comes", p.has(`"good"`))
		if got := s.TakeTroubles(); len(got) != 1 || got[0].Value != "bad datagram" {
			s.Errorf("reported: %v", got)
		}
	})
}

// Nothing is delivered during a pause; what was under way comes after it, first.
func TestPause(t *testing.T) {
	each(t, func(s *site) {
		p := &log{}
		p.on = func([]byte, proactor.Address) { p.port.PauseReading() }
		port := s.listen(s.v4(), p, nil)
		texts := []string{"a", "b", "c", "d"}
		for _, text := range texts {
			s.write(port, text, port.LocalAddr())
		}
		for i := range texts {
			s.Until("one more", func() bool { return len(p.events) == i+2 })
			s.Pass(s.l, 5*time.Millisecond)
			if len(p.events) != i+2 {
				s.Fatalf("during the pause: %q", p.events)
			}
			port.ResumeReading()
		}
		if got := strings.Join(p.events, ""); got != `start"a""b""c""d"` {
			s.Errorf("got %s", got)
		}
		p.on = func([]byte, proactor.Address) { p.port.PauseReading(); p.port.ResumeReading() }
		s.write(port, "e", port.LocalAddr())
		s.write(port, "f", port.LocalAddr())
		s.Until("a pause that was taken back changes nothing", p.has(`"f"`))
	})
}

func TestConnected(t *testing.T) {
	each(t, func(s *site) {
		peer, client, stranger := &log{}, &witness{}, &log{}
		a, b, c := s.listen(s.v4(), peer, nil), s.listen(s.v4(), client, nil), s.listen(s.v4(), stranger, nil)
		if err := b.Write([]byte("nowhere")); !errors.Is(err, syscall.EDESTADDRREQ) {
			s.Errorf("Write without a peer: %v", err)
		}
		f := b.Connect(a.LocalAddr())
		s.Until("connected", isDone(f))
		if _, err := f.Wait(s.Context()); err != nil {
			s.Fatal(err)
		}
		g := b.Connect(c.LocalAddr())
		if _, err := g.Wait(s.Context()); !errors.Is(err, syscall.EISCONN) || b.RemoteAddr() != a.LocalAddr() {
			s.Errorf("a second Connect: %v, the peer is %v", err, b.RemoteAddr())
		}
		s.write(c, "stranger", b.LocalAddr())
		s.write(a, "friend", b.LocalAddr())
		s.Until("the peer's arrives", client.has(`"friend"`))
		if err := b.Write([]byte("hello")); err != nil {
			s.Fatal(err)
		}
		s.Until("hello arrives", peer.has(`"hello"`))
		if slices.Contains(client.events, `"stranger"`) {
			s.Error("a connected port received from somebody else")
		}
		s.Until("the peer is gone", isDone(a.StopListening()))
		s.Until("that nobody listens is told", func() bool {
			if err := b.Write([]byte("anybody?")); err != nil {
				s.Fatal(err)
			}
			s.Pass(s.l, time.Millisecond)
			return client.refused > 0
		})
		again := s.listen(a.LocalAddr(), peer, nil)
		s.write(again, "back", b.LocalAddr())
		s.Until("it goes on after a refusal", client.has(`"back"`))
	})
}

// On a port that is not connected nobody is told of a refusal.
func TestRefusalsOfOthersAreIgnored(t *testing.T) {
	each(t, func(s *site) {
		gone := s.listen(s.v4(), &log{}, nil)
		s.Until("gone", isDone(gone.StopListening()))
		p := &witness{}
		port := s.listen(s.v4(), p, nil)
		s.write(port, "anybody?", gone.LocalAddr())
		s.write(port, "self", port.LocalAddr())
		s.Until("it receives", p.has(`"self"`))
		if p.refused > 0 {
			s.Error("ConnectionRefused on a port that is not connected")
		}
	})
}

// A unix socket that is not connected learns of a refusal by the send itself.
func TestRefusalOfAUnixSocketIsTheSendsAlone(t *testing.T) {
	backends.EachReal(t, func(w *backends.World) {
		s := &site{w, w.Loop()}
		at := s.unixPath("dead")
		dead, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: at.Path(), Net: "unixgram"})
		if err != nil {
			s.Fatal(err)
		}
		_ = dead.Close() // the file stays
		p := &witness{}
		s.write(s.listen(address(s, "unixgram", ""), p, nil), "anybody?", at)
		s.Until("it is told", func() bool { return len(p.failed) == 1 })
		if !errors.Is(p.failed[0], syscall.ECONNREFUSED) || p.refused > 0 {
			s.Errorf("failed with %v, %d refusals", p.failed[0], p.refused)
		}
	})
}

func TestWritesThatCannotBe(t *testing.T) {
	each(t, func(s *site) {
		four := s.listen(s.v4(), &log{}, nil)
		six := s.listen(address(s, "udp", "[::1]:0"), &log{}, nil)
		both := s.listen(address(s, "udp", ":0"), &log{}, nil)
		any6 := s.listen(address(s, "udp", "[::]:0"), &log{}, nil)
		big := make([]byte, 65508)
		for _, c := range []struct {
			port *Port
			data []byte
			to   proactor.Address
			want error
		}{
			{four, nil, six.LocalAddr(), syscall.EAFNOSUPPORT},
			{six, nil, four.LocalAddr(), syscall.EAFNOSUPPORT},
			{any6, nil, four.LocalAddr(), syscall.EAFNOSUPPORT},
			{four, nil, proactor.Address{}, syscall.EDESTADDRREQ},
			{four, nil, address(s, "unixgram", "/x"), syscall.EAFNOSUPPORT},
			{four, nil, address(s, "tcp", "127.0.0.1:9"), syscall.EAFNOSUPPORT},
			{four, big, four.LocalAddr(), syscall.EMSGSIZE},
			{both, big, four.LocalAddr(), syscall.EMSGSIZE},
			{both, []byte("4"), four.LocalAddr(), nil},
			{both, []byte("6"), six.LocalAddr(), nil},
		} {
			err := c.port.WriteTo(c.data, c.to)
			var e *transport.ConnError
			if !errors.Is(err, c.want) || err != nil && (!errors.As(err, &e) || e.Op != "write") {
				s.Errorf("write of %d bytes from %v to %v: %v, want %v", len(c.data), c.port.LocalAddr(), c.to, err, c.want)
			}
		}
		s.Until("both families are reached from the wildcard", func() bool {
			return four.Stats().Received == 1 && six.Stats().Received == 1
		})
	})
}

// The queue has a limit, and who met it is told when there is room again.
func TestFullQueue(t *testing.T) {
	each(t, func(s *site) {
		in, out := &log{}, &witness{}
		a := s.listen(s.v4(), in, nil)
		b := s.listen(s.v4(), out, &Options{Queue: 8, QueueBytes: 100})
		full := 0
		for range 20 {
			err := b.WriteTo([]byte("x"), a.LocalAddr())
			if errors.Is(err, transport.ErrFull) {
				full++
			} else if err != nil {
				s.Fatal(err)
			}
		}
		if full != 12 || b.Queued() != 8 || b.Stats().Full != 12 {
			s.Errorf("%d of 20 writes were refused, %d are queued", full, b.Queued())
		}
		s.Until("eight arrive, and there is room", func() bool { return len(in.events) == 9 && out.resumed == 1 })
		if err := b.WriteTo(make([]byte, 1000), a.LocalAddr()); err != nil {
			s.Errorf("one datagram longer than QueueBytes: %v", err)
		}
		if err := b.WriteTo([]byte("x"), a.LocalAddr()); !errors.Is(err, transport.ErrFull) {
			s.Errorf("a second one behind it: %v", err)
		}
		s.Until("the long one arrives", func() bool { return len(in.events) == 10 })
	})
}

// The loop's end is the port's.
func TestLoopStops(t *testing.T) {
	each(t, func(s *site) {
		p := &log{}
		s.listen(s.v4(), p, nil)
		s.l.Stop()
		s.Until("stopped", func() bool { return p.stops == 1 })
		var e *transport.ConnError
		if !errors.As(p.why, &e) || e.Kind != transport.Stopped || !errors.Is(p.why, loop.ErrStopped) {
			s.Errorf("stopped with %v", p.why)
		}
		if _, err := Listen(s.l, s.v4(), p, nil); !errors.Is(err, loop.ErrStopped) {
			s.Errorf("Listen on a loop that has stopped: %v", err)
		}
	})
}

func TestLoopShutsDown(t *testing.T) {
	each(t, func(s *site) {
		p := &log{}
		s.listen(s.v4(), p, nil)
		s.l.Shutdown(time.Minute)
		s.Until("stopped", func() bool { return p.stops == 1 })
		var e *transport.ConnError
		if !errors.As(p.why, &e) || e.Kind != transport.Done {
			s.Errorf("stopped with %v", p.why)
		}
	})
}

func (s *site) unixPath(name string) proactor.Address {
	return address(s, "unixgram", filepath.Join(s.TempDir(), name))
}

func TestUnix(t *testing.T) {
	each(t, func(s *site) {
		server, client, nobody := &log{}, &witness{}, &witness{}
		a := s.listen(s.unixPath("server"), server, nil)
		b := s.listen(s.unixPath("client"), client, nil)
		s.write(b, "hello", a.LocalAddr())
		s.Until("it arrives", server.has(`"hello"`))
		if server.from != b.LocalAddr() {
			s.Errorf("from %v, want %v", server.from, b.LocalAddr())
		}
		unbound := s.listen(address(s, "unixgram", ""), nobody, nil)
		s.Until("connected", isDone(unbound.Connect(a.LocalAddr())))
		if err := unbound.Write([]byte("who?")); err != nil {
			s.Fatal(err)
		}
		s.Until("it arrives", server.has(`"who?"`))
		if server.from.IsValid() && server.from.String() != "" {
			s.Errorf("an unbound socket's address is %v", server.from)
		}
		s.Until("the server is gone", isDone(a.StopListening()))
		s.write(b, "lost", a.LocalAddr())
		s.Until("that it was not sent is told", func() bool { return len(client.failed) == 1 })
		if !errors.Is(client.failed[0], syscall.ENOENT) && !errors.Is(client.failed[0], syscall.ECONNREFUSED) {
			s.Errorf("failed with %v", client.failed[0])
		}
		f := s.listen(address(s, "unixgram", ""), &log{}, nil).Connect(a.LocalAddr())
		s.Until("refused", isDone(f))
		if _, err := f.Wait(s.Context()); err == nil {
			s.Error("connected to a socket that is gone")
		}
	})
}

// A protocol that does not ask never gets the beginning of a datagram; one
// that asks is told.
type informedLog struct {
	log
	truncated []bool
	info      []proactor.Info
}

func (r *informedLog) DatagramInfo(data []byte, from proactor.Address, m *proactor.Msg) {
	r.DatagramReceived(data, from)
	r.truncated = append(r.truncated, m.Truncated)
	r.info = append(r.info, m.Info)
}

func TestInfo(t *testing.T) {
	each(t, func(s *site) {
		in := &informedLog{}
		o := &Options{Socket: &proactor.SocketOptions{RecvTTL: proactor.On, RecvTrafficClass: proactor.On}}
		a, b := s.listen(s.v4(), in, o), s.listen(s.v4(), &log{}, nil)
		m := &proactor.Msg{}
		m.Info.SetECN(proactor.ECT0)
		m.Info.TTL, m.Info.Has = 7, m.Info.Has|proactor.HasTTL
		if err := b.WriteMsg([]byte("x"), a.LocalAddr(), m); err != nil {
			s.Fatal(err)
		}
		s.Until("it arrives", func() bool { return len(in.info) == 1 })
		if i := in.info[0]; i.ECN() != proactor.ECT0 || i.TTL != 7 || in.truncated[0] {
			s.Errorf("info %+v", i)
		}
	})
}

type trainLog struct {
	log
	segments []int
}

func (r *trainLog) TrainReceived(data []byte, segment int, from proactor.Address) {
	r.segments = append(r.segments, segment)
	for len(data) > 0 {
		n := min(segment, len(data))
		r.DatagramReceived(data[:n], from)
		data = data[n:]
	}
}

// One write of a train is many datagrams, and they arrive as such whether the
// receiver knows of trains or not.
func TestTrains(t *testing.T) {
	each(t, func(s *site) {
		o := &Options{Socket: &proactor.SocketOptions{SegmentedReceive: proactor.On}}
		plain, whole := &log{}, &trainLog{}
		a, b := s.listen(s.v4(), plain, o), s.listen(s.v4(), whole, o)
		c := s.listen(s.v4(), &log{}, nil)
		data := bytes.Repeat([]byte("0123456789"), 10)
		for _, to := range []*Port{a, b} {
			if err := c.WriteMsg(data[:95], to.LocalAddr(), &proactor.Msg{SegmentSize: 10}); err != nil {
				s.Fatal(err)
			}
		}
		s.Until("ten datagrams arrive at each", func() bool { return len(plain.events) == 11 && len(whole.events) == 11 })
		for _, got := range [][]string{plain.events, whole.events} {
			if got[1] != `"0123456789"` || got[10] != `"01234"` {
				s.Errorf("got %q", got)
			}
		}
		if c.Stats().Sent != 2 || a.Stats().Received != 10 {
			s.Errorf("sent %+v, received %+v", c.Stats(), a.Stats())
		}
	})
}

// Sending and receiving allocates nothing.
func TestEchoAllocatesNothing(t *testing.T) {
	if invariant.Enabled {
		t.Skip("lent bytes are copies in builds with checks")
	}
	each(t, func(s *site) {
		if s.Net != nil {
			return // the simulator's own affair
		}
		rounds, left := 20_000, 0
		p := &log{}
		p.on = func(data []byte, from proactor.Address) {
			p.events = p.events[:0]
			if left--; left > 0 {
				_ = p.port.WriteTo(data, from)
			}
		}
		port := s.listen(s.v4(), &bare{p}, nil)
		p.port = port
		run := func(n int) {
			left = n
			s.write(port, "ping", port.LocalAddr())
			s.Until("all rounds", func() bool { return left <= 0 })
		}
		run(1000)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		run(rounds)
		runtime.ReadMemStats(&after)
		if n := after.Mallocs - before.Mallocs; n > 100 {
			s.Errorf("%d allocations in %d echoes", n, rounds)
		}
	})
}

// bare passes datagrams on without a record.
type bare struct{ *log }

func (b *bare) DatagramReceived(data []byte, from proactor.Address) { b.on(data, from) }

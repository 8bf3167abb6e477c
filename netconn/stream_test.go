package netconn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
)

// pair returns the two ends of a connection, until the test's end.
func pair(t testing.TB, r *mobius.Reactor, o Options) (client, server *TCPConn) {
	t.Helper()
	lc := ListenConfig{Reactor: r, Options: o}
	n, err := lc.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	d := Dialer{Reactor: r, Options: o}
	c, err := d.Dial("tcp", n.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s, err := n.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return c.(*TCPConn), s.(*TCPConn)
}

// pattern returns n bytes of which each tells where it is.
func pattern(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i>>16 ^ i>>8*7 ^ i)
	}
	return p
}

func TestPeekNextDiscard(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, s := pair(t, r, Options{ReadBuffer: 64 << 10})
		sent := pattern(300 << 10)
		go func() { c.Write(sent); c.CloseWrite() }()
		if _, err := s.Peek(64<<10 + 1); !errors.Is(err, bufio.ErrBufferFull) {
			t.Errorf("Peek of more than the buffer: %v", err)
		}
		at := 0
		for step := 0; at < len(sent); step++ {
			n := min(1+step*997%9000, len(sent)-at)
			p, err := s.Peek(n)
			if err != nil || len(p) != n || !bytes.Equal(p, sent[at:at+n]) {
				t.Fatalf("Peek(%d) at %d: %d bytes, %v", n, at, len(p), err)
			}
			switch step % 3 {
			case 0:
				p, err := s.Next(n)
				if err != nil || !bytes.Equal(p, sent[at:at+n]) {
					t.Fatalf("Next(%d) at %d: %d bytes, %v", n, at, len(p), err)
				}
			case 1:
				if k, err := s.Discard(n); k != n || err != nil {
					t.Fatalf("Discard(%d) at %d: %d, %v", n, at, k, err)
				}
			case 2:
				p := make([]byte, n)
				if _, err := io.ReadFull(s, p); err != nil || !bytes.Equal(p, sent[at:at+n]) {
					t.Fatalf("Read of %d at %d: %v", n, at, err)
				}
			}
			at += n
		}
		if p, err := s.Peek(1); err != io.EOF || len(p) != 0 {
			t.Errorf("Peek at the end: %d bytes, %v", len(p), err)
		}
	})
}

func TestWritevIsOneWrite(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, s := pair(t, r, Options{})
		sent := pattern(1 << 20)
		go func() {
			defer c.CloseWrite()
			for at := 0; at < len(sent); {
				var bufs [][]byte
				from := at
				for n := range 100 {
					k := min(n*37, len(sent)-at)
					bufs = append(bufs, sent[at:at+k])
					at += k
				}
				if n, err := c.Writev(bufs); int(n) != at-from || err != nil {
					t.Errorf("Writev: %d, %v, want %d", n, err, at-from)
				}
			}
		}()
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came, %v", len(got), len(sent), err)
		}
	})
}

// Writes of several goroutines do not mix, also when the socket is full.
func TestWritesDoNotMix(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, s := pair(t, r, Options{})
		const writers, each, size = 4, 5, 50_000
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for range each {
					if _, err := c.Write(bytes.Repeat([]byte{byte(w)}, size)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		p := make([]byte, size)
		for range writers * each {
			if _, err := io.ReadFull(s, p); err != nil {
				t.Fatal(err)
			}
			if bytes.Count(p, p[:1]) != size {
				t.Fatal("writes are mixed")
			}
		}
		all.Wait()
	})
}

// A connection that nobody reads keeps no more than its limit and what was
// under way, its peer's Write waits, and no byte is lost.
func TestReadBufferLimit(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, s := pair(t, r, Options{ReadBuffer: 10_000})
		if err := errors.Join(s.SetReadBuffer(16<<10), c.SetWriteBuffer(16<<10)); err != nil { // which bounds what is under way
			t.Fatal(err)
		}
		sent := pattern(4 << 20)
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.Write(sent); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		})
		blocked(t, &c.w.mu, &c.w.w)
		n := 0
		testenv.Eventually(t, testenv.Patience(), "the limit is reached", func() bool {
			s.r.mu.Lock()
			defer s.r.mu.Unlock()
			n = s.r.q.n
			return s.r.stopped
		})
		if n < 10_000 || n > 10_000+512<<10 {
			t.Errorf("%d bytes kept", n)
		}
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came, %v", len(got), len(sent), err)
		}
		all.Wait()
	})
}

// A listener keeps so many connections that nobody accepts; the others wait.
func TestUnacceptedLimit(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		lc := ListenConfig{Reactor: r, Options: Options{Unaccepted: 3}}
		l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		n := l.(*Listener)
		const dials = 12
		var clients []net.Conn
		for range dials {
			c, err := Dial(r, "tcp", n.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			clients = append(clients, c)
		}
		kept := 0
		testenv.Eventually(t, testenv.Patience(), "the limit is reached", func() bool {
			n.mu.Lock()
			defer n.mu.Unlock()
			kept = len(n.queue)
			return n.stopped && kept >= 3
		})
		for range clients[:dials-2] {
			s, err := n.Accept()
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		}
		if err := n.Close(); err != nil { // two are left, and are reset
			t.Error(err)
		}
		clients[dials-1].SetReadDeadline(time.Now().Add(testenv.Patience()))
		if _, err := clients[dials-1].Read(make([]byte, 1)); err == nil || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Read of a connection that was not accepted: %v", err)
		}
	})
}

// Reads and writes allocate nothing.
func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's pools forget at random")
	}
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, s := pair(t, r, Options{})
		go func() {
			p := make([]byte, 4096)
			for {
				n, err := s.Read(p)
				if err != nil {
					return
				}
				s.Write(p[:n])
			}
		}()
		p := make([]byte, 512)
		trip := func() {
			if _, err := c.Write(p); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(c, p); err != nil {
				t.Fatal(err)
			}
		}
		trip()
		if n := testing.AllocsPerRun(2000, trip); n >= 1 {
			t.Errorf("%v allocations for a round trip", n)
		}
	})
}

// A protocol that reads a line hands its connection over, and what came behind
// the line is not lost; TLS goes on from there.
func TestHijackBeforeTLS(t *testing.T) {
	ca := testenv.NewCA(t)
	own := &tls.Config{Certificates: []tls.Certificate{ca.Issue("127.0.0.1")}}
	trusting := &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1"}
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		served := make(chan error, 1)
		port, err := r.ListenTCP("127.0.0.1:0", mobius.FactoryFunc(func(mobius.Address) mobius.Protocol {
			return &starter{t: t, serve: func(c net.Conn) {
				s := tls.Server(c, own)
				_, err := io.Copy(s, s)
				served <- errors.Join(err, s.Close())
			}}
		}))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.On(port.Loop(), func() { port.StopListening() }) }()
		raw, err := net.Dial("tcp", port.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		c := tls.Client(&prefixed{Conn: raw, prefix: []byte("starttls\n")}, trusting)
		sent := strings.Repeat("möbius ", 20_000)
		go func() { io.WriteString(c, sent); c.CloseWrite() }()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != sent {
			t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// prefixed sends something before the first Write, with it.
type prefixed struct {
	net.Conn
	prefix []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	if p.prefix == nil {
		return p.Conn.Write(b)
	}
	all := append(p.prefix, b...)
	p.prefix = nil
	_, err := p.Conn.Write(all)
	return len(b), err
}

// A starter reads bytes until a line's end, one per DataReceived at most, and
// then hands the connection over.
type starter struct {
	t     testing.TB
	tr    mobius.Transport
	line  []byte
	rest  []byte
	serve func(net.Conn)
}

func (s *starter) ConnectionMade(t mobius.Transport) { s.tr = t }
func (s *starter) ConnectionLost(error)              {}
func (s *starter) DataReceived(p []byte) {
	line, rest, found := bytes.Cut(p, []byte("\n"))
	s.line = append(s.line, line...)
	if !found {
		return
	}
	if len(rest) > 0 {
		s.rest = bytes.Clone(rest)
	}
	if err := Hijack(s.tr, Options{}, func(c net.Conn, err error) {
		if err != nil {
			s.t.Error(err)
			return
		}
		go s.serve(&behind{Conn: c, Reader: io.MultiReader(bytes.NewReader(s.rest), c)})
	}); err != nil {
		s.t.Error(err)
	}
}

// behind is a connection of which something was read already.
type behind struct {
	net.Conn
	io.Reader
}

func (b *behind) Read(p []byte) (int, error) { return b.Reader.Read(p) }

// Detach gives descriptor and unread bytes on, to a transport of the reactor.
func TestDetachToTransport(t *testing.T) {
	everyBackend(t, func(t *testing.T, r *mobius.Reactor) {
		c, s := pair(t, r, Options{ReadBuffer: 4096})
		sent := pattern(100_000)
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := c.Write(sent); err != nil {
				t.Error(err)
			}
			c.CloseWrite()
		})
		first := make([]byte, 1000)
		if _, err := io.ReadFull(s, first); err != nil {
			t.Fatal(err)
		}
		f, unread, err := s.Detach()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := s.Read(first[:1]); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Detach: %v", err)
		}
		got := &collector{all: append(first, unread...), lost: make(chan struct{})}
		factory := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return got })
		if _, err := r.AdoptStreamConnection(f, factory, nil); err != nil {
			t.Fatal(err)
		}
		<-got.lost
		all.Wait()
		if !bytes.Equal(got.all, sent) {
			t.Errorf("%d of %d bytes came", len(got.all), len(sent))
		}
	})
}

type collector struct {
	all  []byte
	lost chan struct{}
}

func (c *collector) ConnectionMade(mobius.Transport) {}
func (c *collector) DataReceived(p []byte)           { c.all = append(c.all, p...) }
func (c *collector) ConnectionLost(error)            { close(c.lost) }

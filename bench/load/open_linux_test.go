//go:build linux

package load

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
)

// A staller has a server answer nothing for a while, once.
type staller struct {
	asked atomic.Int64
	mu    sync.Mutex
}

const stall = 100 * time.Millisecond

// wait is called before each answer; while one of them stalls, all do.
func (s *staller) wait() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked.Add(1) == 50 {
		<-time.After(stall)
	}
}

func (s *staller) echo(n int, p []byte) []byte {
	s.wait()
	return p
}

// stalls runs a server of each kind that stalls once, and returns its address.
func stalls(t *testing.T, network string, mode Mode) string {
	s := &staller{}
	switch {
	case network == "udp":
		return packets(t, s.echo)
	case network == "tls":
		cert := testenv.NewCA(t).Issue("127.0.0.1")
		return serve(t, "tcp", func(c net.Conn) {
			conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			defer conn.Close()
			echo(s.echo)(conn)
		})
	case mode == HTTP:
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			s.wait()
			w.Write(Body(64))
		})}
		t.Cleanup(func() { server.Close() })
		go server.Serve(l)
		return l.Addr().String()
	}
	return serve(t, network, echo(s.echo))
}

// A server that stalls for 100 ms shows in the p99 of an open loop of any kind: a fifth
// of all requests were due meanwhile.
func TestEachOpenLoopShowsAStall(t *testing.T) {
	testenv.Leaks(t)
	for _, test := range []struct {
		network string
		mode    Mode
		conns   int
	}{
		{"tcp", Echo, 1}, {"tcp", Echo, 3}, {"unix", Echo, 1}, {"tcp", Slow, 2}, {"tls", Echo, 1}, {"tls", Echo, 3},
		{"tcp", HTTP, 1}, {"tcp", HTTP, 3}, {"tcp", Connect, 1}, {"tcp", Connect, 3}, {"tls", Handshake, 2},
		{"udp", Echo, 1}, {"udp", Echo, 3},
	} {
		s := short(stalls(t, test.network, test.mode))
		s.Network, s.Mode, s.Conns, s.Rate, s.Duration = test.network, test.mode, test.conns, 400, 500*time.Millisecond
		if test.mode == Slow {
			s.Size = 1 // the one that floods is echoed in pieces, too
		}
		res, err := measure(t, s)
		switch {
		case err != nil:
			t.Errorf("%s over %s: %v", s.Mode, s.Network, err)
		case res.Bad != 0 || res.Lost != 0:
			t.Errorf("%s over %s: %d bad bytes, %d lost", s.Mode, s.Network, res.Bad, res.Lost)
		case res.Corrected.Quantile(0.99) < stall*7/10 || res.Corrected.Count() < 100:
			t.Errorf("%s over %s: p99 of %d is %v, with a stall of %v", s.Mode, s.Network, res.Corrected.Count(),
				res.Corrected.Quantile(0.99), stall)
		}
	}
}

// What was due while the load had no time is as late as it is.
func TestOpenLoopThatComesLate(t *testing.T) {
	testenv.Leaks(t)
	for _, network := range []string{"tcp", "udp"} {
		s := short(stalls(t, network, Echo))
		s.Network, s.Conns, s.Rate, s.Depth = network, 1, 100, 1
		e := newEngine(&s)
		if err := e.start(); err != nil {
			t.Fatal(err)
		}
		e.recording, e.began, e.progress = true, e.now()-int64(stall), e.now()
		if err := e.tick(e.now()); err != nil { // 11 are due, and sent or waiting
			t.Fatal(err)
		}
		e.stopping = network == "udp" // whose requests were all sent
		for end := time.Now().Add(testenv.Patience()); e.corrected.Count() < 11 && time.Now().Before(end); {
			if err := e.pump(e.now() + int64(time.Millisecond)); err != nil {
				t.Fatal(err)
			}
		}
		e.close()
		if first := e.corrected.Quantile(0.99); first < stall*9/10 || e.latency.Max() > stall/2 && network == "udp" {
			t.Errorf("%s: what was due %v ago is %v late, and was sent %v ago at most", network, stall, first, e.latency.Max())
		}
	}
}

// A datagram that does not come back is lost: that is no latency, and keeps none of those
// waiting that come after it.
func TestOpenLoopOfDatagramsThatAreLost(t *testing.T) {
	testenv.Leaks(t)
	s := short(packets(t, func(i int, p []byte) []byte {
		if i%10 == 9 {
			return nil
		}
		return p
	}))
	s.Network, s.Conns, s.Rate, s.Duration = "udp", 1, 500, time.Second
	res, err := measure(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if all := float64(res.Lost) + float64(res.Corrected.Count()); float64(res.Lost) < all*0.09 || float64(res.Lost) > all*0.2 {
		t.Errorf("%d lost, %d not, want one of ten", res.Lost, res.Corrected.Count())
	}
	if res.Corrected.Count() != res.Latency.Count() {
		t.Errorf("%d latencies from when they were due, %d from when they were sent", res.Corrected.Count(), res.Latency.Count())
	}
	if p50 := res.Corrected.Quantile(0.5); p50 > lostAfter/4 {
		t.Errorf("half of all are later than %v", p50)
	}
}

// Where little is due, nothing comes for long, and that is no failure. Where something is
// missing it is.
func TestOpenLoopWithLongPauses(t *testing.T) {
	testenv.Leaks(t)
	s := short(serve(t, "tcp", echo(honest)))
	s.Rate, s.Duration, s.Patience = 1, 500*time.Millisecond, 100*time.Millisecond
	if res, err := measure(t, s); err != nil || res.Bad != 0 {
		t.Errorf("%+v, %v", res, err)
	}
	s.Address = serve(t, "tcp", func(c net.Conn) { io.Copy(io.Discard, c) })
	if _, err := measure(t, s); err == nil || !strings.Contains(err.Error(), "no answer for 100ms") {
		t.Errorf("a server without answers: %v", err)
	}
}

// A server that never shakes hands ends a load over TLS.
func TestTLSWithoutAHandshake(t *testing.T) {
	testenv.Leaks(t)
	s := short(serve(t, "tcp", func(c net.Conn) { io.Copy(io.Discard, c) }))
	s.Network, s.Patience, s.Duration = "tls", 200*time.Millisecond, time.Minute
	if _, err := measure(t, s); err == nil || !strings.Contains(err.Error(), "connection 1 of 3") {
		t.Errorf("connections: %v", err)
	}
	s.Mode = Handshake
	if _, err := measure(t, s); err == nil || !strings.Contains(err.Error(), "no answer for 200ms") {
		t.Errorf("calls: %v", err)
	}
	s.Duration, s.Patience = 50*time.Millisecond, 0
	if res, err := measure(t, s); err != nil || res.Requests != 0 || res.Bad != uint64(s.Conns*s.Size) {
		t.Errorf("calls that are cut: %+v, %v", res, err)
	}
}

// Over TLS answers come in records, and in parts of them.
func TestTLSInPieces(t *testing.T) {
	testenv.Leaks(t)
	cert := testenv.NewCA(t).Issue("127.0.0.1")
	s := short(serve(t, "tcp", func(c net.Conn) {
		conn := tls.Server(trickle{c}, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer conn.Close()
		echo(honest)(conn)
	}))
	s.Network, s.Conns = "tls", 2
	for _, mode := range []Mode{Echo, Handshake} {
		for _, size := range []int{1, 3000, 40_000} {
			s.Mode, s.Size = mode, size
			if res, err := measureSome(t, s); err != nil || res.Bad != 0 || res.Requests == 0 {
				t.Errorf("%s of %d bytes: %+v, %v", mode, size, res, err)
			}
		}
	}
}

// What the socket did not take goes out once it does, though the server says nothing before
// it has all of it.
func TestTLSToWhoAnswersAtTheEnd(t *testing.T) {
	testenv.Leaks(t)
	const size = chunk
	cert := testenv.NewCA(t).Issue("127.0.0.1")
	behind := make(chan struct{})
	s := short(serve(t, "tcp", func(c net.Conn) {
		conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
		defer conn.Close()
		if conn.Handshake() != nil {
			return
		}
		<-behind
		for all := make([]byte, size); ; {
			if _, err := io.ReadFull(conn, all); err != nil {
				return
			}
			if _, err := conn.Write(all); err != nil {
				return
			}
		}
	}))
	s.Network, s.Conns, s.Size = "tls", 1, size
	e := newEngine(&s)
	defer e.close()
	if err := e.start(); err != nil {
		close(behind)
		t.Fatal(err)
	}
	c := e.clients[0].(*stream)
	_ = unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<10)
	err := c.next(e)
	late := c.secure.behind()
	close(behind)
	if err != nil || !late {
		t.Fatalf("%v, or %d bytes were taken at once", err, size)
	}
	for end := time.Now().Add(testenv.Patience()); c.finished == 0 && time.Now().Before(end); {
		if err := e.pump(e.now() + int64(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
	}
	if c.finished == 0 || e.res.Bad != 0 {
		t.Errorf("%d answers, %d bad bytes", c.finished, e.res.Bad)
	}
}

// A trickle writes in parts.
type trickle struct{ net.Conn }

func (c trickle) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		k := min(len(p), 700)
		if _, err = c.Conn.Write(p[:k]); err == nil {
			n, p = n+k, p[k:]
		}
	}
	return n, err
}

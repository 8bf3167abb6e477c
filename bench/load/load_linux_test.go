//go:build linux

package load

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// measureSome is measure for longer if nothing was answered in the time: the
// machine may have had other things to do.
func measureSome(t *testing.T, spec Spec) (*Result, error) {
	t.Helper()
	for {
		res, err := measure(t, spec)
		if err != nil || res.Requests > 0 || spec.Duration > 5*time.Second {
			return res, err
		}
		spec.Duration *= 4
	}
}

// measure makes a load, as a process of its own would.
func measure(t *testing.T, spec Spec) (*Result, error) {
	t.Helper()
	in, toLoad := io.Pipe()
	fromLoad, out := io.Pipe()
	var ended sync.WaitGroup
	ended.Go(func() {
		converse(in, out)
		out.Close()
		in.Close()
	})
	defer ended.Wait()
	defer toLoad.Close()
	ctx, cancel := context.WithTimeout(t.Context(), testenv.Patience())
	defer cancel()
	p, err := Attach(toLoad, fromLoad, spec)
	if err != nil {
		return nil, err
	}
	for _, step := range []func() error{
		func() error { return p.Ready(ctx) }, p.Go, func() error { return p.Begin(ctx) }, func() error { return p.End(ctx) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return p.Done(ctx)
}

// serve runs a server for streams until the test ends.
func serve(t *testing.T, network string, handle func(net.Conn)) string {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	return l.Addr().String()
}

// echo sends back what change makes of what came; n counts the bytes before it.
func echo(change func(n int, p []byte) []byte) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 64<<10)
		for n := 0; ; {
			k, err := c.Read(buf)
			if err != nil {
				return
			}
			if _, err := c.Write(change(n, buf[:k])); err != nil {
				return
			}
			n += k
		}
	}
}

func honest(_ int, p []byte) []byte { return p }

func short(address string) Spec {
	return Spec{Network: "tcp", Address: address, Mode: Echo, Conns: 3, Size: 64, Depth: 1, Duration: 50 * time.Millisecond}
}

func TestHonestServer(t *testing.T) {
	testenv.Leaks(t)
	tcp, unix := serve(t, "tcp", echo(honest)), serve(t, "unix", echo(honest))
	for _, change := range []func(*Spec){
		func(*Spec) {},
		func(s *Spec) { s.Depth = 16 },
		func(s *Spec) { s.Size, s.Conns = 1, 1 },
		func(s *Spec) { s.Size, s.Conns = 1<<20, 2 },
		func(s *Spec) { s.Conns = 200 },
		func(s *Spec) { s.Rate = 2000 },
		func(s *Spec) { s.Rate, s.Depth = 2000, 4 },
		func(s *Spec) { s.Mode = Slow },
		func(s *Spec) { s.Mode = Connect },
		func(s *Spec) { s.Mode = Idle },
		func(s *Spec) { s.Network, s.Address = "unix", unix },
	} {
		s := short(tcp)
		change(&s)
		take := measureSome
		if s.Mode == Idle {
			take = measure
		}
		res, err := take(t, s)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if res.Bad != 0 || res.Elapsed < s.Duration {
			t.Errorf("%+v: %d bad bytes in %v, want 0 in %v", s, res.Bad, res.Elapsed, s.Duration)
		}
		if s.Mode == Idle {
			continue
		}
		if res.Requests == 0 || res.Latency.Count() < int64(res.Requests) {
			t.Errorf("%+v: %d requests, %d latencies", s, res.Requests, res.Latency.Count())
		}
		// Bytes of an answer that is not whole yet count, and the answer does not.
		if most := (res.Requests + uint64((s.Conns+1)*s.Depth)) * uint64(s.Size); res.Bytes > most {
			t.Errorf("%+v: %d bytes for %d requests of %d", s, res.Bytes, res.Requests, s.Size)
		}
		if s.Rate > 0 {
			if res.Corrected.Count() < res.Latency.Count() {
				t.Errorf("%+v: %d latencies from when they were due, %d in all", s, res.Corrected.Count(), res.Latency.Count())
			}
			if most := uint64(s.Rate*res.Elapsed.Seconds()*1.5) + 50; res.Requests > most {
				t.Errorf("%+v: %d requests in %v", s, res.Requests, res.Elapsed)
			}
		}
	}
}

// What a server does wrong shows, whatever it is.
func TestServersThatLie(t *testing.T) {
	testenv.Leaks(t)
	after := func(limit int, once func(p []byte) []byte) func(int, []byte) []byte {
		return func(n int, p []byte) []byte {
			if n <= limit && limit < n+len(p) {
				return once(append([]byte(nil), p...))
			}
			return p
		}
	}
	for name, lie := range map[string]func(p []byte) []byte{
		"drops a byte":    func(p []byte) []byte { return p[1:] },
		"doubles a byte":  func(p []byte) []byte { return append([]byte{p[0]}, p...) },
		"swaps two bytes": func(p []byte) []byte { p[10], p[11] = p[11], p[10]; return p },
		"changes a bit":   func(p []byte) []byte { p[63] ^= 1; return p },
		"drops an answer": func(p []byte) []byte { return p[64:] },
	} {
		s := short(serve(t, "tcp", echo(after(640, lie))))
		s.Patience = 300 * time.Millisecond
		res, err := measure(t, s)
		stalls := strings.HasPrefix(name, "drops")
		switch {
		case err == nil && res.Bad == 0:
			t.Errorf("a server that %s is not seen", name)
		case err != nil && (!stalls || !strings.Contains(err.Error(), "no answer for 300ms")):
			t.Errorf("a server that %s: %v", name, err)
		}
	}
}

// More than was asked for is bad, though every byte is what would come next.
func TestMoreThanWasAskedForIsBad(t *testing.T) {
	testenv.Leaks(t)
	pattern := newPattern(64)
	s := short(serve(t, "tcp", echo(func(n int, p []byte) []byte {
		if n > 0 {
			return p
		}
		pos := bytes.Index(pattern.bytes, p)
		return pattern.at(uint64(pos), 2*uint64(len(p)))
	})))
	s.Conns = 1
	if res, err := measure(t, s); err != nil || res.Bad != 64 {
		t.Errorf("%d bad bytes, %v, want 64", res.Bad, err)
	}
}

// One connection without an answer among others that have theirs is bad bytes.
func TestAnswersThatNeverComeAreBad(t *testing.T) {
	testenv.Leaks(t)
	var mu sync.Mutex
	conns := 0
	s := short(serve(t, "tcp", func(c net.Conn) {
		mu.Lock()
		conns++
		mute := conns == 2
		mu.Unlock()
		if mute {
			io.Copy(io.Discard, c)
			return
		}
		echo(honest)(c)
	}))
	s.Patience = 200 * time.Millisecond
	res, err := measure(t, s)
	if err != nil || res.Bad != uint64(s.Size) {
		t.Fatalf("%+v, %v, want %d bad bytes", res, err, s.Size)
	}
}

// A server that stalls once shows in what was due, all of it, and hardly in
// what was sent. This is what the correction is for.
func TestOpenLoopCorrectsOmission(t *testing.T) {
	testenv.Leaks(t)
	const stall = 300 * time.Millisecond
	var once sync.Once
	s := short(serve(t, "tcp", echo(func(n int, p []byte) []byte {
		if n > 64*100 {
			once.Do(func() { <-time.After(stall) })
		}
		return p
	})))
	s.Conns, s.Rate, s.Duration = 1, 1000, time.Second
	res, err := measure(t, s)
	if err != nil {
		t.Fatal(err)
	}
	// 300 of 1,000 requests were due in the stall, and one was sent.
	if p95 := res.Corrected.Quantile(0.95); p95 < stall/3 {
		t.Errorf("corrected p95 is %v, with a stall of %v", p95, stall)
	}
	late := int64(0)
	for q := 0.0; q < 1; q += 0.001 {
		if res.Latency.Quantile(q) >= stall/2 {
			late++
		}
	}
	if res.Latency.Max() < stall/2 || late > 100 {
		t.Errorf("sent requests: max %v, %d per mille at least %v; want one", res.Latency.Max(), late, stall/2)
	}
}

// What was due and never answered is not forgotten.
func TestOpenLoopCountsWhatNeverCame(t *testing.T) {
	testenv.Leaks(t)
	s := short(serve(t, "tcp", echo(func(n int, p []byte) []byte {
		if n > 64*20 {
			return nil
		}
		return p
	})))
	s.Conns, s.Rate, s.Duration, s.Patience = 1, 1000, 400*time.Millisecond, 600*time.Millisecond
	res, err := measure(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if n := res.Corrected.Count(); n < 300 {
		t.Errorf("%d of some 400 requests that were due are counted", n)
	}
	if res.Bad != uint64(s.Size) {
		t.Errorf("%d bad bytes, want those of the one request in flight, %d", res.Bad, s.Size)
	}
}

func TestServersThatEnd(t *testing.T) {
	testenv.Leaks(t)
	s := short(serve(t, "tcp", func(c net.Conn) { io.ReadFull(c, make([]byte, 64)) }))
	s.Patience = time.Second
	if _, err := measure(t, s); err == nil || !strings.Contains(err.Error(), "connection") {
		t.Errorf("a server that closes: %v", err)
	}
	s.Address = "127.0.0.1:1"
	if _, err := measure(t, s); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestSpecCheck(t *testing.T) {
	for _, change := range []func(*Spec){
		func(s *Spec) { s.Conns = 0 }, func(s *Spec) { s.Conns = MaxConns + 1 },
		func(s *Spec) { s.Size = 0 }, func(s *Spec) { s.Size = MaxSize + 1 },
		func(s *Spec) { s.Depth = 0 }, func(s *Spec) { s.Depth = MaxDepth + 1 },
		func(s *Spec) { s.Duration = 0 }, func(s *Spec) { s.Duration = MaxDuration + 1 },
		func(s *Spec) { s.Rate = -1 }, func(s *Spec) { s.Mode = "?" }, func(s *Spec) { s.Network = "?" },
		func(s *Spec) { s.Mode, s.Rate = Idle, 1 }, func(s *Spec) { s.Mode, s.Depth = Connect, 2 },
		func(s *Spec) { s.Network, s.Mode, s.Rate = "udp", Stream, 1 },
		func(s *Spec) { s.Network, s.Size, s.Rate = "udp", 3, 1 }, func(s *Spec) { s.Network, s.Depth, s.Rate = "udp", 2, 1 },
		func(s *Spec) { s.Network, s.Size = "udp", maxDatagram+1 },
		func(s *Spec) { s.Network, s.Size, s.Depth = "udp", 3, 2 },
		func(s *Spec) { s.Network, s.Mode, s.Size, s.Depth = "udp", Stream, 1200, 60 },
		func(s *Spec) { s.Mode, s.Size = Connect, chunk },
	} {
		s := short("127.0.0.1:1")
		if err := s.Check(); err != nil {
			t.Fatal(err)
		}
		change(&s)
		if s.Check() == nil {
			t.Errorf("%+v passes", s)
		}
	}
}

func TestPatternShowsEveryChange(t *testing.T) {
	for _, size := range []int{64, 1 << 20} {
		p := newPattern(size)
		for i := range p.period {
			if p.bytes[i] == p.bytes[i+1] {
				t.Fatalf("size %d: bytes %d and %d are alike", size, i, i+1)
			}
		}
		pos := uint64(p.period) - 10 // around the end
		got := append([]byte(nil), p.at(pos, 100)...)
		if n := p.wrong(got, pos); n != 0 {
			t.Errorf("size %d: %d of its own bytes are wrong", size, n)
		}
		got[0] ^= 1
		got[99] ^= 1
		if n := p.wrong(got, pos); n != 2 {
			t.Errorf("size %d: %d bytes are wrong, want 2", size, n)
		}
		if n := p.wrong(p.at(pos+1, 100), pos); n < 90 {
			t.Errorf("size %d: shifted by one, only %d of 100 are wrong", size, n)
		}
	}
}

func ExampleBody() {
	fmt.Println(len(Body(3_000_000)))
	// Output: 3000000
}

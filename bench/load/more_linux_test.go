//go:build linux

package load

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// packets echoes datagrams; change may drop one by returning nil.
func packets(t *testing.T, change func(i int, p []byte) []byte) string {
	t.Helper()
	c, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { c.Close(); all.Wait() })
	all.Go(func() {
		buf := make([]byte, 64<<10)
		for i := 0; ; i++ {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if p := change(i, buf[:n]); p != nil {
				c.WriteTo(p, from)
			}
		}
	})
	return c.LocalAddr().String()
}

func TestDatagrams(t *testing.T) {
	testenv.Leaks(t)
	for _, test := range []struct {
		name                 string
		mode                 Mode
		size, depth          int
		change               func(i int, p []byte) []byte
		mayBeLost, mustBeBad bool
	}{
		{"honest", Echo, 64, 1, honest, false, false},
		{"honest, many in flight", Echo, 200, 8, honest, false, false},
		{"honest, one byte", Echo, 1, 1, honest, false, false},
		{"honest, segments", Stream, 1200, 16, honest, false, false},
		{"drops", Echo, 64, 4, func(i int, p []byte) []byte {
			if i%10 == 9 {
				return nil
			}
			return p
		}, true, false},
		{"swaps bytes", Echo, 64, 1, func(_ int, p []byte) []byte { p[20], p[21] = p[21], p[20]; return p }, false, true},
		{"cuts", Echo, 64, 1, func(_ int, p []byte) []byte { return p[:len(p)-1] }, false, true},
		{"answers twice as much", Echo, 64, 1, func(_ int, p []byte) []byte { return append(p, p...) }, false, true},
	} {
		s := short(packets(t, test.change))
		s.Network, s.Mode, s.Size, s.Depth, s.Duration = "udp", test.mode, test.size, test.depth, 60*time.Millisecond
		if test.mayBeLost {
			s.Duration = 600 * time.Millisecond
		}
		res, err := measureSome(t, s)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		if res.Requests == 0 || (res.Lost > 0) != test.mayBeLost && test.mayBeLost || (res.Bad > 0) != test.mustBeBad {
			t.Errorf("%s: %d requests, %d lost, %d bad bytes", test.name, res.Requests, res.Lost, res.Bad)
		}
	}
}

func TestHTTP(t *testing.T) {
	testenv.Leaks(t)
	for _, test := range []struct {
		name, failure string
		bad           bool
		answer        func(w http.ResponseWriter, body []byte)
	}{
		{"honest", "", false, func(w http.ResponseWriter, body []byte) { w.Write(body) }},
		{"changed", "", true, func(w http.ResponseWriter, body []byte) { body[5] ^= 1; w.Write(body) }},
		{"short", "a body of 299 bytes, want 300", false, func(w http.ResponseWriter, body []byte) { w.Write(body[:299]) }},
		{"refused", "403", false, func(w http.ResponseWriter, _ []byte) { w.WriteHeader(http.StatusForbidden) }},
		{"without a length", "Content-Length", false, func(w http.ResponseWriter, body []byte) {
			w.(http.Flusher).Flush()
			w.Write(body)
		}},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { test.answer(w, Body(300)) })}
		go server.Serve(l)
		for _, depth := range []int{1, 4} {
			s := short(l.Addr().String())
			s.Mode, s.Size, s.Depth = HTTP, 300, depth
			res, err := measureSome(t, s)
			switch {
			case test.failure != "":
				if err == nil || !strings.Contains(err.Error(), test.failure) {
					t.Errorf("%s: %v, want %s", test.name, err, test.failure)
				}
			case err != nil:
				t.Errorf("%s: %v", test.name, err)
			case res.Requests == 0 || (res.Bad > 0) != test.bad:
				t.Errorf("%s: %d requests, %d bad bytes", test.name, res.Requests, res.Bad)
			}
		}
		server.Close()
	}
}

func TestTLS(t *testing.T) {
	testenv.Leaks(t)
	cert := testenv.NewCA(t).Issue("127.0.0.1")
	secured := func(change func(int, []byte) []byte) func(net.Conn) {
		return func(c net.Conn) {
			conn := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			defer conn.Close()
			echo(change)(conn)
		}
	}
	good := serve(t, "tcp", secured(honest))
	liar := serve(t, "tcp", secured(func(_ int, p []byte) []byte { p[0] ^= 1; return p }))
	ends := serve(t, "tcp", func(net.Conn) {})
	for _, mode := range []Mode{Echo, Handshake} {
		s := short(good)
		s.Network, s.Mode, s.Duration = "tls", mode, 100*time.Millisecond
		res, err := measureSome(t, s)
		if err != nil || res.Requests == 0 || res.Bad != 0 || res.Latency.Count() < int64(res.Requests) {
			t.Errorf("%s: %+v, %v", mode, res, err)
		}
		s.Address = liar
		if res, err = measure(t, s); err != nil || res.Bad == 0 {
			t.Errorf("%s, a server that lies: %+v, %v", mode, res, err)
		}
		s.Address = ends
		if _, err = measure(t, s); err == nil {
			t.Errorf("%s, a server that closes: no error", mode)
		}
	}
	s := short(good)
	s.Network, s.Size, s.Depth = "tls", 1<<20, 1
	if res, err := measure(t, s); err != nil || res.Bad != 0 {
		t.Errorf("bulk: %+v, %v", res, err)
	}
}

func TestAttachRefusesABadSpec(t *testing.T) {
	if _, err := Attach(nil, nil, Spec{}); err == nil {
		t.Error("no error")
	}
	var out strings.Builder
	for _, line := range []string{"{}\n", "x\n", ""} {
		out.Reset()
		if converse(strings.NewReader(line), &out) == 0 || !strings.Contains(out.String(), eventError) {
			t.Errorf("%q: %s", line, out.String())
		}
	}
}

func ExampleSpec_Check() {
	s := Spec{Network: "tcp", Mode: Echo, Conns: 50, Size: 64, Depth: 1, Duration: time.Second}
	fmt.Println(s.Check())
	s.Conns = 0
	fmt.Println(s.Check())
	// Output:
	// <nil>
	// load: 0 connections, want 1 to 60000
}

package traffic

import (
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
)

const (
	stalledPeers = 1000
	goodPeers    = 100
)

// 1,000 peers send and never read, until nothing more is taken from them; 100
// good ones beside them are served as before. What one of a good peer's
// echoes may take is generous, since CI machines are what they are; the two
// figures are logged.
func TestPeersThatStopReading(t *testing.T) {
	for _, backend := range backends() {
		t.Run("echo/"+backend, func(t *testing.T) { besideStalled(t, startEcho(t, backend)) })
	}
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		besideStalled(t, start(t, serve(t, echo)))
	})
}

func besideStalled(t *testing.T, front *proxied) {
	t.Helper()
	alone := goodEchoes(t, front.addr)
	before := resident(t, front)
	stall(t, front.addr)
	beside := goodEchoes(t, front.addr)
	t.Logf("p99 of good peers: alone %v, beside %d that stopped reading %v; resident %d KiB, then %d KiB",
		alone, stalledPeers, beside, before, resident(t, front))
	if limit := max(20*alone, 500*time.Millisecond); beside > limit {
		t.Errorf("p99 of good peers is %v beside %d that stopped reading, want at most %v", beside, stalledPeers, limit)
	}
}

func resident(t *testing.T, p *proxied) int {
	t.Helper()
	if p.process == nil {
		return 0
	}
	return p.process.status(t, "VmRSS")
}

// stall opens the peers that send and do not read; each has sent until the
// kernel took no more for a while, so that whatever queues on the way is full.
func stall(t *testing.T, addr string) {
	t.Helper()
	var all sync.WaitGroup
	piece := make([]byte, 64<<10)
	for range stalledPeers {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Errorf("dial: %v", err)
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			if err := c.(*net.TCPConn).SetReadBuffer(8 << 10); err != nil {
				t.Errorf("read buffer: %v", err)
			}
			for range 64 { // 4 MiB at most: more than sockets and queues take
				if err := c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
					t.Errorf("deadline: %v", err)
				}
				if _, err := c.Write(piece); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
}

// goodEchoes returns the 99th percentile of the echo times of good peers.
func goodEchoes(t *testing.T, addr string) time.Duration {
	t.Helper()
	rounds := 50
	if testenv.Long() {
		rounds = 1000
	}
	times := make([]time.Duration, goodPeers*rounds)
	var all sync.WaitGroup
	for n := range goodPeers {
		all.Go(func() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Errorf("a good peer: %v", err)
				return
			}
			defer c.Close()
			if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
				t.Errorf("a good peer: %v", err)
			}
			out, in := make([]byte, 64), make([]byte, 64)
			for r := range rounds {
				begin := time.Now()
				if _, err := c.Write(out); err != nil {
					t.Errorf("a good peer: %v", err)
					return
				}
				if _, err := io.ReadFull(c, in); err != nil {
					t.Errorf("a good peer: %v", err)
					return
				}
				times[n*rounds+r] = time.Since(begin)
			}
		})
	}
	all.Wait()
	slices.Sort(times)
	return times[len(times)*99/100]
}

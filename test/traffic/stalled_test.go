package traffic

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

const (
	stalledPeers = 1000
	goodPeers    = 100
)

// 1,000 peers send and never read, and 100 good ones beside them are served as
// before. What one of a good peer's echoes may take is generous, since CI
// machines are what they are; the figures are logged. With small socket buffers
// the output of the peers that do not read queues in the process, so that each
// of them has buffers held, or copied.
func TestPeersThatStopReading(t *testing.T) {
	for _, backend := range backends() {
		t.Run("echo/"+backend, func(t *testing.T) { besideStalled(t, startEcho(t, backend)) })
		t.Run("small buffers/echo/"+backend, func(t *testing.T) {
			besideStalled(t, startRole(t, "echo-small", backend, "-").proxied)
		})
		t.Run("small buffers/proxy/"+backend, func(t *testing.T) {
			besideStalled(t, startRole(t, "proxy-small", backend, serve(t, echo)).proxied)
		})
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
	if limit := max(20*alone, 2*time.Second); beside > limit {
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

// stall opens the peers that do not read. Each sends until the kernel has taken
// nothing more for a while, so that whatever queues on the way is full, or
// 256 KiB, since more from each would use up the memory that the kernel has
// for TCP (tcp_mem), and measure that; for the same reason their own buffers
// are small.
func stall(t *testing.T, addr string) {
	t.Helper()
	var all sync.WaitGroup
	var sent atomic.Int64
	for range stalledPeers {
		c := dialSmall(t, addr)
		all.Go(func() { sent.Add(pour(t, c, 256<<10)) })
	}
	all.Wait()
	t.Logf("each peer that stopped reading has sent %d KiB", sent.Load()/stalledPeers>>10)
}

// kernelQueues returns how much the kernel may queue on the way of a proxied
// echo at the most: what three sockets receive and three send, whose buffers it
// lets grow up to the last figures of tcp_rmem and tcp_wmem (tcp(7)).
func kernelQueues(t *testing.T) int {
	t.Helper()
	sum := 0
	for _, name := range []string{"tcp_rmem", "tcp_wmem"} {
		b, err := os.ReadFile("/proc/sys/net/ipv4/" + name)
		if err != nil {
			testenv.Missing(t, "%v", err)
		}
		var least, first, most int
		if _, err := fmt.Sscan(string(b), &least, &first, &most); err != nil {
			t.Fatal(err)
		}
		sum += 3 * most
	}
	return sum
}

// What one peer that does not read may send is bounded, by the queues on the way.
func TestAPeerThatStopsReadingIsSlowedDown(t *testing.T) {
	most := kernelQueues(t) + 32<<20
	bounded := func(t *testing.T, front *proxied) {
		t.Helper()
		n := pour(t, dialSmall(t, front.addr), most)
		t.Logf("a peer that does not read could send %d KiB", n>>10)
		if n >= int64(most) {
			t.Errorf("a peer that does not read could send %d MiB: nothing slows it down", most>>20)
		}
	}
	for _, backend := range backends() {
		t.Run("echo/"+backend, func(t *testing.T) { bounded(t, startEcho(t, backend)) })
	}
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		bounded(t, start(t, serve(t, echo)))
	})
}

// pour sends so many bytes, or until none is taken for a while, and returns
// how many were.
func pour(t *testing.T, c net.Conn, most int) int64 {
	piece := make([]byte, 16<<10)
	sent := 0
	for sent < most {
		if err := c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Errorf("deadline: %v", err)
		}
		n, err := c.Write(piece)
		sent += n
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a peer that does not read: %v", err)
			}
			break
		}
	}
	return int64(sent)
}

// dialSmall connects with the smallest receive buffer and a small send buffer.
func dialSmall(t *testing.T, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		return errors.Join(c.Control(func(fd uintptr) {
			err = errors.Join(
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4<<10),
				syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16<<10))
		}), err)
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
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

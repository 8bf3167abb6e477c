package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/transport"
)

const (
	stuckPeers = 100
	stuckBytes = 64
)

// A stuckReport is what the role of this name tells of itself.
type stuckReport struct {
	Stats  proactor.Stats
	Stuck  int // connections that have output which the kernel does not take
	Queued int // bytes of that
	Sent   int // pieces written to these connections so far
}

// A stuckServer echoes; but of what comes from a peer whose first byte is an S
// it echoes 64 bytes only, and nothing as long as there is output for it. Once
// that peer's window and the socket's buffer are full, 64 bytes that it sent,
// or what is left of them, stay here.
type stuckServer struct {
	stuck []*stuckConn
	sent  int
}

type stuckConn struct {
	s     *stuckServer
	t     mobius.Transport
	queue transport.Queuer
	stuck bool
}

func (c *stuckConn) ConnectionLost(error) {}

func (c *stuckConn) ConnectionMade(t mobius.Transport) {
	c.t = t
	c.queue, _ = transport.As[transport.Queuer](t) // every stream has it
}

func (c *stuckConn) DataReceived(p []byte) {
	if p[0] == 'S' {
		if !c.stuck {
			c.stuck = true
			c.s.stuck = append(c.s.stuck, c)
		}
		if c.queue.Queued() > 0 {
			return
		}
		c.s.sent++
		p = p[:min(len(p), stuckBytes)]
	}
	if _, err := c.t.Write(p); err != nil {
		c.t.CloseWithError(err)
	}
}

func (s *stuckServer) report(b proactor.Backend) stuckReport {
	r := stuckReport{Stats: b.Stats(), Sent: s.sent}
	for _, c := range s.stuck {
		if n := c.queue.Queued(); n > 0 {
			r.Stuck++
			r.Queued += n
		}
	}
	return r
}

// stuckRole serves, and answers each byte on descriptor 3 with a report, as a
// line of JSON, on descriptor 4.
func stuckRole(backend string) error {
	r, err := mobius.New(mobius.Options{Backend: backend})
	if err != nil {
		return err
	}
	s := &stuckServer{}
	build := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return &stuckConn{s: s} })
	port, err := r.Listen(loopback(), build, mobius.ListenOptions{Socket: &proactor.SocketOptions{SendBuffer: 4 << 10}})
	if err != nil {
		return err
	}
	fmt.Printf("on %s (%s)\nlistening on tcp://%v\n", r.Backend().Name, r.Backend().Why, port.Addr())
	go func() {
		ask, tell := os.NewFile(3, "ask"), json.NewEncoder(os.NewFile(4, "tell"))
		for {
			if _, err := ask.Read(make([]byte, 1)); err != nil {
				return // the test has ended
			}
			reports := make(chan stuckReport, 1)
			l := r.Loops()[0]
			if l.Call(func() { reports <- s.report(l.Backend()) }) != nil || tell.Encode(<-reports) != nil {
				return
			}
		}
	}()
	return r.Run(context.Background())
}

// report asks the role stuck.
func (c *counted) report(t *testing.T) (r stuckReport) {
	t.Helper()
	if _, err := c.ask.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
	if err := json.NewDecoder(c.tell).Decode(&r); err != nil {
		t.Fatal(err)
	}
	return r
}

// 100 peers that never read, for each of which 64 bytes wait, are no burden
// for 100 others: these get all of their bytes, no receive lacks a buffer that
// does not lack one without the 100, and no buffer stays pinned. Rounds at a
// server without the 100 and at one with them take turns; the log has the
// 99th percentiles, for which MOBIUS_LONG=1 makes rounds that are long and many.
func TestPeersThatNeverRead(t *testing.T) {
	rounds := 3
	if testenv.Long() {
		rounds = 15
	}
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			alone, beside := startRole(t, "stuck", backend, "-"), startRole(t, "stuck", backend, "-")
			was := stick(t, beside)
			p99s, ratios := stuckRounds(t, alone, beside, rounds)
			t.Logf("p99 of %d good peers: alone %v, beside %d with %d bytes each %v; ratio %.3f (%.3f to %.3f); medians of %d rounds",
				goodPeers, p99s[0], stuckPeers, stuckBytes, p99s[1], ratios[len(ratios)/2], ratios[0], ratios[len(ratios)-1], rounds)
			a, b := alone.report(t), beside.report(t)
			if b.Stuck != stuckPeers || b.Queued > stuckPeers*stuckBytes || b.Queued < stuckPeers {
				t.Errorf("%d peers are stuck, with %d bytes in all, %d sent since", b.Stuck, b.Queued, b.Sent-was.Sent)
			}
			if extra, most := b.Stats.Starved-was.Stats.Starved, a.Stats.Starved+uint64(rounds); extra > most {
				t.Errorf("%d receives found no buffer, %d without the peers that do not read", extra, a.Stats.Starved)
			}
			if b.Stats.Holds > 0 || b.Stats.Lent > a.Stats.Lent {
				t.Errorf("%d holds and %d buffers are kept; without the peers that do not read %d and %d",
					b.Stats.Holds, b.Stats.Lent, a.Stats.Holds, a.Stats.Lent)
			}
		})
	}
}

// stick opens the peers that never read. They send until for each of them
// output waits of which the kernel has taken no more for a second, longer than
// window probes and delayed acknowledgements take.
func stick(t *testing.T, server *counted) (r stuckReport) {
	t.Helper()
	var peers []net.Conn
	for range stuckPeers {
		peers = append(peers, dialSmall(t, server.addr))
	}
	since, message := time.Now(), bytes.Repeat([]byte("S"), stuckBytes)
	testenv.Eventually(t, time.Minute, "every peer is stuck", func() bool {
		for _, c := range peers {
			if _, err := c.Write(message); err != nil {
				t.Fatalf("a peer that never reads: %v", err)
			}
		}
		before := r.Sent
		if r = server.report(t); r.Stuck < stuckPeers || r.Sent != before {
			since = time.Now()
		}
		return time.Since(since) > time.Second
	})
	return r
}

// stuckRounds has both servers serve good peers in turns. It returns the
// medians of the 99th percentiles, and each round's ratio, sorted.
func stuckRounds(t *testing.T, alone, beside *counted, rounds int) (medians [2]time.Duration, ratios []float64) {
	t.Helper()
	var all [2][]time.Duration
	for round := range rounds {
		var now [2]time.Duration
		for i := range 2 {
			which := (i + round) % 2 // who is first changes
			now[which] = goodEchoes(t, [2]string{alone.addr, beside.addr}[which])
			all[which] = append(all[which], now[which])
		}
		ratios = append(ratios, float64(now[1])/float64(now[0]))
	}
	for i := range all {
		slices.Sort(all[i])
		medians[i] = all[i][rounds/2]
	}
	slices.Sort(ratios)
	return medians, ratios
}

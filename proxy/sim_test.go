package proxy

import (
	"bytes"
	"flag"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/sim"
)

var (
	seedFlag  = flag.Uint64("proxyseed", 0, "run only this seed of TestSeeds")
	seedsFlag = flag.Uint64("proxyseeds", 400, "how many seeds TestSeeds runs")
)

// TestSeeds runs whole proxies with clients and upstreams that do all the
// things that ends of connections do, over networks with all the faults that
// there are, and holds the proxy to its promises:
//
//   - what arrives is the beginning of what was sent;
//   - an end of stream arrives only where one was sent, and after the last byte;
//   - every session ends, is reported once, and leaves nothing behind.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		runSeed(t, *seedFlag)
		return
	}
	seeds := *seedsFlag
	if invariant.Enabled {
		seeds /= 5 // everything is slower then
	}
	for seed := uint64(1); seed <= seeds && !t.Failed(); seed++ {
		runSeed(t, seed)
		if t.Failed() {
			t.Logf("replay: go test ./proxy -run TestSeeds -proxyseed=%d", seed)
		}
	}
}

// TestSameSeedSameTrace keeps the proxy replayable.
func TestSameSeedSameTrace(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		if a, b := runSeed(t, seed), runSeed(t, seed); a != b {
			t.Errorf("seed %d has two traces: %x and %x", seed, a, b)
		}
	}
}

func runSeed(t *testing.T, seed uint64) uint64 {
	rng := rand.New(rand.NewPCG(seed, 7))
	so := sim.Options{Seed: seed, Harmless: rng.IntN(3) == 0, Buffers: 4 + rng.IntN(60), BufferSize: 64 << rng.IntN(11)}
	if rng.IntN(4) == 0 {
		so.StreamBuffer = 512 << rng.IntN(6)
	}
	o := Options{IdleTimeout: time.Minute}
	if so.Harmless { // but slow: nothing is to be cut that goes on
		o.IdleTimeout, o.HalfClosedTimeout = time.Hour, 20*time.Minute
	}
	if rng.IntN(2) == 0 {
		o.Sample = time.Duration(1+rng.IntN(2000)) * time.Millisecond
	}
	w := newWorld(t, so, 1+rng.IntN(3), 1+rng.IntN(3), o)
	for range 1 + rng.IntN(12) {
		w.client(drawPlan(rng))
		for range rng.IntN(20) {
			for _, l := range w.all() {
				l.Iterate(time.Duration(rng.IntN(int(time.Millisecond))))
			}
		}
	}
	if rng.IntN(8) == 0 {
		w.p.Drain()
		w.pass(time.Duration(rng.IntN(int(10 * time.Second))))
		w.p.Cut()
	}
	w.until("all ended", 3*time.Hour, func() bool {
		for _, c := range w.clients {
			if !c.closed {
				return false
			}
		}
		return w.p.Live() == 0
	})
	w.until("upstreams ended", time.Hour, func() bool {
		left := 0
		for _, u := range w.accepted {
			if u.end == io.EOF && (u.plan.mode == mute || u.number < 0) {
				u.close(false) // it has nothing to say, and an end is all it will hear
			}
			if !u.closed {
				left++
			}
		}
		return left == 0
	})
	w.check(so.Harmless && !w.p.draining.Load())
	w.close()
	if t.Failed() {
		w.dump()
	}
	return w.net.TraceHash()
}

func drawPlan(rng *rand.Rand) plan {
	pl := plan{
		mode: mode(rng.IntN(int(modes))), request: 4 + rng.IntN(1<<(2+rng.IntN(16))), reply: 1 + rng.IntN(1<<rng.IntN(18)),
		delay: time.Duration(rng.IntN(int(5 * time.Second))),
	}
	pl.hold = pl.mode != late && rng.IntN(2) == 0
	pl.cutAt = rng.IntN(pl.reply + 1)
	return pl
}

// check holds a run to the promises; faultless says that nothing but the plans may have ended a session.
func (w *world) check(faultless bool) {
	servers := map[int]*peer{}
	for _, u := range w.accepted {
		if u.number >= 0 {
			servers[u.number] = u
		} else if u.ended() {
			w.t.Errorf("seed %d: an upstream got an end after %d bytes, which no client sent", w.net.Seed(), len(u.got))
		}
	}
	for i, c := range w.clients {
		u := servers[i]
		if u == nil {
			if c.ended() || faultless && c.end == nil && c.plan.mode != clientReset {
				w.t.Errorf("seed %d: client %d %+v met no upstream, and ended with %v", w.net.Seed(), i, c.plan, c.end)
			}
			continue
		}
		w.checkWay(i, "request", c, u)
		w.checkWay(i, "reply", u, c)
		clean := c.plan.mode == eager || c.plan.mode == late
		if faultless && clean && !(c.ended() && u.ended()) {
			w.t.Errorf("seed %d: client %d %+v: ends %v, %v without a fault", w.net.Seed(), i, c.plan, c.end, u.end)
		}
	}
	if accepted := w.p.sums().Accepted; uint64(len(w.reports)) != accepted {
		w.t.Errorf("seed %d: %d reports of %d sessions", w.net.Seed(), len(w.reports), accepted)
	}
}

func (w *world) checkWay(i int, what string, from, to *peer) {
	if !bytes.HasPrefix(from.out, to.got) {
		w.t.Errorf("seed %d: client %d %+v: the %s that arrived (%d bytes) is not the beginning of what was sent (%d)",
			w.net.Seed(), i, from.plan, what, len(to.got), len(from.out))
	}
	if to.ended() && (len(to.got) < len(from.out) || !from.shut) {
		w.t.Errorf("seed %d: client %d %+v: an end of the %s arrived after %d bytes of %d; sent: %v",
			w.net.Seed(), i, from.plan, what, len(to.got), len(from.out), from.shut)
	}
}

// dump logs everything that is known of a run that went wrong.
func (w *world) dump() {
	w.t.Logf("faults %+v", *w.net.Faults())
	for _, r := range w.reports {
		w.t.Logf("session %+v", r)
	}
	for _, p := range append(w.clients, w.accepted...) {
		w.t.Logf("client=%v %d %+v: sent %d (ended: %v, %v), got %d, then %v",
			p.client, p.number, p.plan, p.sent, p.shut, p.sendErr, len(p.got), p.end)
	}
}

package main

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"sync"
	"time"

	"mobius"
	"mobius/proxy"
)

// A packetFlags is what the proxy command was told about udp://.
type packetFlags struct {
	timeout    time.Duration
	clients    int
	froms, tos []endpoint
}

func (f *packetFlags) register(set *flag.FlagSet) {
	set.DurationVar(&f.timeout, "udp-timeout", proxy.DefaultFlowTimeout,
		"forget a client of udp:// when nothing went either way for this long")
	set.IntVar(&f.clients, "udp-clients", proxy.DefaultMaxFlows,
		"serve at most `N` clients of udp:// at a time, each of which takes a\n"+
			"descriptor, and no more than three quarters of those that there may be\n"+
			"(ulimit -n); datagrams of others are dropped and counted")
}

// check refuses what cannot be meant: datagrams that would go nowhere, or come
// from nowhere.
func (f *packetFlags) check() error {
	switch {
	case f.timeout <= 0:
		return usagef("--udp-timeout is %v, want more than 0", f.timeout)
	case f.clients < 1:
		return usagef("--udp-clients is %d, want 1 or more", f.clients)
	case len(f.froms) > 0 && len(f.tos) == 0:
		return usagef("--listen %q has nowhere to go: give --to udp://HOST:PORT", f.froms[0].text)
	case len(f.tos) > 0 && len(f.froms) == 0:
		return usagef("--to %q has nobody to come from: give --listen udp://HOST:PORT", f.tos[0].text)
	}
	return nil
}

// start makes the proxy of datagrams on r's loops, listening; nil if none is
// asked for.
func (f *packetFlags) start(r *mobius.Reactor, reusePort bool, log, access io.Writer) (*proxy.Datagrams, error) {
	if len(f.froms) == 0 {
		return nil, nil
	}
	var upstreams []*proxy.Upstream
	for _, to := range f.tos {
		upstreams = append(upstreams, proxy.NewUpstream(to.addr))
	}
	router, err := proxy.RoundRobinOf(upstreams...)
	if err != nil {
		return nil, usagef("%w", err)
	}
	o := proxy.DatagramOptions{Route: router, IdleTimeout: f.timeout, MaxFlows: f.clients, ReusePort: reusePort, History: true}
	if access != nil {
		o.Report = packetLog(access)
	}
	d, err := proxy.NewDatagrams(r.Loops(), o)
	if err != nil {
		return nil, err
	}
	for _, from := range f.froms {
		if err := d.Listen(from.addr); err != nil {
			return nil, usagef("--listen %q: %w", from.text, err)
		}
	}
	return d, nil
}

// Of clients that are forgotten packetLog writes logBurst lines a second at the
// most, and says of how many it has written none: who sends datagrams from
// many addresses, or to an upstream that is gone, must not fill a disk.
const logBurst = 200

// A logBrake counts the lines of a second.
type logBrake struct {
	mu      sync.Mutex
	second  time.Time
	written int
	left    uint64 // out, since the latest line
}

// admits reports whether a line may be written now, and how many were left out
// before it.
func (b *logBrake) admits(now time.Time) (left uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now.Sub(b.second) >= time.Second {
		b.second, b.written = now, 0
	}
	if b.written >= logBurst {
		b.left++
		return 0, false
	}
	b.written++
	left, b.left = b.left, 0
	return left, true
}

// packetLog returns a reporter that writes a line per client.
func packetLog(w io.Writer) proxy.FlowReporter {
	log := slog.New(slog.NewTextHandler(w, nil))
	var brake logBrake
	return proxy.FlowReporterFunc(func(r *proxy.FlowReport) {
		left, ok := brake.admits(time.Now())
		if !ok {
			return
		}
		if left > 0 {
			log.Warn("lines left out", "clients", left)
		}
		s := r.Text(0)
		log.Info("forgotten", "reason", s.Reason, "side", s.Side, "client", s.Client, "listener", s.Listener,
			"upstream", s.Upstream, "sent", s.Sent.Bytes, "received", s.Received.Bytes,
			"datagrams_sent", s.Sent.Datagrams, "datagrams_received", s.Received.Datagrams,
			"dropped", s.Dropped, "duration", s.Duration, "err", s.Error)
	})
}

// shutdowns ends several servers at the same time, within ctx, and returns the
// first one's error.
func shutdowns(ctx context.Context, all ...func(context.Context) error) error {
	ended := make(chan error, len(all))
	for _, f := range all {
		go func() { ended <- f(ctx) }()
	}
	var first error
	for range all {
		if err := <-ended; first == nil {
			first = err
		}
	}
	return first
}

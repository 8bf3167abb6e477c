package proxy

import (
	"sync"
	"time"

	"mobius/proactor"
	"mobius/transport/tls"
)

// What Status keeps: samples for rates and curves, and reports of sessions.
const (
	keptSamples = 120
	keptReports = 20
	rateSpan    = 5 // samples over which a rate is taken
)

// A Status is what a proxy does, as of its latest sample (see Options.Sample)
// for bytes of live sessions, and as of now for everything else.
type Status struct {
	Draining  bool              `json:"draining"`
	Live      int64             `json:"live"`     // sessions, those at their filter or dialer included
	Accepted  uint64            `json:"accepted"` // sessions since the start
	Ends      map[string]uint64 `json:"ends"`     // sessions ended, by Reason
	Sent      int64             `json:"sent"`     // bytes from clients to upstreams
	Received  int64             `json:"received"` // bytes from upstreams to clients
	Rates     Rates             `json:"rates"`
	Listeners []string          `json:"listeners"`
	Upstreams []UpstreamStatus  `json:"upstreams"`
	Loops     []LoopStatus      `json:"loops"`
	Samples   []Sample          `json:"samples"` // oldest first
	Reports   []ReportStatus    `json:"reports"` // sessions that ended last, youngest first
}

// Rates are per second, over the last few samples.
type Rates struct {
	Accepted float64 `json:"accepted"`
	Sent     float64 `json:"sent"`     // bytes
	Received float64 `json:"received"` // bytes
}

// A Sample is the sums at one time.
type Sample struct {
	At       time.Duration `json:"at"` // of the first loop's clock, ns
	Live     int64         `json:"live"`
	Accepted uint64        `json:"accepted"`
	Sent     int64         `json:"sent"`
	Received int64         `json:"received"`
}

// An UpstreamStatus is one upstream's part of a Status.
type UpstreamStatus struct {
	Address  string        `json:"address"`
	Up       bool          `json:"up"`
	Retry    time.Duration `json:"retry"` // until a session may try it again, ns; if it is down
	Error    string        `json:"error"` // its latest failure, if it is down
	Live     int64         `json:"live"`
	Total    uint64        `json:"total"`  // connections made
	Failed   uint64        `json:"failed"` // attempts that failed
	Sent     int64         `json:"sent"`
	Received int64         `json:"received"`
}

// A LoopStatus is one loop's part of a Status: Live as of now, the rest, which
// is of everything on the loop, as of the latest sample.
type LoopStatus struct {
	Backend string `json:"backend"`
	Live    int64  `json:"live"`
	Enters  uint64 `json:"enters"`  // system calls that submitted or waited
	Results uint64 `json:"results"` // operations' results
	Spliced uint64 `json:"spliced"` // bytes relayed by splice(2)
	Copied  uint64 `json:"copied"`  // bytes relayed through a buffer
	Handles int    `json:"handles"` // open sockets
	Pipes   int    `json:"pipes"`   // open, pooled ones included
	Lent    int    `json:"lent"`    // receive buffers in use
	Direct  int    `json:"direct"`  // places of the ring's table that are taken, those that accepts keep included

	TLS TLSStatus `json:"tls"`
}

// A TLSStatus counts TLS handshakes, with clients and with upstreams.
type TLSStatus struct {
	Completed  uint64 `json:"completed"`
	Resumed    uint64 `json:"resumed"`     // of these, by an earlier session
	Failed     uint64 `json:"failed"`      // whosever fault it was, and those that came too late
	NotTLS     uint64 `json:"not_tls"`     // of these, because the peer does not speak TLS
	TimedOut   uint64 `json:"timed_out"`   // of these, because the peer was too slow
	Refused    uint64 `json:"refused"`     // never begun: too many in progress
	InProgress int    `json:"in_progress"` // now
}

func tlsStatus(s *tls.Stats) TLSStatus {
	return TLSStatus{s.Handshakes, s.Resumed, s.Failed, s.NotTLS, s.TimedOut, s.Refused, s.InProgress}
}

// Add adds o's counts, of another loop, to t's.
func (t *TLSStatus) Add(o TLSStatus) {
	t.Completed += o.Completed
	t.Resumed += o.Resumed
	t.Failed += o.Failed
	t.NotTLS += o.NotTLS
	t.TimedOut += o.TimedOut
	t.Refused += o.Refused
	t.InProgress += o.InProgress
}

func (w *worker) status() LoopStatus {
	s := LoopStatus{Backend: w.l.Backend().Name(), Live: w.live.Load()}
	if b := w.stats.Load(); b != nil {
		s.Enters, s.Results, s.Spliced, s.Copied = b.Enters, b.Completed, b.Spliced, b.RelayCopied
		s.Handles, s.Pipes, s.Lent, s.Direct = b.Handles, b.Pipes, b.Lent, b.Direct
	}
	if t := w.tls.Load(); t != nil {
		s.TLS = tlsStatus(t)
	}
	return s
}

// A ReportStatus is a [Report] as text.
type ReportStatus struct {
	At       time.Duration `json:"at"` // the end, of the first loop's clock, ns
	Client   string        `json:"client"`
	Listener string        `json:"listener"`
	Upstream string        `json:"upstream"`
	Reason   string        `json:"reason"`
	Side     string        `json:"side"`
	Error    string        `json:"error"`
	Sent     int64         `json:"sent"`
	Received int64         `json:"received"`
	Duration time.Duration `json:"duration"` // ns
}

// status returns r as text; at is when it ended.
func (r *Report) status(at time.Duration) ReportStatus {
	s := ReportStatus{
		At: at, Client: r.ClientURL(), Listener: r.ListenerURL(), Upstream: r.UpstreamURL(),
		Reason: r.Reason.String(), Side: r.Side.String(), Sent: r.Sent, Received: r.Received, Duration: r.Duration,
	}
	if r.Err != nil {
		s.Error = r.Err.Error()
	}
	return s
}

func urlOf(a proactor.Address) string { return urlOver(a, nil) }

func urlOver(a proactor.Address, layer Layer) string {
	scheme := a.Network()
	switch {
	case !a.IsValid():
		return ""
	case layer != nil:
		scheme = layer.Scheme()
	}
	return scheme + "://" + a.String()
}

// A history is what Status knows of the past. Its lock is held for a copy of
// it at most, by the loops once a sample and, if samples are taken, once a session.
type history struct {
	sync.Mutex
	samples []Sample
	reports []timedReport
}

type timedReport struct {
	at time.Duration
	Report
}

// keepSample notes the present sums.
func (p *Proxy) keepSample() {
	s := p.sums()
	p.past.Lock()
	defer p.past.Unlock()
	p.past.samples = push(p.past.samples, s, keptSamples)
}

func (p *Proxy) keepReport(at time.Duration, r *Report) {
	p.past.Lock()
	defer p.past.Unlock()
	p.past.reports = push(p.past.reports, timedReport{at, *r}, keptReports)
}

// push appends v and drops the oldest beyond limit, in place.
func push[T any](list []T, v T, limit int) []T {
	if len(list) < limit {
		return append(list, v)
	}
	copy(list, list[1:])
	list[limit-1] = v
	return list
}

func (p *Proxy) sums() Sample {
	s := Sample{At: p.workers[0].l.Backend().Now(), Live: p.live.Load()}
	for _, w := range p.workers {
		s.Accepted += w.accepted.Load()
		s.Sent += w.sent.Load()
		s.Received += w.received.Load()
	}
	return s
}

// Status returns what the proxy does. Any goroutine; it waits for no loop, so
// that it answers also when one hangs.
func (p *Proxy) Status() Status {
	sums := p.sums()
	s := Status{
		Draining: p.draining.Load(), Live: sums.Live, Accepted: sums.Accepted, Sent: sums.Sent, Received: sums.Received,
		Ends: map[string]uint64{}, Listeners: []string{}, Upstreams: []UpstreamStatus{},
	}
	for _, w := range p.workers {
		s.Loops = append(s.Loops, w.status())
		for r := range reasons {
			s.Ends[r.String()] += w.ends[r].Load()
		}
	}
	s.Listeners = append(s.Listeners, p.URLs()...)
	if r, ok := p.o.Route.(interface{ Upstreams() []*Upstream }); ok {
		for _, u := range r.Upstreams() {
			s.Upstreams = append(s.Upstreams, u.status(sums.At))
		}
	}
	p.past.Lock()
	defer p.past.Unlock()
	s.Samples = append([]Sample{}, p.past.samples...)
	s.Reports = make([]ReportStatus, 0, len(p.past.reports))
	for i := len(p.past.reports) - 1; i >= 0; i-- {
		r := &p.past.reports[i]
		s.Reports = append(s.Reports, r.status(r.at))
	}
	s.Rates = rates(s.Samples)
	return s
}

// rates compares the last sample with an earlier one.
func rates(samples []Sample) Rates {
	n := len(samples)
	if n < 2 {
		return Rates{}
	}
	from, to := samples[max(0, n-1-rateSpan)], samples[n-1]
	seconds := (to.At - from.At).Seconds()
	if seconds <= 0 {
		return Rates{}
	}
	return Rates{
		Accepted: float64(to.Accepted-from.Accepted) / seconds,
		Sent:     float64(to.Sent-from.Sent) / seconds,
		Received: float64(to.Received-from.Received) / seconds,
	}
}

func (u *Upstream) status(now time.Duration) UpstreamStatus {
	s := UpstreamStatus{
		Address: u.URL(), Up: u.failures.Load() == 0,
		Live: u.live.Load(), Total: u.total.Load(), Failed: u.failed.Load(),
		Sent: u.sent.Load(), Received: u.received.Load(),
	}
	if s.Up {
		return s
	}
	s.Retry = max(0, time.Duration(u.retryAt.Load())-now)
	if e := u.lastErr.Load(); e != nil {
		s.Error = *e
	}
	return s
}

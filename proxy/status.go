package proxy

import (
	"sync"
	"time"

	"mobius/proactor"
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
}

func (w *worker) status() LoopStatus {
	s := LoopStatus{Backend: w.l.Backend().Name(), Live: w.live.Load()}
	if b := w.stats.Load(); b != nil {
		s.Enters, s.Results, s.Spliced, s.Copied = b.Enters, b.Completed, b.Spliced, b.RelayCopied
		s.Handles, s.Pipes, s.Lent = b.Handles, b.Pipes, b.Lent
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
		At: at, Client: urlOf(r.Client), Listener: urlOf(r.Listener), Upstream: urlOf(r.Upstream),
		Reason: r.Reason.String(), Side: r.Side.String(), Sent: r.Sent, Received: r.Received, Duration: r.Duration,
	}
	if r.Err != nil {
		s.Error = r.Err.Error()
	}
	return s
}

func urlOf(a proactor.Address) string {
	if !a.IsValid() {
		return ""
	}
	return a.Network() + "://" + a.String()
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
	for _, a := range p.Addrs() {
		s.Listeners = append(s.Listeners, urlOf(a))
	}
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
		Address: urlOf(u.addr), Up: u.failures.Load() == 0,
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

package proxy

import (
	"sync"
	"time"

	"mobius/proactor"
)

// Traffic is datagrams, and their bytes without headers.
type Traffic struct {
	Datagrams uint64 `json:"datagrams"`
	Bytes     int64  `json:"bytes"`
}

func (t *Traffic) add(datagrams, bytes int) {
	t.Datagrams += uint64(datagrams)
	t.Bytes += int64(bytes)
}

// A FlowReport tells how a [Flow] ended. Its Reason is mostly Idle.
type FlowReport struct {
	Client   proactor.Address // the client's address
	Listener proactor.Address // where it sent to
	Upstream proactor.Address

	Reason Reason // Idle, NoUpstream, Broken, Drained or Stopped
	Side   Side   // whose fault it was
	Err    error  // the cause, nil if there is none beyond Reason

	Sent     Traffic       // from the client to the upstream
	Received Traffic       // from the upstream to the client
	Dropped  uint64        // datagrams, of either side, that could not be passed on
	Duration time.Duration // from the first datagram to the end
}

// A DatagramStatus is what a [Datagrams] does, as of now.
type DatagramStatus struct {
	Draining  bool               `json:"draining"`
	Live      int64              `json:"live"`     // flows
	Accepted  uint64             `json:"accepted"` // flows since the start
	Refused   uint64             `json:"refused"`  // datagrams that began no flow: by the filter, a drain, or the Trouble
	Trouble   string             `json:"trouble"`  // why new clients are not served (MaxFlows, no descriptors), "" if they are
	Dropped   uint64             `json:"dropped"`  // datagrams of flows that could not be passed on
	Ends      map[string]uint64  `json:"ends"`     // flows ended, by Reason
	Sent      Traffic            `json:"sent"`     // from clients to upstreams
	Received  Traffic            `json:"received"` // from upstreams to clients
	Listeners []string           `json:"listeners"`
	Upstreams []UpstreamStatus   `json:"upstreams"`
	Reports   []FlowReportStatus `json:"reports"` // flows that ended last, youngest first
	At        time.Duration      `json:"at"`      // now, of the first loop's clock, ns
}

// A FlowReportStatus is a [FlowReport] as text.
type FlowReportStatus struct {
	At       time.Duration `json:"at"` // the end, of the first loop's clock, ns
	Client   string        `json:"client"`
	Listener string        `json:"listener"`
	Upstream string        `json:"upstream"`
	Reason   string        `json:"reason"`
	Side     string        `json:"side"`
	Error    string        `json:"error"`
	Sent     Traffic       `json:"sent"`
	Received Traffic       `json:"received"`
	Dropped  uint64        `json:"dropped"`
	Duration time.Duration `json:"duration"` // ns
}

// Text returns r as text; at is when the flow ended.
func (r *FlowReport) Text(at time.Duration) FlowReportStatus {
	s := FlowReportStatus{
		At: at, Client: urlOf(r.Client), Listener: urlOf(r.Listener), Upstream: urlOf(r.Upstream), Reason: r.Reason.String(),
		Side: r.Side.String(), Sent: r.Sent, Received: r.Received, Dropped: r.Dropped, Duration: r.Duration,
	}
	if r.Err != nil {
		s.Error = r.Err.Error()
	}
	return s
}

// A flowHistory is the reports of the flows that ended last.
type flowHistory struct {
	sync.Mutex
	reports []FlowReportStatus
}

func (h *flowHistory) keep(at time.Duration, r *FlowReport) {
	h.Lock()
	defer h.Unlock()
	h.reports = push(h.reports, r.Text(at), keptReports)
}

// Status returns what the proxy does. Any goroutine; it waits for no loop.
func (d *Datagrams) Status() DatagramStatus {
	now := d.loops[0].Backend().Now()
	s := DatagramStatus{
		Draining: d.draining.Load(), Live: d.live.Load(), Ends: map[string]uint64{}, At: now,
		Listeners: []string{}, Upstreams: []UpstreamStatus{}, Reports: []FlowReportStatus{},
	}
	for _, r := range d.all() {
		s.Accepted += r.accepted.Load()
		s.Refused += r.refused.Load()
		if text := r.trouble.Load(); text != nil {
			s.Trouble = *text
		}
		s.Dropped += r.dropped.Load()
		s.Sent.Datagrams += r.sent.datagrams.Load()
		s.Sent.Bytes += r.sent.bytes.Load()
		s.Received.Datagrams += r.received.datagrams.Load()
		s.Received.Bytes += r.received.bytes.Load()
		for reason := range reasons {
			s.Ends[reason.String()] += r.ends[reason].Load()
		}
	}
	for _, a := range d.Addrs() {
		s.Listeners = append(s.Listeners, urlOf(a))
	}
	if r, ok := d.o.Route.(interface{ Upstreams() []*Upstream }); ok {
		for _, u := range r.Upstreams() {
			s.Upstreams = append(s.Upstreams, u.status(now))
		}
	}
	d.past.Lock()
	defer d.past.Unlock()
	for i := len(d.past.reports) - 1; i >= 0; i-- {
		s.Reports = append(s.Reports, d.past.reports[i])
	}
	return s
}

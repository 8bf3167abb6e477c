package proxy

import (
	"time"

	"mobius/proactor"
)

// The defaults of DatagramOptions.
const (
	DefaultFlowTimeout = time.Minute
	DefaultMaxFlows    = 10000
)

// DatagramOptions configure a [Datagrams]. Route must be set; the zero value of
// every other field is its default. A negative time means none.
type DatagramOptions struct {
	Accept FlowFilter   // default: everybody is served
	Route  FlowRouter   // where flows go
	Report FlowReporter // default: nobody is told

	// IdleTimeout ends a flow in which no datagram has gone either way for so
	// long; default 1 min.
	IdleTimeout time.Duration

	// MaxFlows is how many flows there may be, each of which has a descriptor: it
	// should leave some of those that a process may have (RLIMIT_NOFILE). Datagrams
	// of further clients are dropped, and counted as refused; so are those of
	// clients for whom no socket can be made. A loop's logger is told of either
	// every ten seconds at most. Default 10,000.
	MaxFlows int

	Listener  proactor.SocketOptions // of listeners
	Upstream  proactor.SocketOptions // of flows' sockets
	ReusePort bool                   // a listener per loop (SO_REUSEPORT); the kernel spreads the clients

	// History keeps the reports of the flows that ended last, for Status.
	History bool
}

// A FlowFilter decides whether a client is served.
type FlowFilter interface {
	// AcceptFlow is called with a flow's first datagram on the flow's loop, from
	// several loops at once if the proxy has several. An error drops it.
	AcceptFlow(f *Flow) error
}

// A FlowRouter chooses where a flow goes; [RoundRobin] is one.
type FlowRouter interface {
	// RouteFlow returns an upstream, or nil if there is none. It is called on the
	// flow's loop, from several loops at once if the proxy has several.
	RouteFlow(f *Flow) *Upstream
}

// A FlowReporter is told of each flow's end.
type FlowReporter interface {
	// FlowEnded runs on the flow's loop, from several loops at once if the proxy
	// has several, after its descriptor is closed. It must not block.
	FlowEnded(r *FlowReport)
}

// A FlowReporterFunc is a function as a FlowReporter.
type FlowReporterFunc func(r *FlowReport)

// FlowEnded calls f.
func (f FlowReporterFunc) FlowEnded(r *FlowReport) { f(r) }

func (o DatagramOptions) withDefaults() DatagramOptions {
	setDefault(&o.IdleTimeout, DefaultFlowTimeout)
	setDefault(&o.MaxFlows, DefaultMaxFlows)
	return o
}

package proxy

import (
	"errors"
	"time"

	"mobius/proactor"
	"mobius/transport"
)

// The defaults of Options' times and limits.
const (
	DefaultConnectTimeout    = 5 * time.Second
	DefaultAcceptTimeout     = 10 * time.Second
	DefaultIdleTimeout       = time.Hour
	DefaultHalfClosedTimeout = 30 * time.Second
	DefaultAttempts          = 3
	DefaultMaxSessions       = 1 << 20
)

// Options configure a Proxy. Route must be set; the zero value of every other
// field is its default. A negative time means none.
type Options struct {
	Accept Filter   // default: AdmitAll
	Route  Router   // where sessions go
	Dial   Dialer   // default: Direct
	Report Reporter // default: nobody is told

	ConnectTimeout time.Duration // for one attempt; default 5 s
	AcceptTimeout  time.Duration // for the Filter to decide; default 10 s

	// IdleTimeout ends a session in which no byte has moved either way for this
	// long; default 1 h. HalfClosedTimeout does so once one side has ended its
	// stream: it counts from that end or from the last byte the other side
	// moved since, whichever is later, so a long reply is never cut, only one
	// that does not begin, or stalls; default 30 s. Neither is exact to better than a turn
	// of the loop, and neither costs anything per packet.
	IdleTimeout       time.Duration
	HalfClosedTimeout time.Duration

	Attempts int // upstreams tried for one session; default 3

	// MaxSessions is how many sessions there may be: clients beyond it are reset
	// at once, counted as Refused, and logged at most once in 10 s a loop. Each session
	// takes two descriptors, and now and then two or four more for pipes, without
	// which it copies. Default 1<<20.
	MaxSessions int

	Listener  proactor.SocketOptions // of listeners, and of what they accept
	Upstream  proactor.SocketOptions // of connections to upstreams
	ReusePort bool                   // a listener per loop (SO_REUSEPORT) instead of handing connections round

	// Sample is how often live sessions are counted into the Status and a
	// sample is kept for its rates, 1 s say. 0 is never: then bytes are
	// counted when sessions end, and there are no rates.
	Sample time.Duration
}

func (o Options) withDefaults() (Options, error) {
	if o.Route == nil {
		return o, errors.New("proxy: Options.Route is nil")
	}
	if o.Accept == nil {
		o.Accept = AdmitAll()
	}
	if o.Dial == nil {
		o.Dial = &Direct{Options: o.Upstream}
	}
	setDefault(&o.ConnectTimeout, DefaultConnectTimeout)
	setDefault(&o.AcceptTimeout, DefaultAcceptTimeout)
	setDefault(&o.IdleTimeout, DefaultIdleTimeout)
	setDefault(&o.HalfClosedTimeout, DefaultHalfClosedTimeout)
	setDefault(&o.Attempts, DefaultAttempts)
	setDefault(&o.MaxSessions, DefaultMaxSessions)
	return o, nil
}

// ends returns the options of transports. Idle and half-closed sessions are the
// session's affair; a close has the time that a half-closed one has.
func (o *Options) ends() transport.Options {
	patience := o.HalfClosedTimeout
	if patience < 0 {
		patience = o.IdleTimeout
	}
	return transport.Options{Stays: true, HalfClosedTimeout: -1, CloseTimeout: patience}
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

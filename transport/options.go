package transport

import "time"

// Options configure a connection. The zero value, and a nil *Options, are the
// defaults of every field. Many connections share one Options; it must not be
// changed while one of them lives.
type Options struct {
	// HighWater is how many bytes may be queued before PauseWriting, LowWater
	// how few make ResumeWriting. Defaults 64 KiB and 16 KiB; a negative
	// LowWater means 0.
	HighWater int
	LowWater  int

	// HardLimit is how many bytes may be queued at all; a Write beyond it is
	// ErrFull. Default 64 MiB: it is there to save the process, not to pace a
	// writer.
	HardLimit int

	// CloseTimeout bounds the end: flushing the output without any progress,
	// and afterwards waiting for the peer's end. Default 30 s, negative: none.
	CloseTimeout time.Duration

	// HalfClosedTimeout ends a connection of which one direction has ended
	// when no byte has moved in the other for so long. Default 30 s, negative:
	// none.
	HalfClosedTimeout time.Duration

	// IdleTimeout ends a connection on which no byte has moved either way for
	// so long. Default: none.
	IdleTimeout time.Duration

	// Stays makes a Shutdown of the loop leave the connection to its protocol,
	// which ends it in its own time; a Stop ends it nevertheless. Default: a
	// Shutdown is a LoseConnection.
	Stays bool

	// ZeroCopyFrom marks writes of at least so many bytes by WriteOwned as ones
	// that the kernel need not copy. Rings do without a copy if
	// uring.Options.ZeroCopy is set (IORING_OP_SEND_ZC), and the simulator plays
	// it. Others copy, as send(2) does, and say so, whereupon the connection
	// stops marking; the kernel copies as well, and says so, on loopback and
	// veth. So it should be no less than uring's. Default 0: never.
	ZeroCopyFrom int
}

// The defaults of Options.
const (
	DefaultHighWater         = 64 << 10
	DefaultLowWater          = 16 << 10
	DefaultHardLimit         = 64 << 20
	DefaultCloseTimeout      = 30 * time.Second
	DefaultHalfClosedTimeout = 30 * time.Second
)

func (o *Options) highWater() int {
	if o == nil || o.HighWater == 0 {
		return DefaultHighWater
	}
	return o.HighWater
}

func (o *Options) lowWater() int {
	if o == nil || o.LowWater == 0 {
		return min(DefaultLowWater, o.highWater())
	}
	return max(o.LowWater, 0)
}

func (o *Options) hardLimit() int {
	if o == nil || o.HardLimit == 0 {
		return DefaultHardLimit
	}
	return o.HardLimit
}

func (o *Options) closeTimeout() time.Duration {
	if o == nil || o.CloseTimeout == 0 {
		return DefaultCloseTimeout
	}
	return o.CloseTimeout
}

func (o *Options) halfClosedTimeout() time.Duration {
	if o == nil || o.HalfClosedTimeout == 0 {
		return DefaultHalfClosedTimeout
	}
	return o.HalfClosedTimeout
}

func (o *Options) idleTimeout() time.Duration {
	if o == nil {
		return 0
	}
	return o.IdleTimeout
}

func (o *Options) stays() bool { return o != nil && o.Stays }

func (o *Options) zeroCopyFrom() int {
	if o == nil {
		return 0
	}
	return o.ZeroCopyFrom
}

// Resolved returns a copy of o, which may be nil, in which every default
// stands as a value: for layers that keep the same marks and deadlines.
func (o *Options) Resolved() Options {
	return Options{
		HighWater: o.highWater(), LowWater: o.lowWater(), HardLimit: o.hardLimit(),
		CloseTimeout: o.closeTimeout(), HalfClosedTimeout: o.halfClosedTimeout(),
		IdleTimeout: o.idleTimeout(), Stays: o.stays(), ZeroCopyFrom: o.zeroCopyFrom(),
	}
}

package policies

import (
	"math"
	"sync"
	"time"

	"mobius"
)

// DefaultBurst is the Burst of a [Throttle]: Twisted counts by the second.
const DefaultBurst = time.Second

// leastPause keeps a connection that is at its limit from being paused and
// resumed for each piece.
const leastPause = 10 * time.Millisecond

// Rates are the most that is received and written, in bytes a second; 0: as
// much as there is.
type Rates struct{ Read, Write int }

// A Throttle is a factory whose connections keep to rates, on the average.
// (Twisted: ThrottlingFactory, whose limit of connections is [LimitTotal].)
//
// Reading is paused after more was received than Burst allows, and goes on when
// so much would have been allowed; what the network has delivered till then is
// not counted twice, and not lost. So is writing: the protocol is told
// PauseWriting and ResumeWriting, if it is a Drainer, as a flow.Consumer is for
// its producer, in one alternation with those of its transport. Whoever writes
// nevertheless is not held back, but pays for it with a longer pause.
//
// A pause is as long as the rate makes it: at 100 bytes a second one piece of 64
// KiB, which is one receive's, costs eleven minutes. The connection's IdleTimeout
// goes on in it; its loss is noticed.
//
// It may be used on all loops of one reactor; its fields must not be changed
// once it is.
type Throttle struct {
	Factory mobius.Factory

	Each  Rates // of one connection
	Total Rates // of all together

	// Burst is how much may go at once: as much as a rate allows in so long.
	// Default 1 s. It is 2 GiB at most.
	Burst time.Duration

	mu        sync.Mutex
	in, out   Bucket // of all connections
	dimension sync.Once
}

// BuildProtocol builds a protocol of Factory that keeps to the rates.
func (f *Throttle) BuildProtocol(peer mobius.Address) mobius.Protocol {
	p := f.Factory.BuildProtocol(peer)
	if p == nil {
		return nil
	}
	f.dimension.Do(func() {
		f.in, f.out = f.bucket(f.Total.Read, nil), f.bucket(f.Total.Write, nil)
	})
	c := &throttled{f: f, Wrapper: Wrapper{Protocol: p}}
	c.Received, c.Written = c.received, c.written
	c.Lost = func(error) { c.stop() }
	c.in.bucket, c.in.timer.Func = f.bucket(f.Each.Read, &f.in), func() { c.outside(c.readOn) }
	c.out.bucket, c.out.timer.Func = f.bucket(f.Each.Write, &f.out), func() { c.outside(c.writeOn) }
	return c
}

// Unwrap returns the wrapped factory, for mobius.As.
func (f *Throttle) Unwrap() any { return f.Factory }

// bucket returns one that leaks at a rate and holds a burst, or holds all.
func (f *Throttle) bucket(rate int, above *Bucket) Bucket {
	if rate <= 0 {
		return Bucket{Parent: above}
	}
	burst := f.Burst
	if burst <= 0 {
		burst = DefaultBurst
	}
	size := math.Ceil(float64(rate) * burst.Seconds())
	return Bucket{Size: int(min(size, math.MaxInt32)), Rate: rate, Parent: above}
}

// A throttled is a connection that keeps to rates: the Wrapper of its protocol.
type throttled struct {
	Wrapper
	f     *Throttle
	below mobius.Transport

	in, out meter
	paused  bool // the protocol has said PauseReading last
	full    bool // the transport has said PauseWriting last
	told    bool // the protocol was told PauseWriting last
}

// A meter holds one direction to its rates.
type meter struct {
	bucket Bucket
	timer  mobius.Timer // armed while the direction is to pause
}

// through notes that n bytes have gone, and reports whether a pause begins.
func (c *throttled) through(m *meter, n int) (begins bool) {
	c.f.mu.Lock()
	now := c.below.Loop().Now()
	m.bucket.Fill(now, n)
	over := m.bucket.Over(now)
	c.f.mu.Unlock()
	if over == 0 || m.timer.Active() {
		return false
	}
	c.below.Loop().Start(&m.timer, max(over, leastPause))
	return true
}

// ConnectionMade gives the protocol a transport whose reading two may pause. A
// connection that comes when all have had too much already begins with a pause.
func (c *throttled) ConnectionMade(t mobius.Transport) {
	c.below = t
	if c.through(&c.in, 0) {
		t.PauseReading()
	}
	c.Wrapper.ConnectionMade(&valve{Transport: t, c: c})
	if c.through(&c.out, 0) {
		c.tell()
	}
}

func (c *throttled) received(p []byte) {
	if c.through(&c.in, len(p)) {
		c.below.PauseReading()
	}
}

func (c *throttled) written(p []byte) {
	if c.through(&c.out, len(p)) {
		c.tell()
	}
}

// readOn is called when a pause of reading may be over: others may have filled
// what all share meanwhile.
func (c *throttled) readOn() {
	if !c.through(&c.in, 0) && !c.paused {
		c.below.ResumeReading()
	}
}

// writeOn is readOn for writing.
func (c *throttled) writeOn() {
	if !c.through(&c.out, 0) {
		c.tell()
	}
}

func (c *throttled) stop() {
	c.in.timer.Stop()
	c.out.timer.Stop()
}

// PauseWriting is the transport's; see mobius.Drainer.
func (c *throttled) PauseWriting() {
	c.full = true
	c.tell()
}

// ResumeWriting is the transport's; see mobius.Drainer.
func (c *throttled) ResumeWriting() {
	c.full = false
	c.tell()
}

// tell tells the protocol to pause its writing or to go on, if that has changed
// and it may still write.
func (c *throttled) tell() {
	full := c.full || c.out.timer.Active()
	if full == c.told {
		return
	}
	d, ok := mobius.As[mobius.Drainer](c.Protocol)
	if _, err := c.below.Write(nil); err != nil || !ok {
		return
	}
	c.told = full
	if full {
		d.PauseWriting()
	} else {
		d.ResumeWriting()
	}
}

// outside calls f where no callback of the protocol's runs: a panic there ends
// the connection, too.
func (c *throttled) outside(f func()) {
	returned := false
	defer func() {
		if !returned {
			c.below.AbortConnection()
		}
	}()
	f()
	returned = true
}

// A valve is the transport of a throttled connection as its protocol has it:
// reading goes on when both let it.
type valve struct {
	mobius.Transport
	c *throttled
}

// Unwrap returns the transport below, for mobius.As.
func (v *valve) Unwrap() any { return v.Transport }

// PauseReading stops DataReceived.
func (v *valve) PauseReading() {
	v.c.paused = true
	v.Transport.PauseReading()
}

// ResumeReading lets DataReceived go on, once the rates allow it.
func (v *valve) ResumeReading() {
	v.c.paused = false
	if !v.c.in.timer.Active() {
		v.Transport.ResumeReading()
	}
}

var _ mobius.Drainer = (*throttled)(nil)

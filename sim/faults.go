package sim

import (
	"math/rand/v2"
	"time"
)

// A Fault is one kind of misfortune. Harmless ones are things that a kernel
// may do at any time and that a backend must hide, or that the contract
// allows; the others are failures that the program meets as errors.
type Fault uint8

// The faults.
const (
	Cut         Fault = iota // harmless: a Recv lends only a part of what has arrived
	ShortSend                // harmless: the kernel takes only a part of a Send at a time, TryWrite takes less
	Delay                    // harmless: a step or a completion comes later than it could
	Jitter                   // harmless: a segment is longer on its way than the others
	Straggle                 // harmless: a Cancel takes a while, and results still come
	EndEarly                 // harmless: a multishot ends, and the backend has to start it again
	EarlyReturn              // harmless: a Poll returns with nothing to show for it, never two in a row
	SmallBatch               // harmless: a Poll delivers only some of the results that are there
	Starve                   // harmless: a Recv finds no buffer for a while
	LatePin                  // harmless: the memory of a zero-copy Send is given back late
	Join                     // harmless: datagrams that were sent as segments are received as segments
	Stall                    // harmless: a connection is silent for a long while (up to 5 s), then goes on
	Refuse                   // a Connect is refused though somebody listens
	Timeout                  // a Connect is never answered and times out
	Reset                    // an established connection is reset on its way
	AcceptError              // an Accept ends with EMFILE, ENFILE, ENOMEM or ECONNABORTED
	PeerGone                 // a connection is gone before it is accepted
	NoFile                   // Stream, Listen, Packet answer EMFILE
	Drop                     // a datagram is lost
	Duplicate                // a datagram comes twice
	Reorder                  // a datagram overtakes others
	faultKinds
)

var faultNames = [faultKinds]string{
	"Cut", "ShortSend", "Delay", "Jitter", "Straggle", "EndEarly", "EarlyReturn", "SmallBatch", "Starve", "LatePin", "Join",
	"Stall", "Refuse", "Timeout", "Reset", "AcceptError", "PeerGone", "NoFile", "Drop", "Duplicate", "Reorder",
}

// String returns the fault's name as it stands in the source.
func (f Fault) String() string { return faultNames[f] }

// Harmless reports whether a correct program sees no difference.
func (f Fault) Harmless() bool { return f <= Stall }

// AllFaults returns every fault there is, in order.
func AllFaults() []Fault {
	all := make([]Fault, faultKinds)
	for i := range all {
		all[i] = Fault(i)
	}
	return all
}

// Faults says how often each fault happens: a probability from 0 to 1 for
// each occasion. Set makes one by hand; the zero value has no fault.
type Faults struct {
	rates [faultKinds]float64
}

// NoFaults is a network on which nothing goes wrong and nothing is delayed,
// though everything still takes a little time. It must not be changed.
var NoFaults = &Faults{}

// Set returns a copy of f in which each of the kinds happens at the given
// rate, a probability from 0 to 1 for each occasion.
func (f *Faults) Set(rate float64, kinds ...Fault) *Faults {
	c := *f
	for _, k := range kinds {
		c.rates[k] = min(max(rate, 0), 1)
	}
	return &c
}

// Rate returns how often fault k happens, from 0 to 1 for each occasion.
func (f *Faults) Rate(k Fault) float64 { return f.rates[k] }

// Harmless returns a copy of f without the faults that a program can see.
func (f *Faults) Harmless() *Faults {
	c := *f
	for k := range c.rates {
		if !Fault(k).Harmless() {
			c.rates[k] = 0
		}
	}
	return &c
}

// The rates that a fault is drawn from, if the run has it at all. Failures are
// rarer, or no run would get beyond its first connection.
var (
	harmlessRates = [...]float64{0.02, 0.1, 0.3, 0.7}
	failureRates  = [...]float64{0.01, 0.03, 0.1, 0.3}
)

// Draw returns the faults of a seed: those of a network whose Options leave
// them open. One seed in eight has none, each of the others has each fault with
// probability one half ("swarm testing": runs that leave features out reach
// states that a mixture of everything does not).
func Draw(seed uint64) *Faults {
	f := &Faults{}
	rng := rand.New(rand.NewPCG(seed, 0x6661756c7473)) // any constant
	if rng.IntN(8) == 0 {
		return f
	}
	for k := range f.rates {
		if rng.IntN(2) == 0 {
			continue
		}
		rates := &failureRates
		if Fault(k).Harmless() {
			rates = &harmlessRates
		}
		f.rates[k] = rates[rng.IntN(len(rates))]
	}
	f.rates[EarlyReturn] = min(f.rates[EarlyReturn], 0.3)
	f.rates[Stall] = min(f.rates[Stall], 0.02)
	return f
}

// chance decides whether fault k happens on this occasion.
func (n *Net) chance(k Fault) bool {
	n.asked[k]++
	if n.odds[k] == 0 || n.rng.Uint64()>>11 >= n.odds[k] {
		return false
	}
	n.fired[k]++
	return true
}

// upTo draws a number from 1 to n, which is at least 1.
func (n *Net) upTo(limit int) int {
	if limit <= 1 {
		return 1
	}
	return 1 + n.rng.IntN(limit)
}

// The durations of the simulated machine. Nothing takes no time at all: a
// program that is always busy must not stop the clock.
const (
	stepTime    = int64(time.Microsecond)      // from a Submit to the kernel's first look at it
	netLatency  = int64(50 * time.Microsecond) // one way, TCP and UDP
	unixLatency = int64(2 * time.Microsecond)
	longDelay   = int64(10 * time.Millisecond) // the longest Delay, Jitter or Straggle
	longStall   = int64(5 * time.Second)
	connectWait = int64(127 * time.Second) // tcp(7): tcp_syn_retries 6
)

// soon draws when the next step of something comes, from now on.
func (n *Net) soon() int64 {
	if n.chance(Delay) {
		return n.now + stepTime + n.rng.Int64N(longDelay)
	}
	return n.now + stepTime
}

package connector

import "time"

// A Backoff says how long to wait before trying again. The zero value is the
// default of every field.
type Backoff struct {
	Initial time.Duration // first wait; default 1 s
	Max     time.Duration // longest wait; default 1 minute
	Factor  float64       // of a wait to the one before; default 2
	Jitter  float64       // part of a wait, up to 1, by which it is longer or shorter; default 0.2; negative: none
}

// The defaults of Backoff, and of Reconnecting.
const (
	DefaultInitial = time.Second
	DefaultMax     = time.Minute
	DefaultFactor  = 2
	DefaultJitter  = 0.2
)

// Wait returns the n-th wait in a row, counted from 1: Initial × Factor^(n-1),
// or Max if that is less, made up to Jitter longer or shorter by random, which
// returns numbers from 0 up to 1, and Max at most.
func (b Backoff) Wait(n int, random func() float64) time.Duration {
	longest := float64(orDefault(b.Max, DefaultMax))
	factor := orDefault(b.Factor, DefaultFactor)
	wait := float64(orDefault(b.Initial, DefaultInitial))
	for i := 1; i < n && wait < longest; i++ {
		wait *= factor
	}
	wait = min(wait, longest) // or the jitter would end where all waits are too long
	if jitter := min(orDefault(b.Jitter, DefaultJitter), 1); jitter > 0 {
		wait *= 1 + jitter*(2*random()-1)
	}
	return time.Duration(min(wait, longest))
}

// orDefault returns v, or d if v is zero.
func orDefault[T time.Duration | float64](v, d T) T {
	if v == 0 {
		return d
	}
	return v
}

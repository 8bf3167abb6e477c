package result

import (
	"math"
	"slices"
)

// A Median is that of several rounds, with an interval that holds the true one
// with a confidence of 95 % (or all of the values, where they are too few for
// that).
type Median struct {
	Value, Low, High float64
	N                int // values
}

// MedianOf returns the median of values, and whether there are any. The interval is
// that of order statistics: it assumes nothing about how the values are
// distributed.
func MedianOf(values []float64) (Median, bool) {
	n := len(values)
	if n == 0 {
		return Median{}, false
	}
	v := slices.Sorted(slices.Values(values))
	m := Median{Value: (v[(n-1)/2] + v[n/2]) / 2, Low: v[0], High: v[n-1], N: n}
	// k is the largest with P(fewer than k of n below the median) ≤ 2.5 %.
	p, sum := math.Pow(0.5, float64(n)), 0.0
	for k := 0; k < n/2; k++ {
		if sum += p; sum > 0.025 {
			break
		}
		m.Low, m.High = v[k], v[n-1-k]
		p *= float64(n-k) / float64(k+1)
	}
	return m, true
}

// Ratio returns the median of a figure of p divided by that of the peer named
// to, taken round by round. ok says whether a round has both.
func (c *Case) Ratio(p *Peer, to string, figure func(*Sample) (float64, bool)) (Median, bool) {
	other := c.Peer(to)
	if other == nil {
		return Median{}, false
	}
	var ratios []float64
	for i := range p.Rounds {
		a, ok := figure(&p.Rounds[i])
		if !ok {
			continue
		}
		for j := range other.Rounds {
			if other.Rounds[j].Round != p.Rounds[i].Round {
				continue
			}
			if b, ok := figure(&other.Rounds[j]); ok && b > 0 {
				ratios = append(ratios, a/b)
			}
		}
	}
	return MedianOf(ratios)
}

// Median returns the median of a figure over p's rounds.
func (p *Peer) Median(figure func(*Sample) (float64, bool)) (Median, bool) {
	var values []float64
	for i := range p.Rounds {
		if v, ok := figure(&p.Rounds[i]); ok {
			values = append(values, v)
		}
	}
	return MedianOf(values)
}

// Bad returns how many bytes were wrong or missing in p's rounds.
func (p *Peer) Bad() (n uint64) {
	for i := range p.Rounds {
		n += p.Rounds[i].Bad
	}
	return n
}

// Peer returns the peer of a name, nil if there is none.
func (c *Case) Peer(name string) *Peer {
	for i := range c.Peers {
		if c.Peers[i].Name == name {
			return &c.Peers[i]
		}
	}
	return nil
}

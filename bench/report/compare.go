package report

import (
	"fmt"
	"math"
	"slices"

	"mobius/bench/result"
)

// A Verdict is what a comparison comes to.
type Verdict string

// The verdicts.
const (
	Better Verdict = "better"
	Worse  Verdict = "worse"
	Same   Verdict = "no difference shown" // the interval holds 1
	TooFew Verdict = "too few rounds"      // that could show one
)

// A Delta is one figure of one peer in one case, now and in an earlier run.
type Delta struct {
	Case, Peer string
	Figure     Figure
	Old, New   result.Median
	Ratio      result.Median // new by old
	Verdict    Verdict
}

// A Comparison is that of two runs.
type Comparison struct {
	Deltas   []Delta
	Warnings []string // what else differs between the runs
	Only     []string // what one of them does not have
}

// Compare compares a run with an earlier one. Rounds of two runs do not belong
// together, so the ratio's interval is the one of Hodges and Lehmann, by the
// distribution of Mann and Whitney's U: 95 %, whatever the distribution of the
// figures. A difference is shown if the interval does not hold 1.
func Compare(old, now *result.Report) *Comparison {
	out := &Comparison{}
	for _, d := range []struct{ what, old, now string }{
		{"CPU", old.Machine.CPU, now.Machine.CPU}, {"kernel", old.Machine.Kernel, now.Machine.Kernel}, {"Go", old.Go, now.Go},
		{"processors", fmt.Sprint(old.Machine.CPUs), fmt.Sprint(now.Machine.CPUs)},
		{"pinning", pinning(&old.Machine), pinning(&now.Machine)},
	} {
		if d.old != d.now {
			out.Warnings = append(out.Warnings, fmt.Sprintf("%s differs: %q before, %q now", d.what, d.old, d.now))
		}
	}
	if len(old.Disturbed) > 0 {
		out.Warnings = append(out.Warnings, "the earlier run was disturbed")
	}
	for i := range now.Cases {
		c := &now.Cases[i]
		before := findCase(old, CaseName(c))
		for j := range c.Peers {
			p := &c.Peers[j]
			if before == nil || before.Peer(p.Name) == nil {
				out.Only = append(out.Only, CaseName(c)+" "+p.Name+" was not in the earlier run")
				continue
			}
			out.Deltas = append(out.Deltas, deltas(c, before.Peer(p.Name), p)...)
		}
	}
	for i := range old.Cases {
		c := &old.Cases[i]
		after := findCase(now, CaseName(c))
		for j := range c.Peers {
			if after == nil || after.Peer(c.Peers[j].Name) == nil {
				out.Only = append(out.Only, CaseName(c)+" "+c.Peers[j].Name+" was in the earlier run only")
			}
		}
	}
	return out
}

// Summary says in a sentence what it comes to.
func (c *Comparison) Summary() string {
	n := map[Verdict]int{}
	for _, d := range c.Deltas {
		n[d.Verdict]++
	}
	text := fmt.Sprintf("Of %d figures %d are better and %d are worse; of %d no difference is shown",
		len(c.Deltas), n[Better], n[Worse], n[Same])
	if n[TooFew] > 0 {
		text += fmt.Sprintf(", of %d there are too few rounds", n[TooFew])
	}
	return text + "."
}

func pinning(m *result.Machine) string {
	if len(m.Servers) == 0 {
		return "none"
	}
	return fmt.Sprintf("servers %v, load %v", m.Servers, m.Loads)
}

func findCase(r *result.Report, name string) *result.Case {
	for i := range r.Cases {
		if CaseName(&r.Cases[i]) == name {
			return &r.Cases[i]
		}
	}
	return nil
}

// deltas compares the figures that both have.
func deltas(c *result.Case, old, now *result.Peer) (out []Delta) {
	for _, unit := range []string{"cpu-ns/req", "req/s", "p50-ns", "p99-ns", "fds/conn", "B/conn"} {
		f := figure(unit)
		a, b := positive(old, f.of(c)), positive(now, f.of(c))
		if len(a) == 0 || len(b) == 0 {
			continue
		}
		d := Delta{Case: CaseName(c), Peer: now.Name, Figure: f}
		d.Old, _ = result.MedianOf(a)
		d.New, _ = result.MedianOf(b)
		var enough bool
		d.Ratio, enough = shift(a, b)
		d.Verdict = judge(d.Ratio, enough, f.More)
		out = append(out, d)
	}
	return out
}

func judge(ratio result.Median, enough, more bool) Verdict {
	switch {
	case !enough:
		return TooFew
	case ratio.Low <= 1 && ratio.High >= 1:
		return Same
	case (ratio.Low > 1) == more:
		return Better
	}
	return Worse
}

func positive(p *result.Peer, f func(*result.Sample) (float64, bool)) (out []float64) {
	for i := range p.Rounds {
		if v, ok := f(&p.Rounds[i]); ok && v > 0 {
			out = append(out, v)
		}
	}
	return out
}

// shift returns the median of b's values by a's with its interval, and whether
// there are enough values for one of 95 %; else it holds all ratios.
func shift(a, b []float64) (result.Median, bool) {
	ratios := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			ratios = append(ratios, y/x)
		}
	}
	slices.Sort(ratios)
	n := len(ratios)
	m := result.Median{Value: (ratios[(n-1)/2] + ratios[n/2]) / 2, Low: ratios[0], High: ratios[n-1], N: min(len(a), len(b))}
	k := tail(len(a), len(b))
	if k == 0 {
		return m, false
	}
	m.Low, m.High = ratios[k-1], ratios[n-k]
	return m, true
}

// exactUntil is how many values the distribution of U is counted out for.
const exactUntil = 25

// tail returns the largest k with P(U < k) ≤ 2.5 % for n and m values.
func tail(n, m int) int {
	if n > exactUntil || m > exactUntil {
		mean, dev := float64(n*m)/2, math.Sqrt(float64(n)*float64(m)*float64(n+m+1)/12)
		return max(int(mean-1.96*dev), 0)
	}
	// ways[i][j][u]: orders of i and j values with that U; the last is of either kind.
	ways := make([][][]float64, n+1)
	for i := range ways {
		ways[i] = make([][]float64, m+1)
		for j := range ways[i] {
			w := make([]float64, i*j+1)
			for u := range w {
				switch {
				case i == 0 || j == 0:
					w[u] = 1
				default:
					if u >= j && u-j < len(ways[i-1][j]) {
						w[u] += ways[i-1][j][u-j]
					}
					if u < len(ways[i][j-1]) {
						w[u] += ways[i][j-1][u]
					}
				}
			}
			ways[i][j] = w
		}
	}
	total, sum := 0.0, 0.0
	for _, w := range ways[n][m] {
		total += w
	}
	for k, w := range ways[n][m] {
		if sum += w; sum/total > 0.025 {
			return k
		}
	}
	return 0
}

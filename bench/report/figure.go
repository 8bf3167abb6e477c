package report

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"mobius/bench/result"
)

// A Figure is something that samples tell.
type Figure struct {
	Name string // for people
	Unit string // benchstat's
	More bool   // more of it is better
	Of   func(c *result.Case, s *result.Sample) (float64, bool)
}

// Figures returns all, in their order. Times are in ns.
func Figures() []Figure {
	each := func(v *uint64, s *result.Sample) (float64, bool) {
		if v == nil || s.Requests == 0 {
			return 0, false
		}
		return float64(*v) / float64(s.Requests), true
	}
	added := func(v *int64, c *result.Case) (float64, bool) {
		if v == nil || c.Conns == 0 {
			return 0, false
		}
		return float64(*v) / float64(c.Conns), true
	}
	return []Figure{
		{"CPU/request", "cpu-ns/req", false, func(_ *result.Case, s *result.Sample) (float64, bool) { return cpu(s) }},
		{"user", "user-ns/req", false, func(_ *result.Case, s *result.Sample) (float64, bool) { return part(s.User, s) }},
		{"system", "sys-ns/req", false, func(_ *result.Case, s *result.Sample) (float64, bool) { return part(s.System, s) }},
		{"requests/s", "req/s", true, func(_ *result.Case, s *result.Sample) (float64, bool) {
			return s.Rate(), s.Error == "" && s.Requests > 0
		}},
		{"p50", "p50-ns", false, quantile(0.5)},
		{"p99", "p99-ns", false, quantile(0.99)},
		{"p99.9", "p99.9-ns", false, quantile(0.999)},
		{"p99.99", "p99.99-ns", false, quantile(0.9999)},
		{"datagrams lost", "lost/req", false, func(_ *result.Case, s *result.Sample) (float64, bool) { return each(s.Lost, s) }},
		{"mallocs", "mallocs/req", false, func(_ *result.Case, s *result.Sample) (float64, bool) { return each(s.Mallocs, s) }},
		{"collections/s", "gcs/s", false, func(_ *result.Case, s *result.Sample) (float64, bool) {
			if s.GCs == nil || s.Elapsed <= 0 {
				return 0, false
			}
			return float64(*s.GCs) / s.Elapsed.Seconds(), true
		}},
		{"switches", "switches/req", false, func(_ *result.Case, s *result.Sample) (float64, bool) { return each(s.VoluntarySwitches, s) }},
		{"preempted", "preempted/req", false,
			func(_ *result.Case, s *result.Sample) (float64, bool) { return each(s.InvoluntarySwitches, s) }},
		{"descriptors each", "fds/conn", false,
			func(c *result.Case, s *result.Sample) (float64, bool) { return added(s.AddedDescriptors, c) }},
		{"memory each", "B/conn", false, func(c *result.Case, s *result.Sample) (float64, bool) { return added(s.AddedResident, c) }},
	}
}

// figure returns the one with a unit, which must be one of Figures.
func figure(unit string) Figure {
	for _, f := range Figures() {
		if f.Unit == unit {
			return f
		}
	}
	panic("report: no figure with the unit " + unit)
}

// of returns the figure for samples of one case.
func (f Figure) of(c *result.Case) func(*result.Sample) (float64, bool) {
	return func(s *result.Sample) (float64, bool) { return f.Of(c, s) }
}

func cpu(s *result.Sample) (float64, bool) {
	if s.User == nil || s.System == nil || s.Requests == 0 {
		return 0, false
	}
	return float64(*s.User+*s.System) / float64(s.Requests), true
}

func part(d *time.Duration, s *result.Sample) (float64, bool) {
	if d == nil || s.Requests == 0 {
		return 0, false
	}
	return float64(*d) / float64(s.Requests), true
}

// latency returns a sample's latencies: in an open loop those from when
// requests were due; nil if there are none.
func latency(s *result.Sample) *result.Histogram {
	h := s.Corrected
	if h == nil {
		h = s.Latency
	}
	if h == nil || h.Count() == 0 {
		return nil
	}
	return h
}

func quantile(q float64) func(*result.Case, *result.Sample) (float64, bool) {
	return func(_ *result.Case, s *result.Sample) (float64, bool) {
		h := latency(s)
		if h == nil {
			return 0, false
		}
		return float64(h.Quantile(q)), true
	}
}

// CaseName returns a case as `mobius bench --case` reads it.
func CaseName(c *result.Case) string {
	text := fmt.Sprintf("%s:%d,%d,%d", c.Workload, c.Conns, c.Size, c.Depth)
	if c.Rate > 0 {
		text += "@" + strconv.FormatFloat(c.Rate, 'f', -1, 64)
	}
	return text
}

// show writes a value for people, in the unit that fits.
func show(unit string, v float64) string {
	switch unit {
	case "cpu-ns/req", "user-ns/req", "sys-ns/req", "p50-ns", "p99-ns", "p99.9-ns", "p99.99-ns":
		switch a := math.Abs(v); {
		case a < 1e3:
			return three(v) + " ns"
		case a < 1e6:
			return three(v/1e3) + " µs"
		case a < 1e9:
			return three(v/1e6) + " ms"
		}
		return three(v/1e9) + " s"
	case "B/conn":
		if math.Abs(v) >= 1e9 {
			return three(v/1e9) + " GB"
		}
		if math.Abs(v) >= 1e6 {
			return three(v/1e6) + " MB"
		}
		if math.Abs(v) >= 1e3 {
			return three(v/1e3) + " kB"
		}
		return three(v) + " B"
	}
	switch a := math.Abs(v); {
	case a >= 1e6:
		return three(v/1e6) + " M"
	case a >= 1e3:
		return three(v/1e3) + " k"
	}
	return three(v)
}

// three writes v with three digits that count, or all before the point.
func three(v float64) string {
	a := math.Abs(v)
	switch {
	case v == 0:
		return "0"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case a >= 1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

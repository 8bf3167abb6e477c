package main

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	_ "embed" // the page

	"mobius/proxy"
)

//go:embed status.html
var statusHTML string

var statusPage = template.Must(template.New("").Funcs(template.FuncMap{
	"count": count[uint64], "live": count[int64], "size": size[int64], "usize": size[uint64], "rate": rate, "each": each,
	"span": span, "ago": ago, "chart": chart, "top": top, "topBytes": topBytes, "throughput": throughput, "crowd": crowd,
	"backend": backendTitle, "handshakes": handshakes,
	"draining": draining, "listeners": listeners, "before": before,
}).Parse(statusHTML))

// count writes a number with a thin space between thousands.
func count[T int64 | uint64](n T) string {
	digits := strconv.FormatInt(int64(n), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "\u202f" + digits[i:]
	}
	return digits
}

// size writes a number of bytes in the unit that leaves one to four digits.
func size[T int64 | uint64 | float64](n T) string {
	v, units := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	for v >= 1024 && len(units) > 1 {
		v, units = v/1024, units[1:]
	}
	if v >= 100 || v == math.Trunc(v) {
		return fmt.Sprintf("%.0f %s", v, units[0])
	}
	return fmt.Sprintf("%.1f %s", v, units[0])
}

// rate writes bytes per second, and each events per second.
func rate(perSecond float64) string { return size(perSecond) + "/s" }

func each(perSecond float64) string {
	if perSecond >= 100 {
		return count(int64(perSecond+0.5)) + "/s"
	}
	return fmt.Sprintf("%.1f/s", perSecond)
}

// span writes a duration to two units at most.
func span(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%d d %d h", int(d.Hours())/24, int(d.Hours())%24)
}

// ago writes how long before the latest sample a report's session ended.
func ago(s *proxy.Status, r proxy.ReportStatus) string {
	if len(s.Samples) == 0 {
		return ""
	}
	return since(s.Samples[len(s.Samples)-1].At - r.At)
}

// before writes how long ago a flow ended.
func before(s *proxy.DatagramStatus, r proxy.FlowReportStatus) string { return since(s.At - r.At) }

func since(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	if d < time.Minute {
		return fmt.Sprintf("%d s ago", int(d.Seconds()))
	}
	return span(d) + " ago"
}

// throughput returns bytes per second between samples, each way, and crowd
// the live sessions.
func throughput(samples []proxy.Sample, sent bool) []float64 {
	var out []float64
	for i := 1; i < len(samples); i++ {
		moved := samples[i].Received - samples[i-1].Received
		if sent {
			moved = samples[i].Sent - samples[i-1].Sent
		}
		out = append(out, float64(moved)/max((samples[i].At-samples[i-1].At).Seconds(), 1e-3))
	}
	return out
}

func crowd(samples []proxy.Sample) []float64 {
	var out []float64
	for _, s := range samples {
		out = append(out, float64(s.Live))
	}
	return out
}

// draining and listeners are of everything that a command serves.
func draining(v *snapshot) bool {
	return v.Proxy != nil && v.Proxy.Draining || v.Datagrams != nil && v.Datagrams.Draining
}

func listeners(v *snapshot) []string {
	var all []string
	if v.Proxy != nil {
		all = append(all, v.Proxy.Listeners...)
	}
	if v.Datagrams != nil {
		all = append(all, v.Datagrams.Listeners...)
	}
	if v.Echo != nil {
		all = append(all, v.Echo.Listeners...)
	}
	return all
}

// handshakes sums up what the loops have had of TLS, nil if that is nothing.
func handshakes(s *proxy.Status) *proxy.TLSStatus {
	var sum proxy.TLSStatus
	for _, l := range s.Loops {
		sum.Add(l.TLS)
	}
	if sum == (proxy.TLSStatus{}) {
		return nil
	}
	return &sum
}

// The size of a chart's drawing area, in its own units, and how many values
// fill it from side to side.
const (
	chartWidth  = 600
	chartHeight = 100
	chartValues = 120
)

// top returns the value at a chart's upper edge: the largest of all curves,
// rounded up to 1, 2 or 5 times a power of ten, so that the scale seldom moves.
func top(curves ...[]float64) float64 { return round125(largest(curves)) }

// topBytes does so within the units that size writes.
func topBytes(curves ...[]float64) float64 {
	v, unit := largest(curves), 1.0
	for v >= 1024*unit {
		unit *= 1024
	}
	return round125(v/unit) * unit
}

func largest(curves [][]float64) float64 {
	v := 1.0
	for _, c := range curves {
		v = max(v, slices.Max(append(c, 0)))
	}
	return v
}

func round125(v float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*unit {
			return m * unit
		}
	}
	return 10 * unit
}

// chart returns the points of a curve, the latest value at the right edge.
func chart(values []float64, scale float64) string {
	var b strings.Builder
	for i, v := range values {
		x := chartWidth - float64(len(values)-1-i)*chartWidth/(chartValues-1)
		fmt.Fprintf(&b, "%.1f,%.1f ", x, chartHeight-v/scale*chartHeight)
	}
	return b.String()
}

// backendTitle is a backend's name as its makers write it.
func backendTitle(name string) string {
	if name == "uring" {
		return "io_uring"
	}
	return name
}

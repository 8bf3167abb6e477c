package result

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// The range and precision of a [Histogram]: what is shorter or longer counts
// as the end of the range.
const (
	MinLatency = 100 * time.Nanosecond
	MaxLatency = 2 * time.Minute
	digits     = 3 // significant ones
)

// A Histogram counts latencies by HdrHistogram. Its text, in JSON too, is the V2
// compressed encoding that HdrHistogram's tools read, of values in ns.
type Histogram struct{ h *hdrhistogram.Histogram }

// NewHistogram returns an empty one.
func NewHistogram() *Histogram {
	return &Histogram{hdrhistogram.New(int64(MinLatency), int64(MaxLatency), digits)}
}

// Record counts n latencies of d.
func (h *Histogram) Record(d time.Duration, n int64) {
	_ = h.h.RecordValues(int64(min(max(d, 0), MaxLatency)), n) // within the range there is no error
}

// Count returns how many there are.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// Quantile returns the latency that a part q, from 0 to 1, of all do not exceed.
func (h *Histogram) Quantile(q float64) time.Duration {
	return time.Duration(h.h.ValueAtPercentile(100 * q))
}

// Max returns the longest.
func (h *Histogram) Max() time.Duration { return time.Duration(h.h.Max()) }

// Mean returns the average.
func (h *Histogram) Mean() time.Duration { return time.Duration(h.h.Mean()) }

// Merge adds what another has counted.
func (h *Histogram) Merge(from *Histogram) { h.h.Merge(from.h) }

// MarshalText encodes it.
func (h *Histogram) MarshalText() ([]byte, error) {
	return h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
}

// UnmarshalText decodes it.
func (h *Histogram) UnmarshalText(text []byte) error {
	decoded, err := hdrhistogram.Decode(text)
	if err != nil {
		return err
	}
	h.h = decoded
	return nil
}

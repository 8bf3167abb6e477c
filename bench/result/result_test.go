package result

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestHistogramAsText(t *testing.T) {
	h := NewHistogram()
	h.Record(time.Millisecond, 99)
	h.Record(50*time.Millisecond, 1)
	h.Record(time.Hour, 1) // beyond the range
	h.Record(-1, 1)
	text, err := json.Marshal(h)
	if err != nil || !strings.HasPrefix(string(text), `"HISTF`) {
		t.Fatalf("%s, %v, want what HdrHistogram's tools read", text, err)
	}
	var back Histogram
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{0.5, 0.99, 1} {
		if a, b := h.Quantile(q), back.Quantile(q); a != b {
			t.Errorf("quantile %v: %v, and %v after encoding", q, a, b)
		}
	}
	if back.Count() != 102 || back.Max() < MaxLatency || back.Max() > MaxLatency+time.Second {
		t.Errorf("%d, max %v", back.Count(), back.Max())
	}
	back.Merge(h)
	if back.Count() != 204 {
		t.Errorf("%d after a merge, want 204", back.Count())
	}
	if err := json.Unmarshal([]byte(`"xyz"`), &back); err == nil {
		t.Error("nonsense is no error")
	}
}

func TestMedianOf(t *testing.T) {
	for _, test := range []struct {
		values           []float64
		value, low, high float64
	}{
		{[]float64{3}, 3, 3, 3},
		{[]float64{4, 1}, 2.5, 1, 4},
		{[]float64{5, 1, 3, 2, 4}, 3, 1, 5},
		// Of nine, the second and the eighth hold the median with 96 %; the third and the seventh with 82 %.
		{[]float64{9, 8, 7, 6, 5, 4, 3, 2, 1}, 5, 2, 8},
		{[]float64{1, 2, 3, 4, 5, 6}, 3.5, 1, 6},
	} {
		m, ok := MedianOf(test.values)
		if !ok || m.Value != test.value || m.Low != test.low || m.High != test.high || m.N != len(test.values) {
			t.Errorf("%v: %+v, want %v in %v to %v", test.values, m, test.value, test.low, test.high)
		}
	}
	if _, ok := MedianOf(nil); ok {
		t.Error("nothing has a median")
	}
}

func sample(round int, cost time.Duration, requests uint64) Sample {
	user, system := cost*time.Duration(requests), time.Duration(0)
	return Sample{Round: round, Requests: requests, Elapsed: time.Second, User: &user, System: &system}
}

func cpu(s *Sample) (float64, bool) {
	d, ok := s.CPU()
	return float64(d), ok
}

func TestRatiosBelongToARound(t *testing.T) {
	c := Case{Peers: []Peer{
		{Name: "a", Rounds: []Sample{sample(1, 20, 100), sample(2, 200, 100), {Round: 3, Error: "x"}, sample(4, 6, 100)}},
		{Name: "b", Rounds: []Sample{sample(1, 10, 100), sample(2, 100, 100), sample(3, 7, 100)}},
	}}
	m, ok := c.Ratio(&c.Peers[0], "b", cpu)
	if !ok || m.Value != 2 || m.Low != 2 || m.High != 2 || m.N != 2 {
		t.Errorf("%+v, %v, want 2 in both rounds that have both", m, ok)
	}
	if _, ok := c.Ratio(&c.Peers[0], "c", cpu); ok {
		t.Error("a ratio to nobody")
	}
	if m, ok := c.Peers[0].Median(cpu); !ok || m.Value != 20 || m.N != 3 {
		t.Errorf("%+v, %v", m, ok)
	}
}

// A figure that could not be had is missing in JSON, and is not 0.
func TestMissingFigures(t *testing.T) {
	text, err := json.Marshal(Sample{Round: 1})
	if err != nil || string(text) != `{"round":1,"bad":0}` {
		t.Errorf("%s, %v", text, err)
	}
	s := Sample{Requests: 5}
	if _, ok := s.CPU(); ok || s.Rate() != 0 {
		t.Error("what is not known has a value")
	}
}

func TestAbout(t *testing.T) {
	for want, c := range map[string]Case{
		"1 connection, 1 byte, 16 in flight":    {Workload: "echo", Conns: 1, Size: 1, Depth: 16},
		"50 connections, 64 bytes, 1 in flight": {Workload: "udp", Conns: 50, Size: 64, Depth: 1},
		"2 connections, 64 bytes, at most 4 in flight on each, 2.5 requests due per second; latencies count from when they were due": {
			Workload: "tls", Conns: 2, Size: 64, Depth: 4, Rate: 2.5,
		},
		// A datagram leaves when it is due, whatever is in flight.
		"2 connections, 64 bytes, 100 requests due per second; latencies count from when they were due": {
			Workload: "udp", Conns: 2, Size: 64, Depth: 1, Rate: 100,
		},
	} {
		if got := c.About(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func ExampleMedianOf() {
	m, _ := MedianOf([]float64{1.01, 1.02, 0.99, 1.00, 1.05, 1.03, 1.00, 1.01, 0.98})
	fmt.Printf("%.2f [%.2f, %.2f]\n", m.Value, m.Low, m.High)
	// Output: 1.01 [0.99, 1.03]
}

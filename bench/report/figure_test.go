package report

import (
	"strings"
	"testing"
	"time"

	"mobius/bench/result"
)

// full returns a sample whose figures are all different, in an open loop.
func full() result.Sample {
	user, system := 3*time.Millisecond, 4*time.Millisecond
	mallocs, switches, preempted, collections, lost := uint64(500), uint64(250), uint64(125), uint64(6), uint64(50)
	descriptors, resident := int64(100), int64(120_000)
	sent, due := result.NewHistogram(), result.NewHistogram()
	sent.Record(time.Microsecond, 1000)
	due.Record(time.Second, 1000)
	return result.Sample{
		Round: 1, Requests: 1000, Elapsed: 2 * time.Second, User: &user, System: &system, Mallocs: &mallocs, VoluntarySwitches: &switches,
		InvoluntarySwitches: &preempted, GCs: &collections, Lost: &lost,
		AddedDescriptors: &descriptors, AddedResident: &resident, Latency: sent, Corrected: due,
	}
}

// Each figure is what it is named for; in an open loop latencies count from when
// requests were due. What a sample does not have is no figure, and not 0.
func TestFigures(t *testing.T) {
	c := echo(50)
	want := map[string]float64{
		"cpu-ns/req": 7000, "user-ns/req": 3000, "sys-ns/req": 4000, "req/s": 500, "mallocs/req": 0.5, "switches/req": 0.25,
		"preempted/req": 0.125, "gcs/s": 3, "lost/req": 0.05,
		"fds/conn": 2, "B/conn": 2400, "p50-ns": 1e9, "p99-ns": 1e9, "p99.9-ns": 1e9, "p99.99-ns": 1e9,
	}
	s, none, failed := full(), result.Sample{Round: 1, Requests: 10}, full()
	failed.Error = "the server died"
	for _, f := range Figures() {
		v, ok := f.Of(&c, &s)
		if near := want[f.Unit]; !ok || v < near*0.98 || v > near*1.02 {
			t.Errorf("%s: %v %v, want %v", f.Unit, v, ok, near)
		}
		if v, ok := f.Of(&c, &none); ok && f.Unit != "req/s" {
			t.Errorf("%s of a sample without it: %v", f.Unit, v)
		}
		if f.More != (f.Unit == "req/s") {
			t.Errorf("%s: more of it is better: %v", f.Unit, f.More)
		}
	}
	if v, ok := figure("req/s").Of(&c, &failed); ok {
		t.Errorf("a sample that failed answers %v requests per second", v)
	}
	s.Corrected = nil
	if v, _ := figure("p50-ns").Of(&c, &s); v > 1100 {
		t.Errorf("in a closed loop p50 is %v ns, want 1000", v)
	}
}

// A mark needs six rounds, and an interval without 1.
func TestMarksOfRounds(t *testing.T) {
	net := peerOf("net", steady(1000)...)
	for _, test := range []struct {
		name  string
		costs []time.Duration
		want  string
	}{
		{"five", steady(2000)[:5], "few rounds"},
		{"six", steady(2000), "▲ worse"},
		{"mixed", []time.Duration{500, 2000, 500, 2000, 500, 2000}, "≈ same"},
		{"less", steady(500), "▼ better"},
	} {
		c := echo(50, net, peerOf(test.name, test.costs...))
		if row := viewRow(&c, &c.Peers[1], "net"); row.Mark != test.want {
			t.Errorf("%s: %q, want %q (ratio %v)", test.name, row.Mark, test.want, row.Ratio)
		}
		c.Peers[1].Rounds[2].Bad = 1
		if row := viewRow(&c, &c.Peers[1], "net"); row.Mark != "wrong bytes" {
			t.Errorf("%s, with wrong bytes: %q", test.name, row.Mark)
		}
		c.Peers[1].Rounds[2].Bad = 0
		if row := viewRow(&c, &c.Peers[0], "net"); row.Mark != "held against" {
			t.Errorf("net: %q", row.Mark)
		}
	}
}

// Whatever was wrong with samples stands beside their figures, the worst first.
func TestRemarks(t *testing.T) {
	lost := uint64(3)
	p := result.Peer{Rounds: []result.Sample{{Bad: 5, Disturbed: "a compiler"}, {Lost: &lost}, {Error: "it died", Bad: 2}}}
	text, kind := remarks(&p)
	const want = "1 of 3 rounds failed, 7 bytes were wrong, 3 datagrams lost, ⚠ 1 of 3 rounds disturbed: a compiler; it died"
	if text != want || kind != "worse" {
		t.Errorf("%q %q, want %q worse", text, kind, want)
	}
	for kind, s := range map[string]result.Sample{"": {}, "note": {Lost: &lost}, "worse": {Bad: 1}} {
		if text, k := remarks(&result.Peer{Rounds: []result.Sample{s}}); k != kind || (text == "") != (kind == "") {
			t.Errorf("%+v: %q %q, want %q", s, text, k, kind)
		}
	}
}

// A comparison with a run that was disturbed, or made elsewhere, says so.
func TestCompareWarns(t *testing.T) {
	old, now := reportOf(), reportOf()
	if c := Compare(old, now); len(c.Warnings) != 0 {
		t.Errorf("alike: %q", c.Warnings)
	}
	old.Disturbed = []string{"a compiler"}
	old.Machine.CPU, old.Machine.CPUs, old.Go = "another CPU", 4, "go2"
	now.Machine.Servers, now.Machine.Loads = []int{0}, []int{1}
	got := strings.Join(Compare(old, now).Warnings, "\n")
	for _, want := range []string{
		"disturbed", `CPU differs: "another CPU" before, "a CPU" now`, `processors differs: "4" before`, `Go differs: "go2"`,
		`pinning differs: "none" before, "servers [0], load [1]" now`,
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%q does not stand in %q once", want, got)
		}
	}
}

package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"mobius/bench/result"
)

// What makes a run doubtful is counted over all its samples, and said once.
func TestJudge(t *testing.T) {
	sample := func(load, server time.Duration, disturbed string) result.Sample {
		user, system := server/4, server-server/4
		return result.Sample{Requests: 1, Elapsed: time.Second, LoadCPU: &load, User: &user, System: &system, Disturbed: disturbed}
	}
	const all, some = 960 * time.Millisecond, 890 * time.Millisecond
	for _, test := range []struct {
		name      string
		samples   []result.Sample
		governor  string
		disturbed string // what is said, a line each
		notes     string
	}{
		{"quiet", []result.Sample{sample(some, all, ""), sample(some, some, "")}, "performance", "", ""},
		{"no governor", nil, "", "", ""},
		{"governor", nil, "powersave", `the processors' frequency governor is "powersave", not performance`, ""},
		{"disturbed", []result.Sample{sample(some, all, ""), sample(some, all, "a compiler"), sample(some, all, "a compiler")}, "",
			"2 of 3 samples were disturbed", ""},
		{"the load's limit", []result.Sample{sample(all, some, ""), sample(some, all, "")}, "", "", "in 1 of 2 samples the load had no"},
		{"both at their limit", []result.Sample{sample(all, all, "")}, "", "", ""},
		{"wrong bytes", []result.Sample{{Requests: 1, Bad: 5}, {Requests: 1, Bad: 2}}, "", "", "7 bytes of a were wrong or missing in "},
		{"unknown", []result.Sample{{Requests: 1, Elapsed: time.Second}}, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := result.Case{Peers: []result.Peer{{Name: "a", Rounds: test.samples}}}
			r := &runner{o: &Options{Cases: make([]Case, 2)}}
			r.report = &result.Report{Cases: []result.Case{{}, c}, Machine: result.Machine{Governor: test.governor}}
			r.judge()
			for what, said := range map[string][2][]string{
				"disturbed": {r.report.Disturbed, {test.disturbed}}, "notes": {r.report.Notes, {test.notes}},
			} {
				got, want := fmt.Sprint(strings.Join(said[0], "\n")), said[1][0]
				if !strings.HasPrefix(got, want) || (want == "") != (got == "") || strings.Count(got, "\n") > 0 {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
		})
	}
}

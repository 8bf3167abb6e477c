package bench

import (
	"fmt"
	"time"

	"mobius/bench/result"
)

// judge says what makes a run doubtful.
func (r *runner) judge() {
	samples, disturbed, limited := 0, 0, 0
	for i := range r.report.Cases {
		for j := range r.report.Cases[i].Peers {
			p := &r.report.Cases[i].Peers[j]
			if n := p.Bad(); n > 0 {
				r.note(fmt.Sprintf("%d bytes of %s were wrong or missing in %s: what it costs is no figure", n, p.Name, r.o.Cases[i]))
			}
			for k := range p.Rounds {
				s := &p.Rounds[k]
				samples++
				if s.Disturbed != "" {
					disturbed++
				}
				if limitedByLoad(s) {
					limited++
				}
			}
		}
	}
	if disturbed > 0 {
		r.report.Disturbed = append(r.report.Disturbed,
			fmt.Sprintf("%d of %d samples were disturbed; they say by what", disturbed, samples))
	}
	if limited > 0 {
		r.note(fmt.Sprintf("in %d of %d samples the load had no processor time left: requests per second are its limit there, "+
			"the cost of a request is not", limited, samples))
	}
	if g := r.report.Machine.Governor; g != "" && g != "performance" {
		r.report.Disturbed = append(r.report.Disturbed,
			fmt.Sprintf("the processors' frequency governor is %q, not performance", g))
	}
}

// limitedByLoad reports whether the load has used its processor, and the
// server has not.
func limitedByLoad(s *result.Sample) bool {
	if s.LoadCPU == nil || s.User == nil || s.System == nil {
		return false
	}
	server := *s.User + *s.System
	return *s.LoadCPU > s.Elapsed*95/100 && server < s.Elapsed*90/100
}

// upstreamCPU returns what the echo behind the proxies has spent so far.
func (r *runner) upstreamCPU() time.Duration {
	if r.upstream == nil {
		return 0
	}
	return tree{r.upstream.cmd.Process.Pid}.spent().total
}

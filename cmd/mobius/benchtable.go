package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"mobius/bench/result"
)

// printReport writes a report as tables, one for each case.
func printReport(w io.Writer, r *result.Report, against string) {
	m := r.Machine
	fmt.Fprintf(w, "%s, %d processors, %s, %s; %s\n", m.Kernel, m.CPUs, m.CPU, r.Go, r.Started.UTC().Format("2006-01-02 15:04 MST"))
	if len(m.Servers) > 0 {
		fmt.Fprintf(w, "servers on %v, load on %v\n", m.Servers, m.Loads)
	}
	for i := range r.Cases {
		printCase(w, &r.Cases[i], against)
	}
	for _, text := range append(r.Notes, r.Disturbed...) {
		fmt.Fprintln(w, "note:", text)
	}
}

func printCase(w io.Writer, c *result.Case, against string) {
	fmt.Fprintf(w, "\n%s: %s\n", c.Workload, c.About())
	if len(c.Peers) == 0 {
		fmt.Fprintln(w, "  none of the peers can serve it")
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	columns := []string{
		"", "µs/request", "interval", "÷ " + against, "interval", "requests/s", "p50 µs", "p99 µs", "p99.9 µs", "p99.99 µs",
		"calls", "all switches", "mallocs", "",
	}
	idle := strings.HasSuffix(c.Workload, "idle")
	if idle {
		columns = []string{"", "descriptors each", "bytes each", ""}
	}
	fmt.Fprintln(t, strings.Join(columns, "\t"))
	for i := range c.Peers {
		p := &c.Peers[i]
		row := benchRow(c, p, against)
		if idle {
			row = idleRow(c, p)
		}
		if p.Missing == "" {
			fmt.Fprintln(t, p.Name+"\t"+strings.Join(row, "\t")+"\t"+remarks(p))
		}
	}
	t.Flush()
	for i := range c.Peers {
		if p := &c.Peers[i]; p.Missing != "" {
			fmt.Fprintf(w, "  %s is left out: %s\n", p.Name, p.Missing)
		}
	}
}

// A figure of a sample, and whether it is known.
type figure = func(*result.Sample) (float64, bool)

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func cpuFigure(s *result.Sample) (float64, bool) {
	d, ok := s.CPU()
	return micros(d), ok
}

func rateFigure(s *result.Sample) (float64, bool) { return s.Rate(), s.Error == "" }

func latencyFigure(q float64) figure {
	return func(s *result.Sample) (float64, bool) {
		h := s.Latency
		if s.Corrected != nil {
			h = s.Corrected
		}
		if h == nil || h.Count() == 0 {
			return 0, false
		}
		return micros(h.Quantile(q)), true
	}
}

func mallocFigure(s *result.Sample) (float64, bool) {
	if s.Mallocs == nil || s.Requests == 0 {
		return 0, false
	}
	return float64(*s.Mallocs) / float64(s.Requests), true
}

// switchFigure is of all context switches, whoever wanted them.
func switchFigure(s *result.Sample) (float64, bool) {
	if s.VoluntarySwitches == nil || s.InvoluntarySwitches == nil || s.Requests == 0 {
		return 0, false
	}
	return float64(*s.VoluntarySwitches+*s.InvoluntarySwitches) / float64(s.Requests), true
}

// cell writes a median, or a dash for one that is not known.
func cell(m result.Median, ok bool, digits int) string {
	if !ok {
		return "-"
	}
	return fmt.Sprintf("%.*f", digits, m.Value)
}

func interval(m result.Median, ok bool) string {
	if !ok || m.N < 2 {
		return "-"
	}
	return fmt.Sprintf("%.2f…%.2f", m.Low, m.High)
}

func benchRow(c *result.Case, p *result.Peer, against string) []string {
	cpu, hasCPU := p.Median(cpuFigure)
	ratio, hasRatio := c.Ratio(p, against, cpuFigure)
	row := []string{cell(cpu, hasCPU, 2), interval(cpu, hasCPU), cell(ratio, hasRatio, 3), interval(ratio, hasRatio)}
	rate, ok := p.Median(rateFigure)
	row = append(row, cell(rate, ok, 0))
	for _, q := range []float64{0.5, 0.99, 0.999, 0.9999} {
		latency, ok := p.Median(latencyFigure(q))
		row = append(row, cell(latency, ok, 0))
	}
	calls := "-"
	if p.Syscalls != nil {
		calls = fmt.Sprintf("%.2f", *p.Syscalls)
	}
	switches, hasSwitches := p.Median(switchFigure)
	mallocs, hasMallocs := p.Median(mallocFigure)
	return append(row, calls, cell(switches, hasSwitches, 3), cell(mallocs, hasMallocs, 3))
}

func idleRow(c *result.Case, p *result.Peer) []string {
	each := func(get func(*result.Sample) *int64, digits int) string {
		m, ok := p.Median(func(s *result.Sample) (float64, bool) {
			if v := get(s); v != nil {
				return float64(*v) / float64(c.Conns), true
			}
			return 0, false
		})
		return cell(m, ok, digits)
	}
	return []string{
		each(func(s *result.Sample) *int64 { return s.AddedDescriptors }, 2),
		each(func(s *result.Sample) *int64 { return s.AddedResident }, 0),
	}
}

// remarks says what is wrong with a peer's samples.
func remarks(p *result.Peer) string {
	failed, disturbed, bad, lost := 0, 0, uint64(0), uint64(0)
	for i := range p.Rounds {
		s := &p.Rounds[i]
		bad += s.Bad
		if s.Error != "" {
			failed++
		}
		if s.Disturbed != "" {
			disturbed++
		}
		if s.Lost != nil {
			lost += *s.Lost
		}
	}
	var out []string
	for _, r := range []struct {
		n    uint64
		text string
	}{{uint64(failed), "rounds FAILED"}, {bad, "BAD bytes"}, {lost, "datagrams lost"}, {uint64(disturbed), "rounds disturbed"}} {
		if r.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", r.n, r.text))
		}
	}
	return "  " + strings.Join(out, ", ")
}

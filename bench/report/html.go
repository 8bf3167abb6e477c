package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"mobius/bench/result"
)

// A Page says how a report is shown.
type Page struct {
	Against string         // the peer that others are held against
	Old     *result.Report // an earlier run to compare with; nil: none
	Dir     string         // where profiles are looked for that are not where the report says
}

//go:embed page.html
var pageText string

// HTML writes a report as one page that needs nothing else. Names in it are
// escaped, wherever they come from. A profile that cannot be read is said to be so in
// its place.
func HTML(w io.Writer, r *result.Report, page Page) error {
	t, err := template.New("page").Parse(pageText)
	if err != nil {
		return err
	}
	v := view{Report: r, Against: page.Against, Command: "mobius bench " + r.Flags}
	v.Dashes = []template.CSS{"none", "7 3", "2 3", "10 3 2 3", "none", "7 3", "2 3", "10 3 2 3"}
	for i := range r.Cases {
		v.Cases = append(v.Cases, viewCase(&r.Cases[i], i, page))
	}
	v.Growth = growth(r)
	if page.Old != nil {
		v.Compared = viewComparison(page.Old, r)
	}
	return t.Execute(w, v)
}

// A view is what the page is made from.
type view struct {
	*result.Report
	Against, Command string
	Cases            []caseView
	Growth           []growthView
	Compared         *comparisonView
	Dashes           []template.CSS // of the curves, so that colour is not all that tells them apart
}

// A caseView is one case on the page.
type caseView struct {
	ID, Name, About  string
	Rows             []rowView
	Idle             bool
	Legend           []legend
	Curves, CPU      template.HTML
	Rate, FDs, Bytes template.HTML
	Missing          []string
	Profiles         []profileView
}

type legend struct {
	Name  string
	Class string
}

// A cell is a median with its interval, or an empty text.
type cell struct{ Value, Interval string }

type rowView struct {
	Name, Command                        string
	CPU, Ratio, Rate, FDs, Bytes         cell
	P50, P99, P999, P9999                cell
	Of                                   []cell // the columns of the table below
	Checked                              string
	Mark, MarkClass, Remarks, RemarkKind string
}

type profileView struct {
	Peer, Error string
	*cpuProfile
	Flame template.HTML
}

func viewCase(c *result.Case, i int, page Page) caseView {
	v := caseView{ID: fmt.Sprintf("case%d", i+1), Name: CaseName(c), About: c.About(), Idle: strings.HasSuffix(c.Workload, "idle")}
	var curves []curve
	for j := range c.Peers {
		p := &c.Peers[j]
		if p.Missing != "" {
			v.Missing = append(v.Missing, p.Name+": "+p.Missing)
			continue
		}
		v.Rows = append(v.Rows, viewRow(c, p, page.Against))
		if h := merged(p); h != nil {
			curves = append(curves, latencyCurve(p.Name, h))
			v.Legend = append(v.Legend, legend{p.Name, fmt.Sprintf("s%d", (len(curves)-1)%series)})
		}
		if p.Profile != "" {
			pv := profileView{Peer: p.Name}
			var err error
			if pv.cpuProfile, err = readProfile(page.Dir, p.Profile); err != nil {
				pv.cpuProfile, pv.Error = &cpuProfile{}, err.Error()
			}
			pv.Flame = drawFlame("flame graph of "+p.Name, pv.root)
			v.Profiles = append(v.Profiles, pv)
		}
	}
	v.Curves = plot("latency by percentile", "percentile", curves, percentiles(curves), func(y float64) string { return show("p50-ns", y) })
	v.CPU = cpuBars(c)
	v.Rate = oneBars(c, "req/s")
	v.FDs, v.Bytes = oneBars(c, "fds/conn"), oneBars(c, "B/conn")
	return v
}

func viewRow(c *result.Case, p *result.Peer, against string) rowView {
	median := func(unit string) cell {
		m, ok := p.Median(figure(unit).of(c))
		return medianCell(unit, m, ok)
	}
	row := rowView{
		Name: p.Name, Command: p.Command, CPU: median("cpu-ns/req"), Rate: median("req/s"), P50: median("p50-ns"), P99: median("p99-ns"),
		P999: median("p99.9-ns"), P9999: median("p99.99-ns"), FDs: median("fds/conn"), Bytes: median("B/conn"), Checked: checked(p),
	}
	calls := cell{}
	if p.Syscalls != nil {
		calls.Value = three(*p.Syscalls)
	}
	row.Of = []cell{median("user-ns/req"), median("sys-ns/req"), calls, median("switches/req"), median("preempted/req"),
		median("mallocs/req"), median("gcs/s")}
	if m, ok := c.Ratio(p, against, figure("cpu-ns/req").of(c)); ok {
		row.Ratio = cell{fmt.Sprintf("%.2f", m.Value), interval("", m)}
		switch {
		case p.Bad() > 0:
			row.Mark, row.MarkClass = "wrong bytes", "worse"
		case p.Name == against:
			row.Mark = "held against"
		case m.N < 6: // the interval of fewer is not one of 95 %
			row.Mark, row.MarkClass = "few rounds", "same"
		case m.High < 1:
			row.Mark, row.MarkClass = "▼ better", "better"
		case m.Low > 1:
			row.Mark, row.MarkClass = "▲ worse", "worse"
		default:
			row.Mark, row.MarkClass = "≈ same", "same"
		}
	}
	row.Remarks, row.RemarkKind = remarks(p)
	return row
}

// checked says how much was compared with what it should be.
func checked(p *result.Peer) string {
	var n uint64
	for i := range p.Rounds {
		n += p.Rounds[i].Bytes
	}
	return fmt.Sprintf("%s, %d wrong", show("B/conn", float64(n)), p.Bad())
}

func medianCell(unit string, m result.Median, ok bool) cell {
	if !ok {
		return cell{}
	}
	return cell{show(unit, m.Value), interval(unit, m)}
}

func interval(unit string, m result.Median) string {
	if m.N < 2 {
		return ""
	}
	if unit == "" {
		return fmt.Sprintf("%.2f – %.2f", m.Low, m.High)
	}
	return show(unit, m.Low) + " – " + show(unit, m.High)
}

// remarks says what is wrong with a peer's samples, and how bad that is.
func remarks(p *result.Peer) (text, kind string) {
	var out, why []string
	failed, disturbed, bad, lost := 0, 0, uint64(0), uint64(0)
	for i := range p.Rounds {
		s := &p.Rounds[i]
		bad += s.Bad
		if s.Lost != nil {
			lost += *s.Lost
		}
		if s.Error != "" {
			failed++
			if !slices.Contains(why, s.Error) {
				why = append(why, s.Error)
			}
		}
		if s.Disturbed != "" {
			disturbed++
			if len(why) < 3 && !slices.Contains(why, s.Disturbed) {
				why = append(why, s.Disturbed)
			}
		}
	}
	add := func(n uint64, format, severity string) {
		if n > 0 {
			out = append(out, fmt.Sprintf(format, n))
			if kind == "" {
				kind = severity
			}
		}
	}
	add(uint64(failed), fmt.Sprintf("%%d of %d rounds failed", len(p.Rounds)), "worse")
	add(bad, "%d bytes were wrong", "worse")
	add(lost, "%d datagrams lost", "note")
	add(uint64(disturbed), fmt.Sprintf("⚠ %%d of %d rounds disturbed", len(p.Rounds)), "note")
	text = strings.Join(out, ", ")
	if len(why) > 0 {
		text += ": " + strings.Join(why, "; ")
	}
	return text, kind
}

// merged adds up the latencies of all rounds; nil if there are none.
func merged(p *result.Peer) *result.Histogram {
	var out *result.Histogram
	for i := range p.Rounds {
		if h := latency(&p.Rounds[i]); h != nil {
			if out == nil {
				out = result.NewHistogram()
			}
			out.Merge(h)
		}
	}
	return out
}

// A comparisonView is the comparison on the page.
type comparisonView struct {
	*Comparison
	Started, Commit, Summary string
	Shown, Rest              []deltaView // figures that differ, and those of which that is not shown
}

type deltaView struct{ Case, Peer, Figure, Old, New, Change, Interval, Mark, Class string }

func viewComparison(old, now *result.Report) *comparisonView {
	v := &comparisonView{Comparison: Compare(old, now), Started: old.Started.UTC().Format("2006-01-02 15:04 MST"), Commit: old.Commit}
	for _, d := range v.Deltas {
		mark, class := "≈ ", "same"
		switch d.Verdict {
		case Better:
			mark, class = "✓ ", "better"
		case Worse:
			mark, class = "✗ ", "worse"
		}
		row := deltaView{
			d.Case, d.Peer, d.Figure.Name, show(d.Figure.Unit, d.Old.Value), show(d.Figure.Unit, d.New.Value), percent(d.Ratio.Value),
			percent(d.Ratio.Low) + " – " + percent(d.Ratio.High), mark + string(d.Verdict), class,
		}
		if class == "same" {
			v.Rest = append(v.Rest, row)
		} else {
			v.Shown = append(v.Shown, row)
		}
	}
	v.Summary = v.Comparison.Summary()
	return v
}

func percent(ratio float64) string { return fmt.Sprintf("%+.1f %%", 100*(ratio-1)) }

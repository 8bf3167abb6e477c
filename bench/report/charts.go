package report

import (
	"fmt"
	"html/template"
	"math"
	"slices"
	"strconv"

	"mobius/bench/result"
)

// latencyCurve has x as 1/(1-q), so that a log axis shows nines evenly. It ends
// where the requests counted are too few to tell more.
func latencyCurve(name string, h *result.Histogram) curve {
	c := curve{name: name}
	for x := 2.0; x <= 1e6; x *= math.Pow(10, 0.05) {
		if x > 2 && x > float64(h.Count()) {
			break
		}
		c.x, c.y = append(c.x, x), append(c.y, float64(h.Quantile(1-1/x)))
	}
	return c
}

// percentiles is the x axis of such curves.
func percentiles(curves []curve) *axis {
	last := 10.0
	for _, c := range curves {
		last = max(last, c.x[len(c.x)-1])
	}
	a := &axis{low: 2, high: last, from: plotLeft, to: plotRight}
	for _, x := range []float64{2, 10, 100, 1000, 10000, 100000, 1000000} {
		if x <= last {
			a.ticks = append(a.ticks, x)
		}
	}
	a.label = func(x float64) string {
		if x <= 2 {
			return strconv.Itoa(int(100-100/x)) + " %"
		}
		return strconv.FormatFloat(100-100/x, 'f', max(int(math.Round(math.Log10(x)))-2, 0), 64) + " %"
	}
	return a
}

// cpuBars shows the processor time of a request: user and system, and the
// interval of both together.
func cpuBars(c *result.Case) template.HTML {
	var all []bar
	for i := range c.Peers {
		p := &c.Peers[i]
		total, ok := p.Median(figure("cpu-ns/req").of(c))
		if !ok {
			continue
		}
		user, _ := p.Median(figure("user-ns/req").of(c))
		system, _ := p.Median(figure("sys-ns/req").of(c))
		// The medians of parts need not add up to that of the whole: their proportion is shown.
		share := 0.5
		if user.Value+system.Value > 0 {
			share = user.Value / (user.Value + system.Value)
		}
		all = append(all, bar{
			name: p.Name, parts: []float64{total.Value * share, total.Value * (1 - share)}, low: total.Low, high: total.High,
		})
		all[len(all)-1].note = disturbedMark(p)
	}
	return bars("processor time per request", "cpu-ns/req", []string{"user", "system"}, all)
}

// oneBars shows one figure.
func oneBars(c *result.Case, unit string) template.HTML {
	var all []bar
	f := figure(unit)
	for i := range c.Peers {
		if m, ok := c.Peers[i].Median(f.of(c)); ok {
			all = append(all, bar{c.Peers[i].Name, []float64{max(m.Value, 0)}, max(m.Low, 0), max(m.High, 0), disturbedMark(&c.Peers[i])})
		}
	}
	return bars(f.Name, unit, nil, all)
}

func disturbedMark(p *result.Peer) string {
	if slices.ContainsFunc(p.Rounds, func(s result.Sample) bool { return s.Disturbed != "" }) {
		return " ⚠"
	}
	return ""
}

// A growthView is how cost grows with connections, in cases that differ in nothing else.
type growthView struct {
	Name   string
	Plot   template.HTML
	Legend []legend
}

func growth(r *result.Report) (out []growthView) {
	byName := map[string][]*result.Case{}
	var names []string
	for i := range r.Cases {
		c := &r.Cases[i]
		name := fmt.Sprintf("%s, %d bytes, %d in flight", c.Workload, c.Size, c.Depth)
		if c.Rate > 0 {
			name += fmt.Sprintf(", %.0f requests per second", c.Rate)
		}
		if byName[name] == nil {
			names = append(names, name)
		}
		byName[name] = append(byName[name], c)
	}
	for _, name := range names {
		cases := byName[name]
		slices.SortFunc(cases, func(a, b *result.Case) int { return a.Conns - b.Conns })
		if cases[0].Conns == cases[len(cases)-1].Conns {
			continue
		}
		v := growthView{Name: name}
		curves := growthCurves(cases)
		for i, c := range curves {
			v.Legend = append(v.Legend, legend{c.name, fmt.Sprintf("s%d", i%series)})
		}
		v.Plot = plot("processor time per request by connections", "connections", curves, nil,
			func(y float64) string { return show("cpu-ns/req", y) })
		if v.Plot != "" {
			out = append(out, v)
		}
	}
	return out
}

// growthCurves returns a curve for each peer that has figures.
func growthCurves(cases []*result.Case) (curves []curve) {
	for _, c := range cases {
		for i := range c.Peers {
			p := &c.Peers[i]
			m, ok := p.Median(figure("cpu-ns/req").of(c))
			if !ok {
				continue
			}
			k := slices.IndexFunc(curves, func(c curve) bool { return c.name == p.Name })
			if k < 0 {
				k = len(curves)
				curves = append(curves, curve{name: p.Name})
			}
			curves[k].x, curves[k].y = append(curves[k].x, float64(c.Conns)), append(curves[k].y, m.Value)
		}
	}
	return curves
}

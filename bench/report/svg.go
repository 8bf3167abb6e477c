package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// A picture is an SVG under way. Texts are escaped by it; colours come from the
// page's style sheet by class, so that light and dark differ in one place.
type picture struct {
	strings.Builder
	w, h float64
}

func newPicture(w, h float64, title string) *picture {
	p := &picture{w: w, h: h}
	fmt.Fprintf(p, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, w, h, html.EscapeString(title))
	return p
}

func (p *picture) text(x, y float64, class, text string) {
	fmt.Fprintf(p, `<text x="%.1f" y="%.1f" class="%s">%s</text>`, x, y, class, html.EscapeString(text))
}

func (p *picture) line(x1, y1, x2, y2 float64, class string) {
	fmt.Fprintf(p, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>`, x1, y1, x2, y2, class)
}

// rect draws one with a text that shows when it is pointed at.
func (p *picture) rect(x, y, w, h float64, class, title string) {
	fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" class="%s"><title>%s</title></rect>`,
		x, y, max(w, 0.5), h, class, html.EscapeString(title))
}

func (p *picture) done() template.HTML {
	p.WriteString("</svg>")
	return template.HTML(p.String()) // all texts in it were escaped
}

// shorten cuts a text to n runes.
func shorten(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:max(n-1, 0)]) + "…"
}

// series is how many looks there are for curves: colours, and dashes.
const series = 8

// A curve is one line of a plot.
type curve struct {
	name string
	x, y []float64
}

// An axis turns values into places.
type axis struct {
	low, high float64 // of values; above 0
	from, to  float64 // of places
	label     func(float64) string
	ticks     []float64
}

// logAxis returns one that begins and ends with powers of ten, or close to
// the values if all lie within one.
func logAxis(values []float64, from, to float64, label func(float64) string) axis {
	low, high := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if high == 0 {
		low, high = 1, 10
	}
	a := axis{from: from, to: to, label: label}
	steps := []float64{1, 2, 5}
	if high/low > 300 {
		steps = []float64{1}
	}
	for e := math.Floor(math.Log10(low)); ; e++ {
		for _, s := range steps {
			tick := s * math.Pow(10, e)
			a.ticks = append(a.ticks, tick)
			if tick > high {
				for len(a.ticks) > 1 && a.ticks[1] <= low {
					a.ticks = a.ticks[1:]
				}
				a.low, a.high = a.ticks[0], tick
				return a
			}
		}
	}
}

func (a *axis) place(v float64) float64 {
	return a.from + (a.to-a.from)*math.Log(max(v, a.low)/a.low)/math.Log(a.high/a.low)
}

// The places in a plot.
const (
	plotWidth  = 720.0
	plotHeight = 300.0
	plotLeft   = 66.0
	plotRight  = plotWidth - 14
	plotTop    = 12.0
	plotBottom = plotHeight - 40
)

// plot draws curves; those with one value are a point. xs names the places on the
// x axis, if they are not to be found by the values.
func plot(title, xLabel string, curves []curve, xs *axis, yLabel func(float64) string) template.HTML {
	var allX, allY []float64
	for _, c := range curves {
		allX, allY = append(allX, c.x...), append(allY, c.y...)
	}
	if len(allY) == 0 {
		return ""
	}
	if xs == nil {
		a := logAxis(allX, plotLeft, plotRight, func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) })
		xs = &a
	}
	y := logAxis(allY, plotBottom, plotTop, yLabel)
	p := newPicture(plotWidth, plotHeight, title)
	for _, t := range y.ticks {
		p.line(plotLeft, y.place(t), plotRight, y.place(t), "grid")
		p.text(plotLeft-6, y.place(t)+4, "end", y.label(t))
	}
	for _, t := range xs.ticks {
		class := "mid"
		if xs.place(t) > plotRight-20 { // half of a label does not fit beside it
			class = "end"
		}
		p.line(xs.place(t), plotTop, xs.place(t), plotBottom, "grid")
		p.text(xs.place(t), plotBottom+20, class, xs.label(t))
	}
	p.text((plotLeft+plotRight)/2, plotHeight-4, "mid", xLabel)
	for i, c := range curves {
		var points strings.Builder
		for k := range c.x {
			fmt.Fprintf(&points, "%.1f,%.1f ", xs.place(c.x[k]), y.place(c.y[k]))
		}
		fmt.Fprintf(p, `<polyline points="%s" class="curve s%d"><title>%s</title></polyline>`,
			points.String(), i%series, html.EscapeString(c.name))
		last := len(c.x) - 1
		fmt.Fprintf(p, `<circle cx="%.1f" cy="%.1f" r="3.5" class="dot s%d"><title>%s</title></circle>`,
			xs.place(c.x[last]), y.place(c.y[last]), i%series, html.EscapeString(c.name+": "+y.label(c.y[last])))
	}
	return p.done()
}

// A bar is one of a bar chart: parts after another, with an interval around
// their sum.
type bar struct {
	name      string
	parts     []float64
	low, high float64 // 0, 0: none
	note      string
}

// bars draws them, the first parts left. Kinds are the parts' names.
func bars(title, unit string, kinds []string, all []bar) template.HTML {
	most := 0.0
	for _, b := range all {
		most = max(most, b.high, sum(b.parts))
	}
	if len(all) == 0 || most == 0 {
		return ""
	}
	const left, row, right = 170.0, 26.0, 130.0
	p := newPicture(plotWidth, row*float64(len(all))+6, title)
	scale := (plotWidth - left - right) / most
	for i, b := range all {
		y, x := row*float64(i)+4, left
		p.text(left-8, y+14, "end", shorten(b.name, 17))
		for k, v := range b.parts {
			label := b.name + ": " + show(unit, v)
			if k < len(kinds) {
				label = b.name + ", " + kinds[k] + ": " + show(unit, v)
			}
			p.rect(x, y, v*scale, row-8, fmt.Sprintf("part%d", k), label)
			x += v * scale
		}
		end := x
		if b.high > b.low {
			low, high := left+b.low*scale, left+b.high*scale
			p.line(low, y+9, high, y+9, "whisker")
			p.line(low, y+5, low, y+13, "whisker")
			p.line(high, y+5, high, y+13, "whisker")
			end = max(x, high)
		}
		p.text(end+6, y+14, "", show(unit, sum(b.parts))+b.note)
	}
	return p.done()
}

func sum(values []float64) (s float64) {
	for _, v := range values {
		s += v
	}
	return s
}

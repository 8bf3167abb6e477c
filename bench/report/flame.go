package report

import (
	"fmt"
	"html/template"
	"slices"
	"strings"
)

// The limits of a flame graph: what is narrower is not drawn, nor what is deeper.
const (
	flameWidth = 1000.0
	flameRow   = 17.0
	flameThin  = 1.5
	flameDeep  = 48
)

// drawFlame draws a flame graph with the outermost functions on top. Colours are
// those of layers.
func drawFlame(title string, root *flame) template.HTML {
	if root == nil || root.value <= 0 {
		return ""
	}
	p := newPicture(flameWidth, flameRow*float64(min(root.depth(float64(root.value)), flameDeep)), title)
	p.flame(root, root, 0, 0)
	return p.done()
}

// depth returns how many rows f and what it calls take.
func (f *flame) depth(total float64) int {
	deepest := 0
	for _, c := range f.calls {
		if float64(c.value)/total*flameWidth >= flameThin {
			deepest = max(deepest, c.depth(total))
		}
	}
	return deepest + 1
}

func (p *picture) flame(root, f *flame, x float64, row int) {
	share := float64(f.value) / float64(root.value)
	if share*flameWidth < flameThin || row >= flameDeep {
		return
	}
	layer := layerOf(f.name)
	if row == 0 {
		layer = "all"
	}
	y := flameRow * float64(row)
	p.rect(x, y, share*flameWidth-0.5, flameRow-1, "flame layer-"+layer, fmt.Sprintf("%s: %.1f %%, %s", f.name, 100*share, layer))
	if fits := int(share * flameWidth / 6.6); fits >= 4 {
		p.text(x+3, y+12, "in", shorten(shortName(f.name), fits))
	}
	names := make([]string, 0, len(f.calls))
	for name := range f.calls {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p.flame(root, f.calls[name], x, row+1)
		x += float64(f.calls[name].value) / float64(root.value) * flameWidth
	}
}

// shortName leaves out the path of a function's package.
func shortName(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

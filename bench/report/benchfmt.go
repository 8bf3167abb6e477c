package report

import (
	"bufio"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"

	"mobius/bench/result"
)

// Text writes a report in Go's benchmark format, for benchstat: a line for each
// sample that has figures, named /peer=NAME/conns=N/size=N/depth=N.
// See https://go.dev/design/14313-benchmark-format.
//
// benchstat puts runs into tables of their own that differ in a line of the
// configuration: so there is only the machine in it. What runs that are compared differ in
// stands in comments.
func Text(w io.Writer, r *result.Report) error {
	b := bufio.NewWriter(w)
	for _, line := range [][2]string{
		{"goos", built("GOOS")}, {"goarch", built("GOARCH")}, {"cpu", r.Machine.CPU}, {"kernel", r.Machine.Kernel},
		{"# commit", r.Commit}, {"# go", r.Go}, {"# flags", r.Flags}, {"# started", r.Started.UTC().Format(time.RFC3339)},
	} {
		if value := strings.Join(strings.Fields(line[1]), " "); value != "" {
			fmt.Fprintf(b, "%s: %s\n", line[0], value)
		}
	}
	figures := Figures()
	for _, f := range figures {
		better := "lower"
		if f.More {
			better = "higher"
		}
		unit, _ := inSeconds(f.Unit, 0)
		fmt.Fprintf(b, "Unit %s better=%s\n", unit, better)
	}
	for i := range r.Cases {
		c := &r.Cases[i]
		for j := range c.Peers {
			for k := range c.Peers[j].Rounds {
				sampleLine(b, c, &c.Peers[j], &c.Peers[j].Rounds[k], figures)
			}
		}
	}
	return b.Flush()
}

func sampleLine(w io.Writer, c *result.Case, p *result.Peer, s *result.Sample, figures []Figure) {
	var values strings.Builder
	for _, f := range figures {
		if v, ok := f.Of(c, s); ok {
			unit, v := inSeconds(f.Unit, v)
			fmt.Fprintf(&values, "\t%s %s", strconv.FormatFloat(v, 'g', 9, 64), unit)
		}
	}
	if values.Len() == 0 {
		return
	}
	rate := ""
	if c.Rate > 0 {
		rate = "/rate=" + strconv.FormatFloat(c.Rate, 'f', -1, 64)
	}
	// The number of requests stands where tests write that of iterations; it must not be 0.
	fmt.Fprintf(w, "Benchmark%s/peer=%s%s/conns=%d/size=%d/depth=%d\t%d%s\n",
		capital(word(c.Workload)), word(p.Name), rate, c.Conns, c.Size, c.Depth, max(s.Requests, 1), values.String())
}

// inSeconds turns ns into seconds. benchstat would do so, but for a value of 0, which it then
// shows in a table of its own.
func inSeconds(unit string, v float64) (string, float64) {
	if seconds := strings.Replace(unit, "-ns", "-sec", 1); seconds != unit {
		return seconds, v / 1e9
	}
	return unit, v
}

// word makes one part of a name: without spaces, slashes and what is not printed.
func word(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '/' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, text)
	if text == "" {
		return "_"
	}
	return text
}

// capital makes the first letter one that a benchmark's name may begin with.
func capital(text string) string {
	for i, r := range text {
		return string(unicode.ToUpper(r)) + text[i+len(string(r)):]
	}
	return text
}

// built returns what this program was built for, from what the linker left in it.
func built(key string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == key {
				return s.Value
			}
		}
	}
	return ""
}

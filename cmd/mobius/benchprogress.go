package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"mobius/bench"
	"mobius/bench/result"
)

// A benchProgress tells how far a run is and what has come out so far: on a
// terminal with the table of the case that is measured, which changes in place,
// elsewhere with some lines every plainEvery.
type benchProgress struct {
	log      io.Writer
	last     time.Time
	terminal bool
	against  string
	above    int // lines above the cursor's that are to be written again
}

const (
	plainEvery  = 10 * time.Second // the time between two reports that stay
	tableHeight = 22               // lines; a terminal has 24 and more
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func (p *benchProgress) show(at bench.Progress) {
	if at.Err != nil {
		p.clear()
		fmt.Fprintf(p.log, "%s, %s, %s: %v\n", at.Case, at.Peer, round(&at), at.Err)
	}
	line := fmt.Sprintf("%d of %d samples, %s, %s, %s; %s gone, some %s left", at.Done, at.Total, round(&at),
		at.Case, at.Peer, at.Elapsed.Round(time.Second), at.Left.Round(time.Second))
	switch {
	case p.terminal:
		p.draw(p.table(at.Measured) + line)
	case time.Since(p.last) >= plainEvery:
		p.last = time.Now()
		fmt.Fprintln(p.log, line+soFar(at.Measured))
	}
}

// round names the round that a sample belongs to.
func round(at *bench.Progress) string {
	if at.Round == 0 {
		return "calls and profiles"
	}
	return fmt.Sprintf("round %d of %d", at.Round, at.Rounds)
}

// draw writes text over the one before. Lines that are too long for the
// terminal end at its edge (DECAWM, ECMA-48 CUU and ED): each stays one.
func (p *benchProgress) draw(text string) {
	p.clear()
	fmt.Fprintf(p.log, "\x1b[?7l%s\x1b[?7h", text)
	p.above = strings.Count(text, "\n")
}

// clear removes what draw has written.
func (p *benchProgress) clear() {
	if !p.terminal {
		return
	}
	up := ""
	if p.above > 0 {
		up = fmt.Sprintf("\x1b[%dA", p.above)
	}
	fmt.Fprint(p.log, "\r"+up+"\x1b[J")
	p.above = 0
}

// table returns a case's table as it stands, empty before its first sample.
func (p *benchProgress) table(c *result.Case) string {
	if !begun(c) {
		return ""
	}
	var b strings.Builder
	printCase(&b, c, p.against)
	lines := strings.SplitAfter(b.String(), "\n")
	return strings.Join(lines[:min(len(lines), tableHeight)], "")
}

func begun(c *result.Case) bool {
	for i := range c.Peers {
		if len(c.Peers[i].Rounds) > 0 {
			return true
		}
	}
	return false
}

// soFar says what a case's requests cost so far.
func soFar(c *result.Case) string {
	var out []string
	for i := range c.Peers {
		p := &c.Peers[i]
		if m, ok := p.Median(cpuFigure); ok {
			out = append(out, fmt.Sprintf("%s %.2f", p.Name, m.Value))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return "; so far, µs/request: " + strings.Join(out, ", ")
}

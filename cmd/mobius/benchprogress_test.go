package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"mobius/bench"
	"mobius/bench/result"
)

// A screen is what a terminal shows of what benchProgress writes.
type screen struct {
	lines []string
	t     *testing.T
}

func (s *screen) Write(b []byte) (int, error) {
	text := string(b)
	for text != "" {
		var up int
		last := len(s.lines) - 1
		switch {
		case text[0] == '\r':
			text = text[1:]
		case text[0] == '\n':
			s.lines, text = append(s.lines, ""), text[1:]
		case strings.HasPrefix(text, "\x1b[J"): // the cursor is at a line's beginning
			s.lines[last], text = "", text[3:]
		case strings.HasPrefix(text, "\x1b[?7"):
			text = text[5:]
		case text[0] == '\x1b':
			if n, err := fmt.Sscanf(text, "\x1b[%dA", &up); n != 1 || up > last {
				s.t.Fatalf("%q on %d lines: %v", text, last+1, err)
			}
			s.lines, text = s.lines[:last+1-up], text[strings.IndexByte(text, 'A')+1:]
		default:
			n := strings.IndexAny(text+"\r", "\r\n\x1b")
			s.lines[last] += text[:n]
			text = text[n:]
		}
	}
	return len(b), nil
}

func sampleOf(round int, each time.Duration) result.Sample {
	none := time.Duration(0)
	cpu := each * 1000
	return result.Sample{Round: round, Elapsed: time.Second, Requests: 1000, User: &cpu, System: &none}
}

// The table stands where it stood, with the medians so far; what failed stays above it.
func TestBenchTableWhileItRuns(t *testing.T) {
	c := &result.Case{Workload: "echo", Conns: 50, Size: 64, Depth: 1, Peers: []result.Peer{{Name: "a"}, {Name: "net"}}}
	s := &screen{lines: []string{"$ mobius bench"}, t: t}
	s.Write([]byte("\n"))
	p := &benchProgress{log: s, terminal: true, against: "net"}
	at := bench.Progress{
		Case: bench.Case{Workload: "echo", Conns: 50, Size: 64, Depth: 1}, Round: 1, Rounds: 3, Peer: "a", Total: 6, Measured: c,
	}
	p.show(at)
	if len(s.lines) != 2 || !strings.HasPrefix(s.lines[1], "0 of 6 samples, round 1 of 3, echo:50,64,1, a; ") {
		t.Errorf("before the first sample: %q", s.lines)
	}
	for round, each := range []time.Duration{2 * time.Microsecond, 40 * time.Microsecond, 3 * time.Microsecond} {
		for i := range c.Peers {
			c.Peers[i].Rounds = append(c.Peers[i].Rounds, sampleOf(round+1, each*time.Duration(1+i)))
			at.Done, at.Round, at.Peer = at.Done+1, round+1, c.Peers[i].Name
			p.show(at)
		}
	}
	text := strings.Join(s.lines, "\n")
	for _, want := range []string{
		"$ mobius bench\n\necho: 50 connections, 64 bytes, 1 in flight\n", " 3.00 ", " 6.00 ", " 0.500 ", "6 of 6 samples",
	} {
		if strings.Count(text, want) != 1 {
			t.Errorf("want %q once in\n%s", want, text)
		}
	}
	if len(s.lines) != 7 { // prompt, empty, case, columns, two peers, progress
		t.Errorf("%d lines:\n%s", len(s.lines), text)
	}
	at.Err = errors.New("broken")
	p.show(at)
	at.Err = nil
	p.show(at)
	p.clear()
	if got, want := strings.Join(s.lines, "\n"), "$ mobius bench\necho:50,64,1, net, round 3 of 3: broken\n"; got != want {
		t.Errorf("at the end %q, want %q", got, want)
	}
}

// A table that is taller than the terminal is cut: it could not be found again.
func TestBenchTableIsCut(t *testing.T) {
	c := &result.Case{Workload: "echo", Peers: make([]result.Peer, 60)}
	for i := range c.Peers {
		c.Peers[i] = result.Peer{Name: fmt.Sprint("p", i), Rounds: []result.Sample{sampleOf(1, time.Microsecond)}}
	}
	p := &benchProgress{log: &screen{lines: []string{""}, t: t}, terminal: true}
	p.show(bench.Progress{Measured: c})
	if p.above != tableHeight {
		t.Errorf("%d lines above the last, want %d", p.above, tableHeight)
	}
}

// Elsewhere a line is added at times, with the medians.
func TestBenchLinesWhileItRuns(t *testing.T) {
	var log strings.Builder
	c := &result.Case{Workload: "echo", Peers: []result.Peer{
		{Name: "a", Rounds: []result.Sample{sampleOf(1, 2*time.Microsecond)}}, {Name: "b"},
	}}
	p := &benchProgress{log: &log, last: time.Now()}
	p.show(bench.Progress{Measured: c})
	if log.Len() != 0 {
		t.Errorf("%q at once", &log)
	}
	p.last = p.last.Add(-plainEvery)
	if p.show(bench.Progress{Measured: c}); !strings.Contains(log.String(), " samples, calls and profiles, ") {
		t.Errorf("%q of a sample that belongs to no round", &log)
	}
	p.last = p.last.Add(-plainEvery)
	p.show(bench.Progress{Measured: c})
	p.clear()
	if !strings.HasSuffix(log.String(), " left; so far, µs/request: a 2.00\n") || strings.Contains(log.String(), "\x1b") {
		t.Errorf("%q", &log)
	}
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"mobius/bench"
	"mobius/bench/report"
	"mobius/bench/result"
)

const benchSynopsis = `bench [--quick] [--case CASE]… [--peers NAMES] [--peer NAME=COMMAND]… [--out DIR]

Measure Mobius beside other servers, on this machine: processor time per
request, requests per second, latencies. Every byte is checked.

A CASE is WORKLOAD[:CONNECTIONS[,SIZE[,DEPTH]]][@RATE], such as echo:50,64,1 or
echo:1000@20000, an open loop of 20000 requests per second. --list names the
workloads and the peers. A COMMAND of your own starts a server on 127.0.0.1:PORT;
UPSTREAM in it makes it a proxy in front of an echo.`

// A benchFlags is what the command is asked for.
type benchFlags struct {
	quick, list, noPin, profiles, calls bool
	cases, extra                        list
	peers, out, against, compare, pprof string
	rounds                              int
	duration, warmup, budget            time.Duration
}

func (f *benchFlags) register(set *flag.FlagSet) {
	set.BoolVar(&f.quick, "quick", false, "end within a minute: few cases, peers and rounds")
	set.BoolVar(&f.list, "list", false, "name the workloads and the peers, and measure nothing")
	set.Var(&f.cases, "case", "measure `CASE` (default: a choice of all workloads)")
	set.StringVar(&f.peers, "peers", "", "measure these peers, `NAMES` with commas (default: all that there are)")
	set.Var(&f.extra, "peer", "measure a server of your own, `NAME[/KIND]=COMMAND`; KIND is echo, tls, unix,\nudp, http or proxy")
	set.StringVar(&f.against, "against", "", "give ratios to the peer `NAME`, round by round (default: net, or else the first)")
	set.IntVar(&f.rounds, "rounds", 0, "`N` rounds, in which the peers take turns (default 5)")
	set.DurationVar(&f.duration, "time", 0, "measure each sample for this long (default 1s)")
	set.DurationVar(&f.warmup, "warmup", 0, "let each run this long before that (default 200ms)")
	set.DurationVar(&f.budget, "budget", 0, "end after this long in all, with the rounds that there are by then")
	set.StringVar(&f.out, "out", "", "write report.html, report.json, report.txt (for benchstat) and profiles into `DIR`")
	set.StringVar(&f.compare, "compare", "", "compare with the earlier run in `OLD.json`")
	set.StringVar(&f.pprof, "pprof", "",
		"measure nothing: show a profile on a page on 127.0.0.1,\n`FILE`, or CASE[/PEER] of the run in --out")
	set.BoolVar(&f.calls, "syscalls", true, "count system calls, in a sample of its own for each peer")
	set.BoolVar(&f.profiles, "profiles", false, "take CPU profiles of servers written in Go; needs --out")
	set.BoolVar(&f.noPin, "no-pin", false, "do not keep servers and load on processors of their own")
}

// options returns what that means.
func (f *benchFlags) options(args []string) (o bench.Options, err error) {
	if f.quick {
		o = bench.Quick()
	}
	o.Flags, o.NoPin, o.Syscalls, o.Profiles, o.Out = shellWords(args), f.noPin, f.calls, f.profiles, f.out
	if len(f.cases) > 0 {
		o.Cases = nil
	}
	for _, text := range f.cases {
		c, err := bench.ParseCase(text)
		if err != nil {
			return o, usagef("--case: %w", err)
		}
		o.Cases = append(o.Cases, c)
	}
	for _, text := range f.extra {
		p, err := bench.ParsePeer(text)
		if err != nil {
			return o, usagef("--peer: %w", err)
		}
		o.Extra = append(o.Extra, p)
	}
	if f.peers != "" {
		if o.Peers = strings.FieldsFunc(f.peers, func(r rune) bool { return r == ',' || r == ' ' }); len(o.Peers) == 0 {
			return o, usagef("--peers %q: no names, want some of those that --list names", f.peers)
		}
	}
	if f.rounds != 0 {
		o.Rounds = f.rounds
	}
	for from, to := range map[*time.Duration]*time.Duration{&f.duration: &o.Duration, &f.warmup: &o.Warmup, &f.budget: &o.Budget} {
		if *from != 0 {
			*to = *from
		}
	}
	if err := o.Check(); err != nil {
		return o, usagef("%s", strings.TrimPrefix(err.Error(), "bench: "))
	}
	return o, f.holdAgainst(o.Names())
}

// holdAgainst finds the peer that others are held against among those that are measured.
func (f *benchFlags) holdAgainst(names []string) error {
	switch {
	case f.against == "" && !slices.Contains(names, "net"):
		f.against = names[0]
	case f.against == "":
		f.against = "net"
	case !slices.Contains(names, f.against):
		return usagef("--against %q is not measured, want one of %s", f.against, strings.Join(names, ", "))
	}
	return nil
}

// runBench is the command.
func runBench(args []string, out, log io.Writer) error {
	var f benchFlags
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.register(set)
	if err := parseFlags(set, benchSynopsis, args, out); err != nil {
		return err
	}
	if f.list {
		printBenchList(out)
		return nil
	}
	if f.pprof != "" {
		file, err := findProfile(f.pprof, f.out)
		if err != nil {
			return err
		}
		return report.Web(file, isTerminal(log), log)
	}
	o, err := f.options(args)
	if err != nil {
		return err
	}
	var old *result.Report
	if f.compare != "" {
		if old, err = report.ReadFile(f.compare); err != nil {
			return usagef("--compare: %w; want a report.json that --out has written", err)
		}
	}
	if f.out != "" {
		if err := writable(f.out); err != nil {
			return usagef("--out %q: %w", f.out, err)
		}
	}
	return f.measure(o, old, out, log)
}

// measure runs, and writes what came out of it, also when it was interrupted.
func (f *benchFlags) measure(o bench.Options, old *result.Report, out, log io.Writer) error {
	p := &benchProgress{log: log, last: time.Now(), terminal: isTerminal(log), against: f.against}
	o.Progress = p.show
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	r, err := bench.Run(ctx, o)
	p.clear()
	if errors.Is(err, context.Canceled) {
		err = errors.New("interrupted: what was measured is kept")
		if r != nil {
			r.Notes = append(r.Notes, "interrupted before all rounds were measured")
		}
	}
	if r == nil {
		return err
	}
	printReport(out, r, f.against)
	if old != nil {
		printComparison(out, old, r)
	}
	if f.out != "" {
		err = errors.Join(err, writeReports(f.out, r, old, f.against))
	}
	return errors.Join(err, wrongBytes(r), nothingOf(r, f.asked(o)))
}

// writable makes a directory, and finds out before anything is measured whether files can be
// written there.
func writable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	probe, err := os.CreateTemp(dir, ".mobius-bench-")
	if err != nil {
		return err
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// asked returns the peers that were asked for by name.
func (f *benchFlags) asked(o bench.Options) (names []string) {
	if f.peers != "" {
		names = o.Peers
	}
	for _, p := range o.Extra {
		names = append(names, p.Name)
	}
	return names
}

// nothingOf is an error if a peer that was asked for has failed in all rounds of a case.
func nothingOf(r *result.Report, asked []string) error {
	var out []error
	for i := range r.Cases {
		c := &r.Cases[i]
		for j := range c.Peers {
			p := &c.Peers[j]
			worked := slices.ContainsFunc(p.Rounds, func(s result.Sample) bool { return s.Error == "" })
			if len(p.Rounds) > 0 && !worked && slices.Contains(asked, p.Name) {
				out = append(out, fmt.Errorf("%s has failed in all rounds of %s: %s", p.Name, report.CaseName(c), p.Rounds[0].Error))
			}
		}
	}
	return errors.Join(out...)
}

// wrongBytes is an error if a peer has answered other bytes than it was to.
func wrongBytes(r *result.Report) error {
	var names []string
	for i := range r.Cases {
		for j := range r.Cases[i].Peers {
			if p := &r.Cases[i].Peers[j]; p.Bad() > 0 && !slices.Contains(names, p.Name) {
				names = append(names, p.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("bytes were wrong or missing in answers of %s", strings.Join(names, ", "))
}

func printBenchList(w io.Writer) {
	fmt.Fprintln(w, "Workloads:")
	for _, l := range bench.Workloads() {
		fmt.Fprintf(w, "  %-14s %-6s %s\n", l.Name, l.Kind, l.Doc)
	}
	fmt.Fprintln(w, "\nPeers, and what they can serve:")
	for _, p := range bench.Builtin() {
		fmt.Fprintf(w, "  %-14s %s\n", p.Name, strings.Join(p.Kinds, ", "))
	}
}

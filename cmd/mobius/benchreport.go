package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"mobius/bench"
	"mobius/bench/report"
	"mobius/bench/result"
)

// writeReports writes a run as files in a directory: report.json, report.txt for
// benchstat, and report.html.
func writeReports(dir string, r, old *result.Report, against string) error {
	page := report.Page{Against: against, Old: old, Dir: dir}
	return errors.Join(
		report.WriteFile(filepath.Join(dir, "report.json"), func(w io.Writer) error { return report.JSON(w, r) }),
		report.WriteFile(filepath.Join(dir, "report.txt"), func(w io.Writer) error { return report.Text(w, r) }),
		report.WriteFile(filepath.Join(dir, "report.html"), func(w io.Writer) error { return report.HTML(w, r, page) }),
	)
}

// printComparison writes what has changed since an earlier run.
func printComparison(w io.Writer, old, now *result.Report) {
	c := report.Compare(old, now)
	fmt.Fprintf(w, "\ncompared with the run of %s:\n", old.Started.UTC().Format("2006-01-02 15:04 MST"))
	for _, text := range c.Warnings {
		fmt.Fprintln(w, "note:", text)
	}
	for _, d := range c.Deltas {
		fmt.Fprintf(w, "  %-18s %-12s %-16s × %.3f  [%.3f, %.3f]  %s\n",
			d.Case, d.Peer, d.Figure.Name, d.Ratio.Value, d.Ratio.Low, d.Ratio.High, d.Verdict)
	}
	fmt.Fprintln(w, c.Summary())
	for _, text := range c.Only {
		fmt.Fprintln(w, "note:", text)
	}
}

// findProfile returns the file that is meant by a file's name, or by CASE or CASE/PEER
// of the run in dir.
func findProfile(name, dir string) (string, error) {
	if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
		return filepath.Abs(name)
	}
	r, err := report.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		return "", usagef("--pprof %q: no such file, and no run to look for it as a case: %w; want FILE, or CASE[/PEER] and --out DIR",
			name, err)
	}
	wanted := name
	text, peer, _ := strings.Cut(name, "/")
	if c, err := bench.ParseCase(text); err == nil { // what is not given is the workload's usual
		wanted = strings.TrimSuffix(c.String()+"/"+peer, "/")
	}
	var found, names []string
	for i := range r.Cases {
		c := &r.Cases[i]
		for _, p := range c.Peers {
			if p.Profile == "" {
				continue
			}
			full := report.CaseName(c) + "/" + p.Name
			names = append(names, full)
			if full == wanted || report.CaseName(c) == wanted {
				found = append(found, filepath.Join(dir, filepath.Base(p.Profile)))
			}
		}
	}
	switch {
	case len(names) == 0:
		return "", usagef("--pprof %q: the run in %q has no profiles; --profiles takes them", name, dir)
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0:
		return "", usagef("--pprof %q: no such profile, want one of %s", name, strings.Join(names, ", "))
	}
	return "", usagef("--pprof %q is %d profiles, want one of %s", name, len(found), strings.Join(names, ", "))
}

// shellWords writes arguments so that a shell reads them as they are.
func shellWords(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		plain := a != "" && strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+:,./@%") == ""
		if out[i] = a; !plain {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mobius/bench/report"
	"mobius/bench/result"
)

func TestBenchReports(t *testing.T) {
	dir := t.TempDir()
	r := &result.Report{Version: result.Version, Cases: []result.Case{{Workload: "echo", Conns: 50, Size: 64, Depth: 1,
		Peers: []result.Peer{
			{Name: "a", Profile: "elsewhere/a.pprof"}, {Name: "b", Profile: "elsewhere/b.pprof"}, {Name: "c"},
		}}}}
	if err := writeReports(dir, r, r, "net"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"report.json", "report.txt", "report.html"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"echo:50,64,1/b", "echo/b", "echo:50/b"} {
		if at, err := findProfile(name, dir); err != nil || at != filepath.Join(dir, "b.pprof") {
			t.Errorf("%s: %q, %v", name, at, err)
		}
	}
	for name, want := range map[string]string{"echo:50,64,1": "is 2 profiles, want one of echo:50,64,1/a, echo:50,64,1/b",
		"echo": "is 2 profiles", "x": "no such profile, want one of echo:50,64,1/a", "echo:50/c": "no such profile"} {
		if _, err := findProfile(name, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	newer := filepath.Join(dir, "newer.json")
	if err := report.WriteFile(newer, func(w io.Writer) error { _, err := io.WriteString(w, `{"version":99}`); return err }); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"--pprof nothing --out " + filepath.Join(dir, "none"): "want FILE, or CASE[/PEER] and --out DIR",
		"--compare " + newer: "version 99; this program reads up to version 1",
	} {
		var out, log bytes.Buffer
		status := run(append([]string{"bench"}, strings.Fields(args)...), &out, &log)
		if status != exitUsage || !strings.Contains(log.String(), want) {
			t.Errorf("%s: status %d, %s, want %q", args, status, &log, want)
		}
	}
}

// The command on the page is one that a shell runs again as it was.
func TestCommandOfARun(t *testing.T) {
	args := []string{"--peer", "mine=./server --name 'x' $HOME", "--quick", "", "a;b", "x y"}
	if got, want := shellWords(args), `--peer 'mine=./server --name '\''x'\'' $HOME' --quick '' 'a;b' 'x y'`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Wrong bytes are the end of a run in bad order, whatever else it has measured.
func TestWrongBytesAreAnError(t *testing.T) {
	r := &result.Report{Cases: []result.Case{{Peers: []result.Peer{
		{Name: "a", Rounds: []result.Sample{{}, {Bad: 1}}}, {Name: "b", Rounds: []result.Sample{{}}},
	}}}}
	if err := wrongBytes(r); err == nil || !strings.HasSuffix(err.Error(), "answers of a") {
		t.Errorf("%v, want a named", err)
	}
	r.Cases[0].Peers[0].Rounds[1].Bad = 0
	if err := wrongBytes(r); err != nil {
		t.Error(err)
	}
}

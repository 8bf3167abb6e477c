package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A mutant is one thing that is wrong.
type mutant struct {
	what string // in words
	file string // below the root
	old  string // stands there exactly once
	new  string // stands there instead
}

// An area is the code under a chapter of the cases.
type area struct {
	name    string
	run     string // the cases: a pattern of go test -run
	mutants []mutant
}

// pkg returns the directory of the package whose tests are the area's cases:
// those of some areas stand beside their code.
func (a *area) pkg() string {
	switch a.name {
	case "bench", "compat":
		return a.name
	case "bench-load":
		return "bench/load"
	case "bench-judge":
		return "bench"
	case "bench-report":
		return "bench/report"
	case "bench-result":
		return "bench/result"
	case "netconn":
		return "netconn"
	case "bell":
		return "epoll"
	case "spin":
		return "internal/sys"
	}
	return "test/twisted"
}

// A verdict is how a mutant fared.
type verdict string

const (
	caught   verdict = "caught"
	survived verdict = "SURVIVED"
	noBuild  verdict = "NO BUILD"
)

var errNoBuild = errors.New("it does not build")

// mutate returns the mutant's file.
func (m *mutant) mutate(root string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(m.file)))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return nil, fmt.Errorf("%s: mutant %q: its old text stands there %d times, want once: %q", m.file, m.what, n, m.old)
	}
	if m.old == m.new {
		return nil, fmt.Errorf("%s: mutant %q changes nothing", m.file, m.what)
	}
	return []byte(strings.Replace(string(b), m.old, m.new, 1)), nil
}

func judge(root, dir string, a area, m mutant) (verdict, error) {
	out, err := try(root, dir, a, &m)
	var failed *exec.ExitError
	switch {
	case err == nil:
		return survived, nil
	case errors.Is(err, errNoBuild):
		fmt.Printf("%s", out)
		return noBuild, nil
	case errors.As(err, &failed):
		return caught, nil
	}
	return "", err
}

// try runs the cases of an area, with a mutant or without. A run that hangs
// fails by its timeout.
func try(root, dir string, a area, m *mutant) (out []byte, err error) {
	overlay, err := overlayOf(root, dir, m)
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "cases.test")
	build := exec.Command("go", "test", "-c", "-overlay="+overlay, "-o", binary, "./"+a.pkg())
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return out, fmt.Errorf("%w: %w", errNoBuild, err)
	}
	test := exec.Command(binary, "-test.run="+a.run, "-test.failfast", "-test.short", "-test.timeout=100s")
	test.Dir = filepath.Join(root, filepath.FromSlash(a.pkg()))
	out, err = test.CombinedOutput()
	if err == nil && strings.Contains(string(out), "no tests to run") {
		return out, fmt.Errorf("area %s: no case matches %q", a.name, a.run)
	}
	return out, err
}

// overlayOf writes the file for go build's -overlay, and returns its name.
func overlayOf(root, dir string, m *mutant) (string, error) {
	replace := map[string]string{}
	if m != nil {
		text, err := m.mutate(root)
		if err != nil {
			return "", err
		}
		old, err := filepath.Abs(filepath.Join(root, filepath.FromSlash(m.file)))
		if err != nil {
			return "", err
		}
		replace[old] = filepath.Join(dir, "mutant.go")
		if err := os.WriteFile(replace[old], text, 0o600); err != nil {
			return "", err
		}
	}
	b, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "overlay.json")
	return name, os.WriteFile(name, b, 0o600)
}

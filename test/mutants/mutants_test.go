package main

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// Every mutant still finds its line, exactly once, and leaves a file that can
// be parsed; every area has at least three, and a pattern.
func TestMutantsApply(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range areas() {
		if seen[a.name] {
			t.Errorf("two areas %s", a.name)
		}
		seen[a.name] = true
		if _, err := regexp.Compile(a.run); err != nil || a.run == "" {
			t.Errorf("%s: pattern %q: %v", a.name, a.run, err)
		}
		if len(a.mutants) < 3 {
			t.Errorf("%s has %d mutants, want three", a.name, len(a.mutants))
		}
		for _, m := range a.mutants {
			text, err := m.mutate(root)
			if err != nil {
				t.Errorf("%s: %v", a.name, err)
				continue
			}
			if _, err := parser.ParseFile(token.NewFileSet(), m.file, text, 0); err != nil {
				t.Errorf("%s: mutant %q: %v", a.name, m.what, err)
			}
			if m.what == "" {
				t.Errorf("%s: a mutant of %s says nothing", a.name, m.file)
			}
		}
	}
}

// Every area that docs/testing.md names is there.
func TestAreasThatAreNamedExist(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root, "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(doc), "\nAreas of mutants, with at least three each: ")
	list, _, _ = strings.Cut(list, ".\n")
	names := strings.Fields(strings.ReplaceAll(list, ",", " "))
	for _, name := range names {
		if !slices.ContainsFunc(areas(), func(a area) bool { return a.name == name }) {
			t.Errorf("there is no area %s", name)
		}
	}
	if len(names) < 30 {
		t.Errorf("docs/testing.md names %d areas, want 30 at least", len(names))
	}
}

// What does not apply is an error that says which.
func TestMutantsThatDoNotApply(t *testing.T) {
	for _, m := range []mutant{
		{"absent", "go.mod", "no such text", ""},
		{"twice", "go.mod", "g", "h"},
		{"nothing", "go.mod", "module mobius", "module mobius"},
		{"no file", "no-such-file.go", "x", "y"},
	} {
		if text, err := m.mutate(root); err == nil {
			t.Errorf("%s applies: %q", m.what, text)
		}
	}
	if _, err := run(root, []string{"no such area"}); err == nil {
		t.Error("an area that there is not is run")
	}
}

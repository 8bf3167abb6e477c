package tidy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// root returns the directory of this module's go.mod.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// loaded is this module, read once.
var loaded = sync.OnceValues(func() (*Tree, error) { return Load(filepath.Join("..", "..")) })

func load(t *testing.T) *Tree {
	t.Helper()
	tree, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func graph(t *testing.T) Graph {
	t.Helper()
	g, err := ParseGraph(Imports)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func report(t *testing.T, found []Finding) {
	t.Helper()
	for _, f := range found {
		t.Error(f)
	}
}

func TestImports(t *testing.T)      { report(t, CheckImports(load(t), graph(t), Onlys)) }
func TestDocumented(t *testing.T)   { report(t, CheckDocs(load(t))) }
func TestNames(t *testing.T)        { report(t, CheckNames(load(t), Names)) }
func TestBackendAsked(t *testing.T) { report(t, CheckBackendAsked(load(t))) }
func TestFuncs(t *testing.T)        { report(t, CheckFuncs(load(t))) }
func TestVariables(t *testing.T)    { report(t, CheckVariables(load(t))) }
func TestWords(t *testing.T)        { report(t, CheckWords(load(t), Words)) }
func TestEnvironment(t *testing.T)  { report(t, CheckEnvironment(load(t))) }
func TestFormat(t *testing.T)       { report(t, CheckFormat(load(t))) }
func TestPlatforms(t *testing.T)    { report(t, CheckPlatforms(load(t))) }

// RatchetMost is how many lines ratchet.txt may have. It may only be lowered.
const RatchetMost = 0

func TestSizes(t *testing.T) {
	b, err := os.ReadFile("ratchet.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for line := range strings.Lines(string(b)) {
		if line, _, _ = strings.Cut(line, "#"); strings.TrimSpace(line) != "" {
			lines++
		}
	}
	if lines > RatchetMost {
		t.Errorf("ratchet.txt has %d lines, at most %d: make the code smaller", lines, RatchetMost)
	}
	report(t, CheckSizes(Oversized(load(t)), string(b)))
}

// The walk of the tree sees exactly the packages that the go command sees, so
// that nothing hides from the checks, and no line of the graph is left over.
func TestTreeIsWhatGoLists(t *testing.T) {
	cmd := exec.Command("go", "list", "-e", "-f", "{{.ImportPath}}", "./...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := strings.Fields(string(b))
	for i, p := range listed {
		if listed[i] = strings.TrimPrefix(p, Module+"/"); p == Module {
			listed[i] = Module
		}
	}
	var walked []string
	for _, f := range load(t).Go() {
		walked = append(walked, node(f.Dir()))
	}
	slices.Sort(listed)
	slices.Sort(walked)
	listed, walked = slices.Compact(listed), slices.Compact(walked)
	if !slices.Equal(listed, walked) {
		t.Errorf("go list sees  %v\nthe walk sees %v", listed, walked)
	}
	for name := range graph(t) {
		if !strings.Contains(name, ".") && !slices.Contains(listed, name) {
			t.Errorf("the graph has %s, which is no package: remove it", name)
		}
	}
}

package tidy

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadmeShowsTheCommands(t *testing.T) {
	shown := strings.Join(Blocks(readme(t), "sh"), "")
	for _, want := range []string{"go run ./cmd/mobius proxy ", "go test ./... ", "-replace=mobius="} {
		if !strings.Contains(shown, want) {
			t.Errorf("README.md does not show %q", want)
		}
	}
}

// Each Go program of the README is, but for the name of its main function, a
// tested example of the root package.
func TestReadmeProgramsAreTheExamples(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root(t), "example*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var examples, names []string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		examples = append(examples, Program(string(b)))
		names = append(names, filepath.Base(name))
	}
	programs := Blocks(readme(t), "go")
	if len(programs) < 2 {
		t.Errorf("README.md has %d Go programs, want an echo server and a client", len(programs))
	}
	for _, p := range programs {
		if !slices.Contains(examples, p) {
			t.Errorf("this program of README.md is none of the examples %v:\n%s", names, p)
		}
		if n := strings.Count(p[strings.Index(p, ")\n")+1:], "\n"); n > 45 {
			t.Errorf("a program of README.md has %d lines after its imports", n)
		}
	}
}

// A module that imports this one by the README's own lines builds the README's
// own programs.
func TestReadmeImporter(t *testing.T) {
	dir := t.TempDir()
	run := func(name string, args ...string) {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
	}
	if err := os.Symlink(root(t), filepath.Join(dir, "mobius")); err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(dir, "importer")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, p := range Blocks(readme(t), "go") {
		at := filepath.Join(dir, string(rune('a'+i)))
		if err := os.MkdirAll(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "main.go"), []byte(p), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sums, err := os.ReadFile(filepath.Join(root(t), "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o600); err != nil {
		t.Fatal(err)
	}
	run("go", "mod", "init", "importer")
	lines := 0
	for _, block := range Blocks(readme(t), "sh") {
		for line := range strings.Lines(block) {
			if words := strings.Fields(line); len(words) > 2 && words[0] == "go" && words[1] == "mod" {
				run(words[0], words[1:]...)
				lines++
			}
		}
	}
	if lines == 0 {
		t.Fatal("README.md does not say how to import the module")
	}
	run("go", "build", "./...")
	run("go", "vet", "./...")
}

func TestBlocksAndProgram(t *testing.T) {
	if got := Blocks("x\n```go\na\nb\n```\n```sh\nc\n```\n```go\nd\n```\n", "go"); !slices.Equal(got, []string{"a\nb\n", "d\n"}) {
		t.Errorf("blocks %q", got)
	}
	const file = "// Comment.\npackage x_test\n\nfunc ExampleT_M() {\n\tf()\n\t// Output: 1\n}\n"
	if got, want := Program(file), "package main\n\nfunc main() {\n\tf()\n}\n"; got != want {
		t.Errorf("program %q, want %q", got, want)
	}
}

package tidy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// named is a test as docs/testing.md names it: its directory, and its name there.
var named = regexp.MustCompile("`([a-z./]+)/((?:Test|Fuzz)[A-Z]\\w*|(?:S[0-9]+[a-z]?|Close)_\\w+)`")

// Every test that docs/testing.md names is there, and every line of its tables
// names one.
func TestNamedTestsExist(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root(t), "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{} // of the files of a directory
	for i, line := range strings.Split(string(doc), "\n") {
		names := named.FindAllStringSubmatch(line, -1)
		row := strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| ---") && !strings.Contains(line, "| shown by |") &&
			!strings.Contains(line, "| target |")
		if row && len(names)*2 != strings.Count(line, "`") || row && len(names) == 0 {
			t.Errorf("docs/testing.md:%d: want nothing but names of tests between backquotes, and one at least", i+1)
		}
		for _, n := range names {
			dir, name := n[1], n[2]
			if text[dir] == "" {
				text[dir] = filesOf(t, filepath.Join(root(t), filepath.FromSlash(dir)))
			}
			if !strings.Contains(text[dir], "\nfunc "+name+"(") && !strings.Contains(text[dir], `{Name: "`+name+`"`) {
				t.Errorf("docs/testing.md:%d: there is no %s in %s", i+1, name, dir)
			}
		}
	}
}

// filesOf returns the text of a directory's Go files.
func filesOf(t *testing.T, dir string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

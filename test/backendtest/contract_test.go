package backendtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// sentences returns the numbers of the sentences in the doc comment of
// proactor.Backend.
func sentences(t *testing.T) (out []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../proactor/backend.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var doc string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		if g.Specs[0].(*ast.TypeSpec).Name.Name == "Backend" {
			doc = g.Doc.Text()
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\s*(\d+[a-z]?)\. `).FindAllStringSubmatch(doc, -1) {
		out = append(out, m[1])
	}
	return out
}

// TestEverySentenceHasATest reads the contract and looks for tests and mutants
// named after each of its sentences.
func TestEverySentenceHasATest(t *testing.T) {
	all := sentences(t)
	if len(all) < 27 || all[0] != "1" || !slices.Contains(all, "7c") || all[len(all)-1] != "16" {
		t.Fatalf("the contract has the sentences %v; the comment is not read rightly", all)
	}
	for _, s := range all {
		if !slices.ContainsFunc(tests, func(test Test) bool { return strings.HasPrefix(test.Name, "S"+s+"_") }) {
			t.Errorf("sentence %s has no test", s)
		}
	}
	seen := map[string]bool{}
	for _, test := range tests {
		if seen[test.Name] {
			t.Errorf("two tests are called %s", test.Name)
		}
		seen[test.Name] = true
		number, _, _ := strings.Cut(strings.TrimPrefix(test.Name, "S"), "_")
		if !slices.Contains(all, number) && !strings.HasPrefix(test.Name, "Close_") {
			t.Errorf("test %s is about no sentence of the contract", test.Name)
		}
	}
}

func TestPatternFindsEveryChange(t *testing.T) {
	for _, off := range []int64{0, 1, 7, 8, 1 << 40} {
		p := made(5, off, 100)
		if i := mismatch(5, off, p); i >= 0 {
			t.Fatalf("offset %d: byte %d of an unchanged stretch differs", off, i)
		}
		for i := range p {
			p[i] ^= 0x10
			if got := mismatch(5, off, p); got != i {
				t.Fatalf("offset %d: a change of byte %d is seen at %d", off, i, got)
			}
			p[i] ^= 0x10
		}
		if mismatch(5, off+1, p) < 0 || mismatch(6, off, p) < 0 {
			t.Fatalf("offset %d: another place, or another seed, looks the same", off)
		}
	}
}

package twisted

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// MissingMost is how many numbers missing.txt may have. It may only be lowered.
const MissingMost = 0

const page = "../../docs/twisted.md"

// inName finds numbers in the name of a test. What follows Case or X is a
// number if a word begins with it.
var inName = regexp.MustCompile(`(?:^|Test|[^A-Za-z]|[a-z])(?:Case|X)([0-9]+)`)

// numbersIn returns the numbers that a test's name carries.
func numbersIn(name string) []number {
	var out []number
	for {
		at := inName.FindStringSubmatchIndex(name)
		if at == nil {
			return out
		}
		n := number(name[at[2]:at[3]])
		if name[at[2]-1] == 'X' {
			n = "X" + n
		}
		out = append(out, n)
		name = name[at[3]-1:] // the last digit may be what a word begins after
	}
}

// tested returns the numbers in the names of this directory's tests, and where
// each stands first.
func tested(t *testing.T) map[number]string {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	found := map[number]string{}
	fset := token.NewFileSet()
	for _, name := range files {
		if name == "count_test.go" {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		note := func(test string, at token.Pos) {
			for _, n := range numbersIn(test) {
				if found[n] == "" {
					found[n] = fset.Position(at).String() + " " + test
				}
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if n.Recv == nil && strings.HasPrefix(n.Name.Name, "Test") {
					note(n.Name.Name, n.Pos())
				}
			case *ast.CallExpr:
				if test, ok := subtest(n); ok {
					note(test, n.Pos())
				}
			}
			return true
		})
	}
	return found
}

// subtest returns the name of the subtest that a call runs, if it is literal.
func subtest(call *ast.CallExpr) (string, bool) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != "Run" || len(call.Args) != 2 {
		return "", false
	}
	lit, ok := call.Args[0].(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	name, err := strconv.Unquote(lit.Value)
	return name, err == nil
}

// excused returns the numbers of the page's last table, and their reasons.
func excused(t *testing.T, text string) map[number]string {
	t.Helper()
	_, table, ok := strings.Cut(text, "\n## Numbers that have no meaning in Go\n")
	if !ok {
		t.Fatalf("%s has no section \"Numbers that have no meaning in Go\"", page)
	}
	found := map[number]string{}
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.Contains(line, "---") || strings.TrimSpace(cells[0]) == "Number" {
			continue
		}
		if len(cells) != 2 || len(strings.Fields(cells[1])) < 4 {
			t.Errorf("%s: %q: want \"| number | reason |\"", page, strings.TrimSpace(line))
			continue
		}
		numbers, err := parseNumbers(cells[0])
		if err != nil || len(numbers) != 1 {
			t.Errorf("%s: %q: %d numbers, want one: %v", page, strings.TrimSpace(line), len(numbers), err)
			continue
		}
		if found[numbers[0]] != "" {
			t.Errorf("%s: %s stands there twice", page, numbers[0])
		}
		found[numbers[0]] = strings.TrimSpace(cells[1])
	}
	return found
}

func missing(t *testing.T) map[number]string {
	t.Helper()
	b, err := os.ReadFile("missing.txt")
	if err != nil {
		t.Fatal(err)
	}
	numbers, err := parseNumbers(string(b))
	if err != nil {
		t.Fatalf("missing.txt: %v", err)
	}
	found := map[number]string{}
	for _, n := range numbers {
		if found[n] != "" {
			t.Errorf("missing.txt has %s twice", n)
		}
		found[n] = "missing.txt"
	}
	if len(found) > MissingMost {
		t.Errorf("missing.txt has %d numbers, at most %d: write the cases", len(found), MissingMost)
	}
	return found
}

// Every number of the list is tested, or excused, or said to be missing: one
// of the three, and no other number is.
func TestNoNumberVanishes(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(every()); n != cases+rules {
		t.Errorf("the list has %d numbers, want %d", n, cases+rules)
	}
	places := []map[number]string{tested(t), excused(t, string(text)), missing(t)}
	for n := range every() {
		var at []string
		for i, place := range places {
			if place[n] != "" {
				at = append(at, [...]string{"tested: ", "excused: ", "missing: "}[i]+place[n])
			}
		}
		if len(at) != 1 {
			t.Errorf("%s: want one of a test, a reason in %s and a place in missing.txt, it has %q", n, page, at)
		}
	}
	for _, place := range places {
		for n, at := range place {
			if !every()[n] {
				t.Errorf("%s: the list has no number %s", at, n)
			}
		}
	}
	t.Logf("%d tested, %d excused, %d missing", len(places[0]), len(places[1]), len(places[2]))
}

// Each area has as many numbers as the list, and a section on the page.
func TestEveryAreaHasItsSection(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var titles []string
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			titles = append(titles, strings.TrimSpace(title))
		}
	}
	sum := 0
	for _, a := range areas {
		n := 0
		for i := a.first; i <= a.last; i++ {
			if every()[number(strconv.Itoa(i))] {
				n++
			}
		}
		if n != a.count {
			t.Errorf("%s: %d numbers, want %d", a.name, n, a.count)
		}
		sum += n
		if !slices.Contains(titles, a.name) {
			t.Errorf("%s has no section %q", page, a.name)
		}
	}
	if sum != cases {
		t.Errorf("%d numbers in all areas, want %d", sum, cases)
	}
	if !slices.Contains(titles, rulesArea) {
		t.Errorf("%s has no section %q", page, rulesArea)
	}
}

// The pattern sees what is meant, and nothing else.
func TestNumbersInNames(t *testing.T) {
	for name, want := range map[string][]number{
		"TestCase17StopTwice":       {"17"},
		"TestX30":                   {"X30"},
		"TestCase89NoProtocolX7":    {"89", "X7"},
		"Case85X21 refused":         {"85", "X21"},
		"Case120, Case121 and X5":   {"120", "121", "X5"},
		"TestMAX30":                 nil,
		"TestLowerCase3":            {"3"},
		"TestUppercase3, the case3": nil,
	} {
		if got := numbersIn(name); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

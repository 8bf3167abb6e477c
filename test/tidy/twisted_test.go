package tidy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// leftOpen is how many behaviours Twisted leaves open: X1 to X60. Each has a row in
// docs/twisted.md and a test.
const leftOpen = 60

var openRow = regexp.MustCompile(`^\| X(\d+) \|(.*)\|(.*)\|$`)

// Every behaviour that Twisted leaves open has one row in docs/twisted.md, which
// says what is so here, and a test in test/twisted that has its number.
func TestOpenBehavioursAreDecided(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join(root(t), "docs", "twisted.md"))
	if err != nil {
		t.Fatal(err)
	}
	tests := filesOf(t, filepath.Join(root(t), "test", "twisted"))
	for _, complaint := range undecided(string(doc), tests, leftOpen) {
		t.Error(complaint)
	}
}

// undecided returns what is missing of X1 to Xn.
func undecided(doc, tests string, n int) (complaints []string) {
	rows := map[int]int{}
	for line := range strings.SplitSeq(doc, "\n") {
		m := openRow.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		x, _ := strconv.Atoi(m[1])
		rows[x]++
		if strings.TrimSpace(m[2]) == "" || strings.TrimSpace(m[3]) == "" {
			complaints = append(complaints, fmt.Sprintf("docs/twisted.md: the row of X%d has an empty cell", x))
		}
		if x < 1 || x > n {
			complaints = append(complaints, fmt.Sprintf("docs/twisted.md: there is no X%d", x))
		}
	}
	for x := 1; x <= n; x++ {
		if rows[x] != 1 {
			complaints = append(complaints, fmt.Sprintf("docs/twisted.md: %d rows of X%d, want one", rows[x], x))
		}
		if !regexp.MustCompile(fmt.Sprintf(`(?m)^func Test\w*X%d(\D\w*)?\(`, x)).MatchString(tests) {
			complaints = append(complaints, fmt.Sprintf("test/twisted: no test has X%d in its name", x))
		}
	}
	return complaints
}

// What is missing is found.
func TestUndecidedIsFound(t *testing.T) {
	const doc = "| X1 | open | decided |\n| X2 | open | decided |\n"
	const tests = "func TestX1Here(t *testing.T) {}\nfunc TestCase3X2(t *testing.T) {}\n"
	if got := undecided(doc, tests, 2); len(got) != 0 {
		t.Errorf("complaints about nothing: %q", got)
	}
	for _, bad := range []struct {
		doc, tests string
		n          int
	}{
		{doc, tests, 3}, {doc, tests, 1}, {doc + doc, tests, 2}, {strings.Replace(doc, "decided", " ", 1), tests, 2},
		{strings.Replace(doc, "X2", "X 2", 1), tests, 2}, {doc, strings.Replace(tests, "X2", "X20", 1), 2},
	} {
		if got := undecided(bad.doc, bad.tests, bad.n); len(got) == 0 {
			t.Errorf("no complaint about %q, %q", bad.doc, bad.tests)
		}
	}
}

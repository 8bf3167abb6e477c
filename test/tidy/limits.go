package tidy

import (
	"fmt"
	"go/ast"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The largest sizes, of Go code, tests too.
const (
	MaxFunction = 70  // lines, from func to the closing brace
	MaxFile     = 500 // lines
	MaxLine     = 140 // columns, a tab being four
)

// A Size is how large one thing is.
type Size struct {
	What string // "function", "file" or "line"
	Name string // path, path:function
	N    int
	Most int
}

// Oversized returns what is larger than allowed. A file counts once for all
// its long lines, with the longest.
func Oversized(t *Tree) []Size {
	var out []Size
	for _, f := range t.Go() {
		longest := 0
		for line := range strings.Lines(f.Text) {
			line = strings.TrimRight(line, "\n")
			longest = max(longest, utf8.RuneCountInString(line)+3*strings.Count(line, "\t"))
		}
		out = appendOver(out, Size{"line", f.Path, longest, MaxLine})
		out = appendOver(out, Size{"file", f.Path, strings.Count(f.Text, "\n"), MaxFile})
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok {
				out = appendOver(out, Size{"function", f.Path + ":" + funcName(fn), t.lines(fn), MaxFunction})
			}
		}
	}
	return out
}

func appendOver(out []Size, s Size) []Size {
	if s.N > s.Most {
		out = append(out, s)
	}
	return out
}

func funcName(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	return receiver(fn) + "." + fn.Name.Name
}

// receiver returns the name of a method's type.
func receiver(fn *ast.FuncDecl) string {
	at := fn.Recv.List[0].Type
	for {
		switch e := at.(type) {
		case *ast.StarExpr:
			at = e.X
		case *ast.IndexExpr:
			at = e.X
		case *ast.IndexListExpr:
			at = e.X
		case *ast.Ident:
			return e.Name
		default:
			return fmt.Sprintf("%T", at)
		}
	}
}

// CheckSizes holds sizes against the ratchet: a text with a line
// "what name size" for each thing that is larger than allowed. The list may
// only shrink: what has become smaller must be written down smaller.
func CheckSizes(sizes []Size, ratchet string) []Finding {
	listed := map[string]int{}
	var out []Finding
	for line := range strings.Lines(ratchet) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		n, err := strconv.Atoi(words[len(words)-1])
		if err != nil || len(words) != 3 {
			out = append(out, Finding{"ratchet", fmt.Sprintf("%q is not \"what name size\"", strings.TrimSpace(line))})
			continue
		}
		listed[words[0]+" "+words[1]] = n
	}
	for _, s := range sizes {
		key := s.What + " " + s.Name
		switch n, ok := listed[key]; {
		case !ok:
			out = append(out, Finding{s.Name, fmt.Sprintf("%s of %d, at most %d: split it", s.What, s.N, s.Most)})
		case s.N > n:
			out = append(out, Finding{s.Name, fmt.Sprintf("%s of %d, was %d in the ratchet, which may only shrink", s.What, s.N, n)})
		case s.N < n:
			out = append(out, Finding{s.Name, fmt.Sprintf("%s of %d: lower its %d in the ratchet", s.What, s.N, n)})
		}
		delete(listed, key)
	}
	for key := range listed {
		out = append(out, Finding{"ratchet", key + " is within its limit now: remove the line"})
	}
	return out
}

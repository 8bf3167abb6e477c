package tidy

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strings"
)

// Floors are the packages that never ask which backend runs, make no system
// call and read no clock, so that the simulator can play all of them.
var Floors = []string{"loop", "transport", "transport/tls", "connector", "."}

func isFloor(f *File) bool { return slices.Contains(Floors, f.Dir()) && !f.IsTest() }

// A Name bans uses of another package's names.
type Name struct {
	Floors  bool           // only in [Floors], their tests excepted; else everywhere
	Package *regexp.Regexp // import path, whole
	Names   *regexp.Regexp // banned names, whole; nil means all but Except
	Except  *regexp.Regexp
	Files   *regexp.Regexp // files that may, if any
	Instead string
}

// Names is what is banned, and what to use instead.
var Names = []Name{
	{
		Floors: true, Package: whole(`time`), Names: whole(`Now|Since|Until|After|AfterFunc|Sleep|NewTimer|NewTicker|Tick`),
		Instead: "time comes through the seam: loop.Now, loop.Timer, or Backend.Alarm to watch over the loop itself",
	},
	{
		Floors: true, Package: whole(`context`), Names: whole(`With(Timeout|Deadline)(Cause)?`),
		Instead: "deadlines on the loop are a loop.Timer",
	},
	{
		Floors: true, Package: whole(`math/rand(/v2)?`), Except: whole(`New|NewPCG|NewSource|NewChaCha8|Rand|Source|PCG|ChaCha8`),
		Instead: "randomness is injected, as a func() float64 or a *rand.Rand of the options",
	},
	{
		Floors: true, Package: whole(`crypto/rand`),
		Instead: "randomness is injected, or one seed is not one trace",
	},
	{
		Floors: true, Package: whole(`syscall`), Except: whole(`Errno|E[A-Z0-9]+`),
		Instead: "system calls belong below the seam: ask proactor.Sockets, or add an Op",
	},
	{
		Floors: true, Package: whole(`golang\.org/x/sys/.*`),
		Instead: "system calls belong below the seam: ask proactor.Sockets, or add an Op",
	},
	{
		Floors: true, Package: whole(`net`), Names: whole(`(Dial|Listen|Lookup|Resolve|File|Interface).*|(Default)?Resolver|Pipe`),
		Instead: "sockets and names come through the seam: proactor.Sockets, OpWork with LookupHost",
	},
	{
		Floors: true, Package: whole(`os(/.*)?`), Except: whole(`Err[A-Z].*`),
		Instead: "the floors know no process: take what is needed as an option",
	},
	{
		Floors: true, Package: whole(`unsafe`),
		Instead: "memory tricks belong into a backend",
	},
	{
		// Printing it is fine, and so is a table of constants that package unix
		// has for some of the BSDs only.
		Package: whole(`runtime`), Names: whole(`GOOS|GOARCH`),
		Files:   whole(`cmd/mobius/version\.go|(internal/sys|kqueue)/\w+_(bsd|posix)(_test)?\.go`),
		Instead: "platforms differ by files with a //go:build line (_linux, _bsd, _posix, _other)",
	},
	{
		Package: whole(`time`), Names: whole(`Sleep`),
		Instead: "a sleep is no synchronisation: wait on a channel, poll with testenv.Eventually, or use a timer",
	},
}

func whole(pattern string) *regexp.Regexp { return regexp.MustCompile(`^(?:` + pattern + `)$`) }

// CheckNames looks for uses of banned names.
func CheckNames(t *Tree, names []Name) []Finding {
	var out []Finding
	for _, f := range t.Go() {
		ast.Inspect(f.AST, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			pkg, name, ok := t.qualified(f, sel)
			if !ok {
				return true
			}
			for _, b := range names {
				if b.bans(pkg, name) && (!b.Floors || isFloor(f)) && (b.Files == nil || !b.Files.MatchString(f.Path)) {
					out = append(out, t.At(sel.Pos(), "%s.%s: %s", pkg, name, b.Instead))
					break
				}
			}
			return true
		})
		for _, spec := range f.AST.Imports {
			if spec.Name != nil && spec.Name.Name == "." {
				out = append(out, t.At(spec.Pos(), "a dot import hides where names come from"))
			}
		}
	}
	return out
}

func (b Name) bans(pkg, name string) bool {
	if !b.Package.MatchString(pkg) {
		return false
	}
	if b.Names != nil {
		return b.Names.MatchString(name)
	}
	return b.Except == nil || !b.Except.MatchString(name)
}

var (
	backendName = whole(`"(uring|io_uring|epoll|netpoll|kqueue|sim)"`)
	mayChoose   = regexp.MustCompile(`^backend_[a-z]+\.go$`)
)

// CheckBackendAsked looks for code on the floors, and in what stands on them,
// that decides by the backend's name: a comparison of, or a switch over, what
// a method Name returned, or with a literal that names a backend. The root's
// backend_*.go choose one, so they may.
func CheckBackendAsked(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Go() {
		if !isFloor(f) && f.Dir() != "proxy" || f.IsTest() || mayChoose.MatchString(f.Path) {
			continue
		}
		bad := func(at ast.Node, operands ...ast.Expr) {
			if slices.ContainsFunc(operands, namesBackend) {
				out = append(out, t.At(at.Pos(), "decides by the backend's name: ask for what is needed, in proactor.Backend"))
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					bad(n, n.X, n.Y)
				}
			case *ast.SwitchStmt:
				bad(n, n.Tag)
			case *ast.CaseClause:
				bad(n, n.List...)
			case *ast.IndexExpr:
				bad(n, n.Index)
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok {
					if pkg, _, ok := t.qualified(f, sel); ok && pkg == "strings" {
						bad(n, n.Args...)
					}
				}
			}
			return true
		})
	}
	return out
}

func namesBackend(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING && backendName.MatchString(e.Value)
	case *ast.CallExpr:
		sel, ok := e.Fun.(*ast.SelectorExpr)
		return ok && sel.Sel.Name == "Name" && len(e.Args) == 0
	}
	return false
}

// CheckFuncs looks for init functions, and for tests that skip without a reason.
func CheckFuncs(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Go() {
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				out = append(out, t.At(fn.Pos(), "func init: registration is a global; make it an option or a value that is passed"))
			}
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			sel, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			switch sel.Sel.Name {
			case "SkipNow":
				out = append(out, t.At(call.Pos(), "SkipNow gives no reason: testenv.Missing, or Skip(\"…\")"))
			case "Skip", "Skipf":
				if len(call.Args) == 0 && isTestValue(sel.X) || len(call.Args) > 0 && isEmptyText(call.Args[0]) {
					out = append(out, t.At(call.Pos(), "%s without a reason: say what is missing", sel.Sel.Name))
				}
			}
			return true
		})
	}
	return out
}

func isTestValue(e ast.Expr) bool {
	id, ok := e.(*ast.Ident)
	return ok && slices.Contains([]string{"t", "b", "tb", "f"}, id.Name)
}

func isEmptyText(e ast.Expr) bool {
	lit, ok := e.(*ast.BasicLit)
	return ok && lit.Kind == token.STRING && strings.TrimSpace(strings.Trim(lit.Value, "\"`")) == ""
}

package tidy

import (
	"strings"
	"testing"
)

// plant is one source with, or without, a breach. The file's name decides
// which rules bind it; want is part of the finding, empty for none.
type plant struct{ file, text, want string }

func plants(t *testing.T, check func(*Tree) []Finding, list []plant) {
	t.Helper()
	for _, p := range list {
		tree, err := Parse(map[string]string{p.file: p.text})
		if err != nil {
			t.Errorf("%s: %v", p.text, err)
			continue
		}
		found := check(tree)
		switch {
		case p.want == "" && len(found) > 0:
			t.Errorf("%s with %q is fine, but: %v", p.file, p.text, found)
		case p.want != "" && len(found) == 0:
			t.Errorf("%s with %q passes, want %q", p.file, p.text, p.want)
		case p.want != "" && !strings.Contains(found[0].String(), p.want):
			t.Errorf("%s with %q: %v, want %q", p.file, p.text, found, p.want)
		}
	}
}

func TestPlantedNames(t *testing.T) {
	plants(t, func(tree *Tree) []Finding { return CheckNames(tree, Names) }, []plant{
		{"loop/a.go", `package loop; import "time"; var x = time.Now()`, "loop.Now"},
		{"loop/a.go", `package loop; import clock "time"; var x = clock.Now`, "loop.Now"},
		{"transport/a.go", `package transport; import "time"; func f() { <-time.After(1) }`, "loop.Timer"},
		{"connector/a.go", `package connector; import "time"; var x = time.AfterFunc(1, nil)`, "loop.Timer"},
		{"reactor.go", `package mobius; import "time"; var x = time.NewTimer(1)`, "loop.Timer"},
		{"loop/a.go", `package loop; import "time"; func f() { time.Sleep(1) }`, "time comes through the seam"},
		{"loop/a.go", `package loop; import "context"; func f() { context.WithTimeout(nil, 1) }`, "loop.Timer"},
		{"loop/a.go", `package loop; import "time"; const x = 3 * time.Second`, ""},
		{"loop/a.go", `package loop; type T struct{}; func (T) Now() int; var time T; var x = time.Now()`, ""},
		{"loop/a_test.go", `package loop; import "time"; var x = time.Now()`, ""},
		{"uring/a.go", `package uring; import "time"; var x = time.Now()`, ""},
		{"connector/a.go", `package connector; import "math/rand/v2"; var x = rand.Float64()`, "injected"},
		{"connector/a.go", `package connector; import "math/rand"; var x = rand.Intn(3)`, "injected"},
		{"connector/a.go", `package connector; import "math/rand/v2"; var x *rand.Rand = rand.New(rand.NewPCG(1, 2))`, ""},
		{"connector/a.go", `package connector; import "crypto/rand"; var x = rand.Reader`, "injected"},
		{"transport/a.go", `package transport; import "syscall"; var x = syscall.Close(3)`, "below the seam"},
		{"transport/a.go", `package transport; import "syscall"; var x = syscall.EMFILE`, ""},
		{"transport/a.go", `package transport; import "golang.org/x/sys/unix"; var x = unix.EMFILE`, "below the seam"},
		{"transport/a.go", `package transport; import "net"; var x, _ = net.Dial("", "")`, "through the seam"},
		{"transport/a.go", `package transport; import "net"; var x = net.ErrClosed; var y net.Addr`, ""},
		{"reactor.go", `package mobius; import "os"; var x = os.Getenv("")`, "option"},
		{"reactor.go", `package mobius; import "unsafe"; const x = unsafe.Sizeof(3)`, "backend"},
		{"sim/a.go", `package sim; import "runtime"; var x = runtime.GOOS`, "//go:build"},
		{"sim/a.go", `package sim; import "time"; func f() { time.Sleep(1) }`, "no synchronisation"},
		{"sim/a_test.go", `package sim; import "time"; func f() { time.Sleep(1) }`, "no synchronisation"},
		{"sim/a.go", `package sim; import . "time"; func f() { Sleep(1) }`, "dot import"},
	})
}

func TestPlantedBackendAsked(t *testing.T) {
	plants(t, CheckBackendAsked, []plant{
		{"loop/a.go", `package loop; func f(b B) bool { return b.Name() == "uring" }`, "backend's name"},
		{"loop/a.go", `package loop; func f(b B) bool { return b.Name() != other }`, "backend's name"},
		{"transport/a.go", `package transport; func f(b B) { switch b.Name() { } }`, "backend's name"},
		{"proxy/a.go", `package proxy; func f(n string) { switch n { case "epoll": } }`, "backend's name"},
		{"proxy/a.go", `package proxy; func f(b B) { m[b.Name()]() }`, "backend's name"},
		{"reactor.go", `package mobius; import "strings"; func f(b B) bool { return strings.HasPrefix(b.Name(), "u") }`, "backend's name"},
		{"reactor.go", `package mobius; func f(b B) { log(b.Name()) }`, ""},
		{"backend_linux.go", `package mobius; func f(n string) { switch n { case "epoll": } }`, ""},
		{"test/a/a.go", `package a; func f(b B) bool { return b.Name() == "uring" }`, ""},
	})
}

func TestPlantedFuncs(t *testing.T) {
	plants(t, CheckFuncs, []plant{
		{"sim/a.go", `package sim; func init() {}`, "func init"},
		{"sim/a.go", `package sim; type T struct{}; func (T) init() {}`, ""},
		{"sim/a_test.go", `package sim; func f(t *testing.T) { t.SkipNow() }`, "no reason"},
		{"sim/a_test.go", `package sim; func f(t *testing.T) { t.Skip() }`, "without a reason"},
		{"sim/a_test.go", `package sim; func f(t *testing.T) { t.Skipf("") }`, "without a reason"},
		{"sim/a_test.go", `package sim; func f(t *testing.T) { t.Skip("no nginx") }`, ""},
		{"sim/a.go", `package sim; func f(r *reader) { r.Skip() }`, ""},
	})
}

func TestPlantedVariables(t *testing.T) {
	plants(t, CheckVariables, []plant{
		{"loop/a.go", `package loop; var count int`, "neither an error nor a table"},
		{"loop/a.go", `package loop; var installed = New()`, "neither an error nor a table"},
		{"reactor.go", `package mobius; var once sync.Once`, "neither an error nor a table"},
		{"loop/a.go", `package loop; var ErrFull = errors.New("full")`, ""},
		{"loop/a.go", `package loop; var closed = net.ErrClosed`, ""},
		{"loop/a.go", `package loop; var errorCount = 3`, "neither an error nor a table"},
		{"loop/a.go", `package loop; var ErrFull = errors.New("full"); func f() { ErrFull = nil }`, "is written"},
		{"loop/a.go", `package loop; var names = [...]string{"a"}; var _ I = (*T)(nil)`, ""},
		{"loop/a.go", `package loop; var names = []string{"a"}; func f() { names[0] = "b" }`, "is written"},
		{"loop/a.go", `package loop; var names = map[int]int{}; func f() { delete(names, 1) }`, "is written"},
		{"loop/a.go", `package loop; var names = []int{1}; func f() { names[0]++ }`, "is written"},
		{"loop/a.go", `package loop; var names = []int{1}; func f() { g(&names) }`, "is written"},
		{"loop/a.go", `package loop; var names = []int{1}; func f() { names := 1; names++ }`, ""},
		{"loop/a_test.go", `package loop; var count int`, ""},
		{"sim/a.go", `package sim; var count int`, ""},
	})
}

func TestPlantedWords(t *testing.T) {
	plants(t, func(tree *Tree) []Finding { return CheckWords(tree, Words) }, []plant{
		{"a.md", "x " + "TO" + "DO: y", "the tree holds no promises"},
		{"a.go", "package a // FIX" + "ME", "the tree holds no promises"},
		{"a.md", "HA" + "CKNEY", ""},
		{"a.go", "package a\n\n//go:" + "linkname x y", "breaks with the next Go"},
		{"a.go", "package a\n\n//go:" + "norace", "hides a race"},
		{"a.go", "package a //no" + "lint", "with a reason"},
		{".ci/run", "GOPROXY=https://proxy.golang." + "org", "registry"},
		{"a.md", "see pypi." + "org", "registry"},
		{"a.go", `package a; const x = "/ro` + `ot/x"`, "one machine"},
		{"a.sh", "cd /wo" + "rk/main", "one machine"},
		{"a.sh", "cd ./wo" + "rk/main net/work/x", ""},
		{"a.md", "made with A" + "I", "networking"},
		{"a.md", "Clau" + "de did", "networking"},
		{"a.md", "an assis" + "tant", "networking"},
		{"a.md", "FAIL, MAIN; a clause, an assist", ""},
		{"a_test.go", "package a // Ca" + "se 95: x", "lack that table"},
		{"a_test.go", "package a; var _ = func(n int) {\n\tswitch n {\n\tcase 1: // one\n\t}\n}\n\nfunc TestCase17() {}", ""},
		{"a.go", "package a // by X" + "-9", "lack that table"},
		{"a.md", "see GA" + "P-3", "lack that table"},
		{"a.md", "the yard" + "stick says", "lack that table"},
		{"a.md", "see refer" + "ence/x.md", "lack that table"},
		{"a.md", "see https://example.com/reference/x; X30, EX-9", ""},
		{"a.md", "<<<<<<" + "< HEAD", "merge"},
	})
}

func TestPlantedEnvironment(t *testing.T) {
	plants(t, CheckEnvironment, []plant{
		{"a_test.go", `package a; const v = "MOBIUS_` + `UNHEARD_OF"`, "not explained"},
		{".ci/run", "MOBIUS_" + "UNHEARD=1", "not explained"},
		{"CONTRIBUTING.md", "`MOBIUS_" + "UNHEARD`", "named nowhere else"},
		{"a.go", "package a // MOBIUS_ is a prefix", ""},
	})
}

func TestPlantedFormat(t *testing.T) {
	plants(t, CheckFormat, []plant{
		{"a.go", "package  a", "gofmt -w"},
		{"a.go", "package a\n", ""},
	})
}

func TestPlantedPlatforms(t *testing.T) {
	plants(t, CheckPlatforms, []plant{
		{"sim/a_linux.go", "package sim\n", "has a //go:build line"},
		{"sim/a_linux.go", "//go:build linux\n\npackage sim\n", ""},
		{"sim/a_linux_test.go", "//go:build linux\n\npackage sim\n", ""},
		{"sim/a.go", "//go:build darwin || freebsd\n\npackage sim\n", "ends in _linux"},
		{"sim/a_darwin.go", "//go:build darwin\n\npackage sim\n", "end in _linux"},
		{"sim/on.go", "//go:build race || invariants\n\npackage sim\n", ""},
	})
}

func TestPlantedDocs(t *testing.T) {
	const doc = "// Package sim is.\npackage sim\n"
	plants(t, CheckDocs, []plant{
		{"sim/a.go", "package sim", "no package comment"},
		{"sim/a.go", "// Sim is.\npackage sim", "no package comment"},
		{"cmd/x/a.go", "// Command x does.\npackage main; func Exported() {}", ""},
		{"sim/a.go", doc + "func F() {}", "F has no comment"},
		{"sim/a.go", doc + "// Does it.\nfunc F() {}", "begins with something else"},
		{"sim/a.go", doc + "// F does it.\nfunc F() {}\nfunc g() {}", ""},
		{"sim/a.go", doc + "type T struct{}", "T has no comment"},
		{"sim/a.go", doc + "// A T is.\ntype T struct{}\nfunc (T) M() {}", "M has no comment"},
		{"sim/a.go", doc + "type t struct{}\nfunc (t) M() {}", ""},
		{"sim/a.go", doc + "// An I is.\ntype I interface {\n\tMore()\n}", "I.More has no comment"},
		{"sim/a.go", doc + "// An I is.\ntype I interface {\n\t// M does.\n\tM()\n}", ""},
		{"sim/a.go", doc + "// An I is.\ntype I interface {\n\t// M and N do.\n\tM()\n\tN()\n}", ""},
		{"sim/a.go", doc + "// An I is.\ntype I interface {\n\t// M does.\n\tM()\n\n\tN()\n}", "I.N has no comment"},
		{"sim/a.go", doc + "// An I can be told More.\ntype I interface {\n\tMore()\n}", ""},
		{"sim/a.go", doc + "const C = 1", "C has no comment"},
		{"sim/a.go", doc + "// The constants.\nconst (\n\tC = 1\n\tD = 2\n)", ""},
		{"sim/a_test.go", doc + "func F() {}", ""},
	})
}

func TestPlantedSizes(t *testing.T) {
	long := "package sim\n\nfunc f() {\n" + strings.Repeat("\tg()\n", MaxFunction-1) + "}\n"
	check := func(ratchet string) func(*Tree) []Finding {
		return func(tree *Tree) []Finding { return CheckSizes(Oversized(tree), ratchet) }
	}
	plants(t, check(""), []plant{
		{"sim/a.go", long, "function of 71"},
		{"sim/a.go", strings.Replace(long, "\tg()\n", "", 1), ""},
		{"sim/a.go", "package sim\n" + strings.Repeat("\n", MaxFile), "file of 501"},
		{"sim/a.go", "package sim // " + strings.Repeat("x", MaxLine-14), "line of 141"},
		{"sim/a.go", "package sim // " + strings.Repeat("ü", MaxLine-15), ""},
	})
	plants(t, check("function sim/a.go:f 71"), []plant{
		{"sim/a.go", long, ""},
		{"sim/a.go", strings.Replace(long, "\tg()\n", "\tg()\n\tg()\n", 1), "may only shrink"},
		{"sim/a.go", "package sim", "remove the line"},
	})
	plants(t, check("function sim/a.go:f 72"), []plant{{"sim/a.go", long, "lower its 72"}})
	plants(t, check("function 72"), []plant{{"sim/a.go", "package sim", "is not"}})
}

func TestPlantedImports(t *testing.T) {
	check := func(tree *Tree) []Finding { return CheckImports(tree, graph(t), Onlys) }
	plants(t, check, []plant{
		{"proactor/a.go", `package proactor; import _ "mobius/internal/invariant"`, ""},
		{"proactor/a.go", `package proactor; import _ "mobius/loop"`, "proactor must not import loop"},
		{"transport/a.go", `package transport; import _ "mobius/uring"`, "transport must not import uring"},
		{"transport/a.go", `package transport; import _ "mobius/proactor"`, ""},
		{"transport/a_test.go", `package transport; import _ "mobius/sim"`, ""},
		{"loop/a.go", `package loop; import _ "mobius"`, "loop must not import mobius"},
		{"loop/a.go", `package loop; import _ "golang.org/x/sys/unix"`, "must not import golang.org"},
		{"loop/a.go", `package loop; import _ "example.org/x"`, "is not in the graph"},
		{"loop/a_test.go", `package loop; import _ "example.org/x"`, "is not in the graph"},
		{"newcomer/a.go", `package newcomer`, "newcomer is not in the graph"},
		{"reactor.go", `package mobius; import _ "mobius/uring"`, "not for this file"},
		{"backend_linux.go", `package mobius; import _ "mobius/uring"`, ""},
		{"proxy/a.go", `package proxy; import _ "mobius/epoll"`, "not for this file"},
		{"connector/a.go", `package connector; import _ "mobius/internal/sys"`, "connector must not import"},
		{"proxy/a.go", `package proxy; import _ "golang.org/x/sys/unix"`, "not for this file"},
	})
	for _, bad := range []string{"a < b", "NONE < a < a;", "NONE < a b;", "NONE < a; a < b; b < a;"} {
		if g, err := ParseGraph(bad); err == nil {
			t.Errorf("graph %q is read as %v", bad, g)
		}
	}
}

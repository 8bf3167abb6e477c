package tidy

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Imports is who may import whom, in the form of go/build's deps_test.go:
// "a, b < c, d" lets c and d import a and b and all that these may import. A
// package is named by its directory, the root is "mobius". Another module's
// package must stand here to be imported at all.
const Imports = `
NONE < internal/invariant < proactor;
NONE < golang.org/x/sys/unix;
NONE < internal/signals;
NONE < internal/borrow;
NONE < internal/testenv;

# The backends know the seam, and nothing above it.
proactor, golang.org/x/sys/unix < internal/sys < internal/splice < internal/ready < epoll, kqueue;
internal/sys, internal/splice < uring;
proactor < sim;

# The floors that never ask which backend carries them.
proactor < loop < transport < connector;
transport < transport/tls, transport/descriptor, transport/datagram;
transport < transport/pipe < transport/process;
connector, transport/tls, transport/datagram, transport/descriptor, transport/process < mobius;
uring, epoll, kqueue, internal/signals, internal/borrow < mobius;
connector < flow;
mobius < proxy < cmd/mobius;
NONE < github.com/pires/go-proxyproto;
mobius < protocols < policies;
github.com/pires/go-proxyproto < policies;
policies < endpoint;
mobius, flow, sim < fake;
mobius < compat;
mobius < netconn;

# The benchmark harness.
NONE < github.com/HdrHistogram/hdrhistogram-go < bench/result;
NONE < bench/control, bench/csource;
bench/result, golang.org/x/sys/unix < bench/load < bench/servers;
netconn, bench/control, bench/csource, bench/servers < bench < cmd/mobius;
NONE < github.com/google/pprof/profile, github.com/google/pprof/driver;
bench/result, github.com/google/pprof/profile, github.com/google/pprof/driver < bench/report < cmd/mobius;

# What only tests import.
NONE < golang.org/x/net/nettest, golang.org/x/net/dns/dnsmessage;
kqueue, golang.org/x/sys/unix < kqueue/keventmodel;
loop, sim, uring, epoll, internal/testenv < test/backends;
sim, internal/testenv, golang.org/x/sys/unix < test/backendtest;
proactor, golang.org/x/sys/unix < test/netbackend;
transport, sim, uring, epoll, kqueue, internal/testenv < test/backends;
cmd/mobius, test/backends, test/backendtest, test/netbackend < test/conformance, test/dataloss, test/tidy, test/traffic, test/twisted;
golang.org/x/sys/unix < test/guest/init;
NONE < test/guest/pack;
NONE < test/mutants;
test/tidy < test/clone;
NONE < test/mixed, test/stress;
`

// An Only says that a package may be imported by nobody but these files,
// whatever the graph allows: patterns of path.Match on the file's path.
type Only struct {
	Package string
	Files   []string
}

// Onlys are the exceptions to what Imports allows by going through another
// package. Test files are free.
var Onlys = []Only{
	{"uring", []string{"backend_linux.go", "cmd/mobius/*.go", "test/*/*.go"}},
	{"epoll", []string{"backend_linux.go", "cmd/mobius/*.go", "test/*/*.go"}},
	{"kqueue", []string{"backend_bsd.go", "kqueue/*/*.go", "cmd/mobius/*.go", "test/*/*.go"}},
	{"internal/sys", []string{"internal/*/*.go", "uring/*.go", "epoll/*.go", "kqueue/*.go", "test/*/*.go"}},
	{"internal/borrow", []string{"adopt.go", "test/*/*.go"}},
	{"internal/signals", []string{"signals.go", "test/*/*.go"}},
	{"internal/splice", []string{"internal/*/*.go", "uring/*.go", "epoll/*.go", "kqueue/*.go", "test/*/*.go"}},
	{"internal/ready", []string{"internal/*/*.go", "epoll/*.go", "kqueue/*.go", "kqueue/*/*.go", "test/*/*.go"}},
	{"golang.org/x/sys/unix", []string{"internal/*/*.go", "uring/*.go", "epoll/*.go", "kqueue/*.go", "kqueue/*/*.go",
		"cmd/mobius/*.go", "bench/*.go", "bench/*/*.go", "test/*/*.go", "test/*/*/*.go"}},
}

// A Graph says what each package may import, directly or through others.
type Graph map[string]map[string]bool

// ParseGraph reads the form of [Imports].
func ParseGraph(text string) (Graph, error) {
	direct := map[string]map[string]bool{}
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		lines = append(lines, line)
	}
	for rule := range strings.SplitSeq(strings.Join(lines, " "), ";") {
		if strings.TrimSpace(rule) == "" {
			continue
		}
		if err := parseRule(direct, rule); err != nil {
			return nil, err
		}
	}
	g := Graph{}
	for name := range direct {
		g[name] = map[string]bool{}
		if !reach(direct, name, g[name]) {
			return nil, fmt.Errorf("%s imports itself", name)
		}
	}
	return g, nil
}

func parseRule(direct map[string]map[string]bool, rule string) error {
	var below []string
	for i, list := range strings.Split(rule, "<") {
		var names []string
		for name := range strings.SplitSeq(list, ",") {
			name = strings.TrimSpace(name)
			if name == "" || strings.ContainsAny(name, " \t") {
				return fmt.Errorf("rule %q: %q is no package", strings.TrimSpace(rule), name)
			}
			if name == "NONE" {
				continue
			}
			if i == 0 && direct[name] == nil {
				return fmt.Errorf("rule %q: %s stands on nothing: give it a line before", strings.TrimSpace(rule), name)
			}
			if direct[name] == nil {
				direct[name] = map[string]bool{}
			}
			for _, b := range below {
				direct[name][b] = true
			}
			names = append(names, name)
		}
		below = names
	}
	return nil
}

func reach(direct map[string]map[string]bool, name string, seen map[string]bool) bool {
	var walk func(string)
	walk = func(at string) {
		for below := range direct[at] {
			if !seen[below] {
				seen[below] = true
				walk(below)
			}
		}
	}
	walk(name)
	return !seen[name]
}

// CheckImports holds the tree against a graph, and against onlys.
func CheckImports(t *Tree, g Graph, onlys []Only) []Finding {
	var out []Finding
	for _, f := range t.Go() {
		from := node(f.Dir())
		if _, ok := g[from]; !ok {
			out = append(out, Finding{f.Path, fmt.Sprintf("package %s is not in the graph of test/tidy/graph.go", from)})
			continue
		}
		for _, spec := range f.AST.Imports {
			to, ours := importNode(spec.Path.Value)
			if !ours || to == from || f.IsTest() && g[to] != nil {
				continue
			}
			if g[to] == nil {
				out = append(out, t.At(spec.Pos(), "%s is not in the graph of test/tidy/graph.go", to))
			} else if !g[from][to] {
				out = append(out, t.At(spec.Pos(), "%s must not import %s: imports go down only (docs/architecture.md)", from, to))
			} else if !mayImport(onlys, to, f.Path) {
				out = append(out, t.At(spec.Pos(), "%s is not for this file: see Onlys in test/tidy/graph.go", to))
			}
		}
	}
	return out
}

func mayImport(onlys []Only, to, file string) bool {
	for _, o := range onlys {
		if o.Package == to {
			return slices.ContainsFunc(o.Files, func(pattern string) bool {
				ok, err := path.Match(pattern, file)
				return ok && err == nil
			})
		}
	}
	return true
}

// node returns the name in the graph of a directory of this module.
func node(dir string) string {
	if dir == "." {
		return Module
	}
	return dir
}

// importNode returns the name in the graph of an import, and whether it needs
// one: the standard library does not.
func importNode(quoted string) (string, bool) {
	p, err := strconv.Unquote(quoted)
	if err != nil {
		return quoted, true
	}
	first, rest, _ := strings.Cut(p, "/")
	switch {
	case p == Module:
		return Module, true
	case first == Module:
		return rest, true
	}
	return p, strings.Contains(first, ".")
}

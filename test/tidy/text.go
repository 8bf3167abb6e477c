package tidy

import (
	"bytes"
	"fmt"
	"go/format"
	"path"
	"regexp"
	"strings"
)

// A Word bans a text in every file of the tree. Patterns are written with
// one-letter classes so that they do not match themselves.
type Word struct {
	Pattern *regexp.Regexp
	Files   *regexp.Regexp // nil: all
	Instead string
}

// Words is what no file may say.
var Words = []Word{
	{regexp.MustCompile(`\b([T]ODO|[F]IXME|[X]XX|[H]ACK)\b`), nil, "do it, or open an issue: the tree holds no promises"},
	{
		regexp.MustCompile(`^//[g]o:(linkname|norace|nocheckptr)\b`), goFile,
		"it breaks with the next Go, or hides a race: write the code so that it needs none",
	},
	{regexp.MustCompile(`//[n]olint|//lint:ignore\s+\S+\s*$`), goFile, "mend it, or //lint:ignore CHECK with a reason"},
	{
		regexp.MustCompile(`(?i)\b(proxy\.golang\.o[r]g|sum\.golang\.o[r]g|goproxy\.[ic][on]|pypi\.o[r]g|` +
			`registry\.npmjs\.o[r]g|crates\.i[o]|docker\.i[o]|ghcr\.i[o]|quay\.i[o])\b`), nil,
		"the tree names no package registry",
	},
	{
		regexp.MustCompile(`(^|[^\w.])/([r]oot|[h]ome/\w+|[U]sers/\w+|[w]ork)/`), nil,
		"an absolute path of one machine: use a relative one, or t.TempDir",
	},
	{
		regexp.MustCompile(`\b([A]I|[L]LMs?)\b|(?i:\b([c]laude|[a]nthropic|[o]penai|[c]hat-?gpt|[g]pt-\d|[c]opilot|` +
			`[a]rtificial intelligence|[l]anguage model|[a]ssistant|[v]ibe.?cod)\w*)`), nil,
		"the tree is about networking",
	},
	{
		regexp.MustCompile(`//.*\b[cC]ases? [0-9]|\b[X]-[0-9]+\b|\b[G]AP-[0-9]+|(?i:[y]ardstick)|(^|[^/\w.])[r]eference/`), nil,
		"readers lack that table: cite a man page, an RFC, an interface of Twisted, or say why; in test/twisted, Case17 names a test",
	},
	{regexp.MustCompile(`^(<{7}|>{7}|={7})( |$)`), nil, "a merge went wrong here"},
}

var goFile = regexp.MustCompile(`\.go$`)

// CheckWords looks for banned texts, in nested modules and testdata too.
func CheckWords(t *Tree, words []Word) []Finding {
	var out []Finding
	for _, f := range t.Files {
		n := 0
		for line := range strings.Lines(f.Text) {
			n++
			for _, w := range words {
				if w.Files != nil && !w.Files.MatchString(f.Path) {
					continue
				}
				if hit := w.Pattern.FindString(strings.TrimRight(line, "\r\n")); hit != "" {
					where := fmt.Sprintf("%s:%d", f.Path, n)
					out = append(out, Finding{where, fmt.Sprintf("%q: %s", strings.TrimSpace(hit), w.Instead)})
				}
			}
		}
	}
	return out
}

var variableName = regexp.MustCompile(`\bMOBIUS_[A-Z_]+[A-Z]\b`)

// CheckEnvironment wants every environment variable that the tree names to
// stand in CONTRIBUTING.md, and every one that stands there to be named
// elsewhere.
func CheckEnvironment(t *Tree) []Finding {
	const list = "CONTRIBUTING.md"
	used, listed := map[string]string{}, map[string]bool{}
	for _, f := range t.Files {
		for _, name := range variableName.FindAllString(f.Text, -1) {
			if f.Path == list {
				listed[name] = true
			} else if _, ok := used[name]; !ok {
				used[name] = f.Path
			}
		}
	}
	var out []Finding
	for name, file := range used {
		if !listed[name] {
			out = append(out, Finding{file, name + " is not explained in " + list})
		}
	}
	for name := range listed {
		if used[name] == "" {
			out = append(out, Finding{list, name + " is named nowhere else: remove it"})
		}
	}
	return out
}

// CheckFormat wants every Go file as gofmt writes it.
func CheckFormat(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Files {
		if f.AST == nil {
			continue
		}
		want, err := format.Source([]byte(f.Text))
		if err != nil {
			out = append(out, Finding{f.Path, err.Error()})
		} else if !bytes.Equal(want, []byte(f.Text)) {
			out = append(out, Finding{f.Path, "not as gofmt writes it: gofmt -w " + f.Path})
		}
	}
	return out
}

var (
	platformTag  = regexp.MustCompile(`\b(linux|darwin|freebsd|netbsd|openbsd|dragonfly|windows|unix|solaris|aix|plan9)\b`)
	platformName = regexp.MustCompile(`_(linux|bsd|posix|other)(_[a-z0-9]+)?(_test)?\.go$`)
	foreignName  = regexp.MustCompile(`_(darwin|freebsd|netbsd|openbsd|dragonfly|windows|unix)(_[a-z0-9]+)?(_test)?\.go$`)
)

// CheckPlatforms wants platform files to have a //go:build line and to end in
// _linux, _bsd, _posix or _other.
func CheckPlatforms(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Go() {
		constraint := ""
		for line := range strings.Lines(f.Text) {
			if strings.HasPrefix(line, "package ") {
				break
			}
			if strings.HasPrefix(line, "//go:build ") {
				constraint = strings.TrimSpace(line)
			}
		}
		base := path.Base(f.Path)
		named := platformName.MatchString(base)
		switch {
		case foreignName.MatchString(base):
			out = append(out, Finding{f.Path, "platform files end in _linux, _bsd, _posix or _other"})
		case named && constraint == "":
			out = append(out, Finding{f.Path, "a platform file has a //go:build line"})
		case !named && platformTag.MatchString(constraint):
			out = append(out, Finding{f.Path, "a file with \"" + constraint + "\" ends in _linux, _bsd, _posix or _other"})
		}
	}
	return out
}

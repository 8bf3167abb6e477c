package tidy

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Module is the path of the module that is checked.
const Module = "mobius"

// A Finding is one breach of one rule.
type Finding struct {
	Where string // file:line, or what else names the place
	What  string // what is wrong, and what to do instead
}

// String returns the finding on one line, as compilers print errors.
func (f Finding) String() string { return f.Where + ": " + f.What }

// A File is one text file of the tree.
type File struct {
	Path string // slash-separated, relative to the root
	Text string
	AST  *ast.File // nil if it is no Go file, or lies in testdata
}

// Dir returns the directory of f, "." at the root: for Go files the package.
func (f *File) Dir() string { return path.Dir(f.Path) }

// IsTest reports whether f is compiled into tests only.
func (f *File) IsTest() bool { return strings.HasSuffix(f.Path, "_test.go") }

// A Tree is the module's text, or a piece of it that a test made up.
type Tree struct {
	Fset   *token.FileSet
	Files  []*File  // sorted by path
	Nested []string // directories that are modules of their own
	info   map[string]*types.Info
}

// Load reads the module whose go.mod stands in dir.
func Load(dir string) (*Tree, error) {
	sources := map[string]string{}
	err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, at)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); rel != "." && strings.HasPrefix(name, ".") && name != ".ci" {
				return filepath.SkipDir
			}
			return nil
		}
		if !isText(rel) {
			return nil
		}
		b, err := os.ReadFile(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed since the directory was read
		}
		sources[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		return nil, err
	}
	return Parse(sources)
}

// Parse returns the tree of the given texts, by path.
func Parse(sources map[string]string) (*Tree, error) {
	t := &Tree{Fset: token.NewFileSet(), info: map[string]*types.Info{}}
	for name, text := range sources {
		f := &File{Path: name, Text: text}
		t.Files = append(t.Files, f)
		if path.Base(name) == "go.mod" && name != "go.mod" {
			t.Nested = append(t.Nested, path.Dir(name))
		}
		if !strings.HasSuffix(name, ".go") || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		var err error
		f.AST, err = parser.ParseFile(t.Fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse: %w", err)
		}
	}
	slices.SortFunc(t.Files, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
	return t, nil
}

func isText(name string) bool {
	switch path.Ext(name) {
	case ".go", ".md", ".sh", ".txt", ".mod", ".html", ".css", ".js", ".json", ".conf", ".c", ".h", ".cfg", ".py":
		return true
	}
	return path.Base(filepath.ToSlash(name)) == "run" // .ci/run and the like
}

// Go returns the Go files of the main module (those of nested ones not).
func (t *Tree) Go() []*File {
	var out []*File
	for _, f := range t.Files {
		if f.AST != nil && !t.nested(f.Path) {
			out = append(out, f)
		}
	}
	return out
}

func (t *Tree) nested(name string) bool {
	return slices.ContainsFunc(t.Nested, func(dir string) bool { return strings.HasPrefix(name, dir+"/") })
}

// At returns a finding at a position of a Go file.
func (t *Tree) At(pos token.Pos, format string, args ...any) Finding {
	p := t.Fset.Position(pos)
	return Finding{fmt.Sprintf("%s:%d", p.Filename, p.Line), fmt.Sprintf(format, args...)}
}

// lines returns how many lines a node covers.
func (t *Tree) lines(n ast.Node) int {
	return t.Fset.Position(n.End()).Line - t.Fset.Position(n.Pos()).Line + 1
}

// Info returns what go/types knows of a directory's identifiers. Imports are
// not followed, so it tells which package a name belongs to and which
// declaration an identifier means, and no types of other packages.
func (t *Tree) Info(dir string) *types.Info {
	if info := t.info[dir]; info != nil {
		return info
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	t.info[dir] = info
	byPackage := map[string][]*ast.File{}
	for _, f := range t.Files {
		if f.AST != nil && f.Dir() == dir {
			byPackage[f.AST.Name.Name] = append(byPackage[f.AST.Name.Name], f.AST)
		}
	}
	conf := types.Config{Importer: noImports{}, Error: func(error) {}, FakeImportC: true}
	for name, files := range byPackage {
		_, _ = conf.Check(name, t.Fset, files, info) // errors: imports, and one name on several platforms
	}
	return info
}

type noImports struct{}

// Import fails: go/types then makes up an empty package with the right path.
func (noImports) Import(string) (*types.Package, error) {
	return nil, errors.New("imports are not followed")
}

// qualified returns the import path and the name of what sel selects, if its
// left side is a package.
func (t *Tree) qualified(f *File, sel *ast.SelectorExpr) (pkg, name string, ok bool) {
	id, ok := sel.X.(*ast.Ident)
	if !ok {
		return "", "", false
	}
	switch p := t.Info(f.Dir()).Uses[id].(type) {
	case *types.PkgName:
		return p.Imported().Path(), sel.Sel.Name, true
	case nil: // go/types takes the name of "math/rand/v2" to be v2
		for _, spec := range f.AST.Imports {
			at := strings.Trim(spec.Path.Value, `"`)
			if spec.Name == nil && versionElement.MatchString(path.Base(at)) && path.Base(path.Dir(at)) == id.Name {
				return at, sel.Sel.Name, true
			}
		}
	}
	return "", "", false
}

var versionElement = regexp.MustCompile(`^v[0-9]+$`)

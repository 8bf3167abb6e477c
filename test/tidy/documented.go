package tidy

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// CheckDocs wants a comment on every exported name of every package that can
// be imported, on interface methods too, and a package comment everywhere.
func CheckDocs(t *Tree) []Finding {
	var out []Finding
	documented := map[string]bool{}
	var dirs []string
	for _, f := range t.Go() {
		key := f.Dir()
		if _, seen := documented[key]; !seen {
			dirs = append(dirs, key)
			documented[key] = false
		}
		if isPackageDoc(f.AST) {
			documented[key] = true
		}
		if f.IsTest() || f.AST.Name.Name == "main" {
			continue
		}
		for _, d := range f.AST.Decls {
			out = append(out, docsOf(t, d)...)
		}
	}
	for _, dir := range dirs {
		if !documented[dir] {
			out = append(out, Finding{dir, "no package comment: one file begins with \"// Package NAME …\", or \"// Command NAME …\""})
		}
	}
	return out
}

func isPackageDoc(f *ast.File) bool {
	if f.Doc == nil {
		return false
	}
	text := f.Doc.Text()
	if f.Name.Name == "main" {
		return strings.HasPrefix(text, "Command ")
	}
	return strings.HasPrefix(text, "Package "+f.Name.Name+" ")
}

func docsOf(t *Tree, d ast.Decl) []Finding {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() || d.Recv != nil && !ast.IsExported(receiver(d)) {
			return nil
		}
		return wantDoc(t, d.Name, d.Doc)
	case *ast.GenDecl:
		var out []Finding
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				out = append(out, docsOfType(t, d, s)...)
			case *ast.ValueSpec:
				out = append(out, docsOfValue(t, d, s)...)
			}
		}
		return out
	}
	return nil
}

func docsOfType(t *Tree, d *ast.GenDecl, s *ast.TypeSpec) []Finding {
	if !s.Name.IsExported() {
		return nil
	}
	doc := s.Doc
	if doc == nil {
		doc = s.Comment
	}
	var out []Finding
	switch {
	case doc == nil && len(d.Specs) > 1 && d.Doc != nil:
		// A group of names (aliases, mostly) under one comment.
	case doc == nil:
		out = wantDoc(t, s.Name, d.Doc)
	case len(d.Specs) == 1 || s.Doc != nil:
		out = wantDoc(t, s.Name, doc)
	}
	if i, ok := s.Type.(*ast.InterfaceType); ok {
		of := d.Doc.Text()
		if s.Doc != nil {
			of = s.Doc.Text()
		}
		out = append(out, docsOfMethods(t, s.Name.Name, of, i)...)
	}
	return out
}

// docsOfMethods wants a comment on each method. The interface's own comment
// may speak for a method, by name, and a method's for those right below it.
func docsOfMethods(t *Tree, of, about string, i *ast.InterfaceType) []Finding {
	var out []Finding
	text, last := "", 0
	for _, m := range i.Methods.List {
		line := t.Fset.Position(m.Pos()).Line
		switch {
		case m.Doc != nil:
			text = m.Doc.Text()
		case line != last+1:
			text = ""
		}
		last = line
		for _, name := range m.Names {
			if name.IsExported() && m.Doc == nil && m.Comment == nil && !strings.Contains(text+about, name.Name) {
				out = append(out, t.At(name.Pos(), "%s.%s has no comment", of, name.Name))
			}
		}
	}
	return out
}

func docsOfValue(t *Tree, d *ast.GenDecl, s *ast.ValueSpec) []Finding {
	if d.Tok != token.CONST && d.Tok != token.VAR || d.Doc != nil || s.Doc != nil || s.Comment != nil {
		return nil
	}
	var out []Finding
	for _, name := range s.Names {
		if name.IsExported() {
			out = append(out, t.At(name.Pos(), "%s has no comment", name.Name))
		}
	}
	return out
}

// wantDoc wants a comment whose first sentence names what it is about.
func wantDoc(t *Tree, name *ast.Ident, doc *ast.CommentGroup) []Finding {
	if doc == nil || strings.TrimSpace(doc.Text()) == "" {
		return []Finding{t.At(name.Pos(), "%s has no comment", name.Name)}
	}
	first, _, _ := strings.Cut(doc.Text(), ". ")
	if !strings.Contains(first, name.Name) {
		return []Finding{t.At(name.Pos(), "the comment of %s begins with something else: %s", name.Name, fmt.Sprintf("%.40q", first))}
	}
	return nil
}

package tidy

import (
	"go/ast"
	"go/token"
	"go/types"
	"strings"
)

// CheckVariables looks for package variables on the floors that are more than
// errors, tables that are never written, and interface assertions.
func CheckVariables(t *Tree) []Finding {
	var out []Finding
	for _, f := range t.Go() {
		if !isFloor(f) {
			continue
		}
		info := t.Info(f.Dir())
		for _, d := range f.AST.Decls {
			gen, ok := d.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				out = append(out, variable(t, f, info, spec.(*ast.ValueSpec))...)
			}
		}
	}
	return out
}

const keepIt = "keep it in the object that needs it, or make it a const"

func variable(t *Tree, f *File, info *types.Info, s *ast.ValueSpec) []Finding {
	var out []Finding
	for i, name := range s.Names {
		isError := i < len(s.Values) && makesError(s.Values[i])
		isTable := i < len(s.Values) && isComposite(s.Values[i])
		switch {
		case name.Name == "_":
		case !isError && !isTable:
			out = append(out, t.At(name.Pos(), "package variable %s is neither an error nor a table: %s", name.Name, keepIt))
		default:
			if at := writtenAt(t, f.Dir(), info.Defs[name]); at.IsValid() {
				out = append(out, t.At(at, "package variable %s is written: %s", name.Name, keepIt))
			}
		}
	}
	return out
}

// makesError reports whether e is errors.New, fmt.Errorf, or another
// package's error by its name.
func makesError(e ast.Expr) bool {
	name := ""
	if call, ok := e.(*ast.CallExpr); ok {
		e = call.Fun
	}
	switch e := e.(type) {
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			name = x.Name + "." + e.Sel.Name
		}
	case *ast.Ident:
		name = "." + e.Name
	}
	return name == "errors.New" || name == "fmt.Errorf" || name == "io.EOF" || strings.Contains(name, ".Err")
}

func isComposite(e ast.Expr) bool {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return false
	}
	switch lit.Type.(type) {
	case *ast.ArrayType, *ast.MapType:
		return true
	}
	return false
}

// writtenAt returns where a package's code assigns to v, to an element of it,
// or takes its address.
func writtenAt(t *Tree, dir string, v types.Object) token.Pos {
	found := token.NoPos
	info := t.Info(dir)
	check := func(e ast.Expr) {
		if id := rootOf(e); id != nil && v != nil && info.Uses[id] == v {
			found = e.Pos()
		}
	}
	for _, f := range t.Go() {
		if f.Dir() != dir {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, e := range n.Lhs {
					check(e)
				}
			case *ast.IncDecStmt:
				check(n.X)
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					check(n.Key)
					check(n.Value)
				}
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					check(n.X)
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear" || id.Name == "copy") && len(n.Args) > 0 {
					check(n.Args[0])
				}
			}
			return true
		})
	}
	return found
}

// rootOf returns the identifier that e is an element of.
func rootOf(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.IndexExpr:
			e = x.X
		case *ast.SelectorExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		default:
			return nil
		}
	}
}

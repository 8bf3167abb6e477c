package stacks

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/test/stacks/moved/oncompat"
	"mobius/test/stacks/moved/ongnet"
)

// excused are names of gnet that compat has not, or not alike; docs/dropin.md
// gives the reason for each.
var excused = []string{"MaxStreamBufferCap", "Stop", "WithLogLevel", "WithLogger", "Options.LogLevel", "Options.Logger"}

// Every exported name of gnet is compat's, with the same parameters and
// results, or excused.
func TestNamesOfGnet(t *testing.T) {
	theirs := names(t, "github.com/panjf2000/gnet/v2")
	ours := names(t, "mobius/compat")
	if len(theirs) < 100 {
		t.Fatalf("%d names of gnet, want 100 and more", len(theirs))
	}
	page, err := os.ReadFile("../../docs/dropin.md")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, name := range excused {
		used[name] = false
		if !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("docs/dropin.md does not say why compat has no `%s`, or another one", name)
		}
	}
	for name, kind := range theirs {
		if ours[name] == kind {
			continue
		}
		if _, ok := used[name]; !ok {
			t.Errorf("%s: gnet has %q, compat %q", name, kind, ours[name])
		}
		used[name] = true
	}
	for name, ok := range used {
		if !ok {
			t.Errorf("%s is excused, and compat has it as gnet has", name)
		}
	}
}

// names returns the exported names of a package, with those of its types' methods
// and fields, and what each is.
func names(t *testing.T, path string) map[string]string {
	t.Helper()
	out, err := exec.Command(testenv.Program(t, "go"), "list", "-f", "{{range .GoFiles}}{{$.Dir}}/{{.}}\n{{end}}", path).Output()
	if err != nil {
		t.Fatalf("go list %s: %v", path, err)
	}
	all := map[string]string{}
	for _, file := range strings.Fields(string(out)) {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				name := d.Name.Name
				if d.Recv != nil {
					name = strings.TrimPrefix(types.ExprString(d.Recv.List[0].Type), "*") + "." + name
				}
				all[name] = signature(d.Type)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					declared(all, s)
				}
			}
		}
	}
	for name := range all {
		for part := range strings.SplitSeq(name, ".") {
			if !ast.IsExported(part) {
				delete(all, name)
			}
		}
	}
	return all
}

// declared notes a type with its members, a constant or a variable.
func declared(all map[string]string, s ast.Spec) {
	switch s := s.(type) {
	case *ast.ValueSpec:
		for _, n := range s.Names {
			all[n.Name] = "value"
		}
	case *ast.TypeSpec:
		members, kind := &ast.FieldList{}, types.ExprString(s.Type)
		switch typ := s.Type.(type) {
		case *ast.InterfaceType:
			members, kind = typ.Methods, "interface"
		case *ast.StructType:
			members, kind = typ.Fields, "struct"
		case *ast.FuncType:
			kind = signature(typ)
		}
		all[s.Name.Name] = kind
		for _, m := range members.List {
			what := types.ExprString(m.Type)
			if f, ok := m.Type.(*ast.FuncType); ok {
				what = signature(f)
			}
			for _, n := range m.Names {
				all[s.Name.Name+"."+n.Name] = what
			}
			if len(m.Names) == 0 {
				all[s.Name.Name+"."+what[strings.LastIndex(what, ".")+1:]] = "embedded " + what
			}
		}
	}
}

// signature is a function's type without the names of what goes in and out.
func signature(f *ast.FuncType) string {
	list := func(l *ast.FieldList) string {
		var all []string
		if l != nil {
			for _, p := range l.List {
				for range max(len(p.Names), 1) {
					all = append(all, types.ExprString(p.Type))
				}
			}
		}
		return strings.Join(all, ", ")
	}
	return "func(" + list(f.Params) + ") (" + list(f.Results) + ")"
}

// Package oncompat is package ongnet with another import, and no other difference.
func TestMovedByItsImport(t *testing.T) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.FromSlash("moved/" + name + "/server.go"))
		if err != nil {
			t.Fatal(err)
		}
		_, code, _ := bytes.Cut(b, []byte("\nimport ("))
		return string(code)
	}
	want := strings.Replace(read("ongnet"), `"github.com/panjf2000/gnet/v2"`, `gnet "mobius/compat"`, 1)
	if read("oncompat") != want {
		t.Error("moved/oncompat is not moved/ongnet with the import changed")
	}
}

// A moved is the server that is compiled against both.
type moved interface {
	Booted() <-chan struct{}
	Ended() <-chan error
	Stop(ctx context.Context) error
	Seen() (closes []error, ticks int, down bool)
	Connections() int
}

// The server of package moved does on gnet and on compat the same.
func TestMovedFromGnet(t *testing.T) {
	for name, start := range map[string]func(address string) moved{
		"gnet":   func(a string) moved { return ongnet.Start(a) },
		"compat": func(a string) moved { return oncompat.Start(a) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Run("tcp", func(t *testing.T) { play(t, start, "tcp", free(t)) })
			t.Run("unix", func(t *testing.T) { play(t, start, "unix", filepath.Join(t.TempDir(), "s")) })
		})
	}
}

// free returns an address that nobody uses.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// play starts a server, talks with it, and ends it.
func play(t *testing.T, start func(address string) moved, network, address string) {
	s := start(network + "://" + address)
	select {
	case <-s.Booted():
	case err := <-s.Ended():
		t.Fatalf("Run: %v", err)
	}
	var c net.Conn
	testenv.Eventually(t, patience, "somebody listens at "+address, func() bool { // OnBoot may come before
		var err error
		c, err = net.Dial(network, address)
		return err == nil
	})
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	converse(t, s, c)
	_ = c.Close() // compat's OnClose comes when the peer has ended, too
	seen := func(want ...string) {
		t.Helper()
		testenv.Eventually(t, patience, fmt.Sprintf("%d ends and two ticks", len(want)), func() bool {
			closes, ticks, _ := s.Seen()
			return len(closes) == len(want) && ticks > 1
		})
		closes, _, _ := s.Seen()
		for i, err := range closes {
			if got := ending(err); got != want[i] {
				t.Errorf("end %d: %v, want %s", i, err, want[i])
			}
		}
	}
	seen("closed here")
	other, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(other).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_ = other.Close()
	seen("closed here", "closed there")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Errorf("Stop: %v", err)
	}
	if err := wait(t, s.Ended()); err != nil {
		t.Errorf("Run: %v", err)
	}
	if _, _, down := s.Seen(); !down {
		t.Error("OnShutdown was not called")
	}
}

// converse has a conversation, to its end.
func converse(t *testing.T, s moved, c net.Conn) {
	in := bufio.NewReader(c)
	talk := func(say, want string) {
		t.Helper()
		if _, err := io.WriteString(c, say); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("%q is answered %q, %v, want %q", say, got, err, want)
		}
	}
	talk("", "hello\n")
	talk("one\n", "ONE\n")
	talk("two\nthr", "TWO\n")
	talk("ee\n", "THREE\n")
	talk("later\n", "now\n")
	talk("short\n", "short\n")
	talk("task\n", "done\n")
	talk("count\n", "xxxxxxx\n")
	big := strings.Repeat("z", 1<<20)
	talk(big+"\n", strings.ToUpper(big)+"\n")
	if n := s.Connections(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	talk("quit\n", "bye\n")
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("after quit: %v, want io.EOF", err)
	}
}

// ending says who ended a connection, by what OnClose got.
func ending(err error) string {
	switch {
	case err == nil:
		return "closed here"
	case errors.Is(err, io.EOF):
		return "closed there"
	}
	return fmt.Sprint(err)
}

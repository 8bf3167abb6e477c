package tidy

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root(t), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReadmeShowsTheCommands(t *testing.T) {
	shown := strings.Join(Blocks(readme(t), "sh"), "")
	for _, want := range []string{"go run ./cmd/mobius proxy ", "go test ./... ", "-replace=mobius="} {
		if !strings.Contains(shown, want) {
			t.Errorf("README.md does not show %q", want)
		}
	}
}

// address is where the README's programs meet.
const address = "127.0.0.1:7000"

// A module that imports this one by the README's own lines builds the README's
// own programs, and they do what it says: the client gets its greeting back,
// and comes back itself after the server was gone.
func TestReadmePrograms(t *testing.T) {
	programs := Blocks(readme(t), "go")
	if len(programs) != 2 {
		t.Fatalf("README.md has %d Go programs, want an echo server and a client", len(programs))
	}
	at := freeAddress(t)
	dir := importer(t, map[string]string{
		"server/main.go": strings.ReplaceAll(programs[0], address, at),
		"client/main.go": strings.ReplaceAll(programs[1], address, at),
	})
	for i, p := range programs {
		_, body, _ := strings.Cut(p, ")\n") // without the imports
		if n := len(strings.FieldsFunc(body, func(r rune) bool { return r == '\n' })); n > 20 {
			t.Errorf("program %d of README.md has %d lines, want at most 20", i, n)
		}
		if !strings.Contains(p, address) {
			t.Errorf("program %d of README.md does not name %s", i, address)
		}
	}
	server := startProgram(t, filepath.Join(dir, "server"))
	client := startProgram(t, filepath.Join(dir, "client"))
	client.waitFor(t, `received "hello"`, 1)
	server.stop()
	client.waitFor(t, "127.0.0.1", 1) // the loss, with the address
	startProgram(t, filepath.Join(dir, "server"))
	client.waitFor(t, `received "hello"`, 2)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// importer makes a module with these files that imports this one as the
// README says, builds and vets it, and returns its directory.
func importer(t *testing.T, files map[string]string) string {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "importer")
	sums, err := os.ReadFile(filepath.Join(root(t), "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	files["go.sum"] = string(sums) // so that no checksum need be looked up
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(root(t), filepath.Join(top, "mobius")); err != nil {
		t.Fatal(err)
	}
	commands := [][]string{{"go", "mod", "init", "importer"}}
	for _, block := range Blocks(readme(t), "sh") {
		for line := range strings.Lines(block) {
			if strings.HasPrefix(line, "go mod ") {
				commands = append(commands, strings.Fields(line))
			}
		}
	}
	if len(commands) == 1 {
		t.Fatal("README.md does not say how to import the module")
	}
	for _, c := range append(commands, []string{"go", "vet", "./..."}, []string{"go", "build", "-o", "bin/", "./..."}) {
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	return filepath.Join(dir, "bin")
}

// A program is a running program, and what it has printed.
type program struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	out bytes.Buffer
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func startProgram(t *testing.T, path string) *program {
	t.Helper()
	p := &program{cmd: exec.Command(path)}
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p
}

func (p *program) stop() {
	_ = p.cmd.Process.Kill() // it may be over already
	_ = p.cmd.Wait()
}

// waitFor waits until a text was printed so many times.
func (p *program) waitFor(t *testing.T, text string, times int) {
	t.Helper()
	printed := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.out.String()
	}
	if !testenv.Becomes(30*time.Second, func() bool { return strings.Count(printed(), text) >= times }) {
		t.Fatalf("%s has not printed %q %d times:\n%s", filepath.Base(p.cmd.Path), text, times, printed())
	}
}

func TestBlocks(t *testing.T) {
	if got := Blocks("x\n```go\na\nb\n```\n```sh\nc\n```\n```go\nd\n```\n", "go"); !slices.Equal(got, []string{"a\nb\n", "d\n"}) {
		t.Errorf("blocks %q", fmt.Sprint(got))
	}
}

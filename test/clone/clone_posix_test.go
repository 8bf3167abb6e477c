//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package clone

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/test/tidy"
)

// The README's two commands. The second one runs this test.
const (
	first  = "go run ./cmd/mobius proxy"
	second = "go test ./..."
)

var shown = regexp.MustCompile(`http://[0-9.:]+/?`)

// A fresh clone of what is committed: README.md names exactly two commands
// before anything else, the first one serves a page, and all packages and
// their tests compile. Without a checkout to clone there is nothing to see.
func TestFreshClone(t *testing.T) {
	dir := clone(t)
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if got := commands(string(readme)); !slices.Equal(got, []string{first, second}) {
		t.Errorf("README.md begins with the commands %q, want %q and %q", got, first, second)
	}
	firstCommand(t, dir)
	if testing.Short() {
		return // the rest compiles everything
	}
	cmd := command(t, dir, "go", "vet", "./...")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("go vet ./... in a fresh clone: %v\n%s", err, out)
	}
}

// clone clones what is committed into a directory of the test.
func clone(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(root, ".git")); err != nil {
		t.Skipf("not a git checkout, so nothing can be cloned: %v", err)
	}
	git := testenv.Program(t, "git")
	dir := filepath.Join(t.TempDir(), "mobius")
	if out, err := exec.Command(git, "clone", "--quiet", root, dir).CombinedOutput(); err != nil {
		t.Fatalf("git clone %s: %v\n%s", root, err, out)
	}
	return dir
}

// commands returns what the first shell block of a Markdown text tells to do,
// without the comments.
func commands(text string) []string {
	blocks := tidy.Blocks(text, "sh")
	if len(blocks) == 0 {
		return nil
	}
	var out []string
	for line := range strings.Lines(blocks[0]) {
		line, _, _ = strings.Cut(line, "#")
		out = append(out, strings.TrimSpace(line))
	}
	return out
}

func command(t *testing.T, dir, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	// With -trimpath what another clone has compiled need not be compiled
	// again. What a program that is ended has built lies in TMPDIR.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-trimpath", "TMPDIR="+t.TempDir())
	return cmd
}

// A said is what a program has said so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// firstCommand gives the README's first command, fetches the page at the
// address that it prints, and ends it as a service manager does. Where its
// port is taken, it gets another one.
func firstCommand(t *testing.T, dir string) {
	t.Helper()
	words := strings.Fields(first)
	err := serve(t, dir, words...)
	if err != nil && strings.Contains(err.Error(), "address already in use") {
		t.Logf("once more on another port, since %v", err)
		err = serve(t, dir, append(words, "--listen", "tcp://127.0.0.1:0")...)
	}
	if err != nil {
		t.Errorf("%s: %v", first, err)
	}
}

func serve(t *testing.T, dir string, words ...string) error {
	t.Helper()
	var out said
	cmd := command(t, dir, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the go command and the program
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }() // once nobody has its output open
	over := false
	defer func() {
		if !over {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may be over already
			<-ended
		}
	}()
	address := func() string { return shown.FindString(out.String()) }
	for address() == "" {
		select {
		case err := <-ended:
			over = true
			return fmt.Errorf("ended with %v before it told an address:\n%s", err, &out)
		case <-time.After(20 * time.Millisecond):
		}
		if t.Context().Err() != nil {
			return t.Context().Err()
		}
	}
	if err := fetch(address()); err != nil {
		return fmt.Errorf("%w\n%s", err, &out)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-ended: // the go command's own end by the signal
		over = true
	case <-time.After(time.Minute):
		return fmt.Errorf("has not ended a minute after SIGTERM:\n%s", &out)
	}
	if !strings.HasSuffix(strings.TrimSpace(out.String()), "done") {
		return fmt.Errorf("did not end in good order after SIGTERM:\n%s", &out)
	}
	return nil
}

// fetch gets the demonstration's page.
func fetch(url string) error {
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	r, err := client.Get(url)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode != http.StatusOK || !bytes.Contains(page, []byte("It works"))) {
		err = fmt.Errorf("through the proxy came %s, %.200q", r.Status, page)
	}
	return err
}

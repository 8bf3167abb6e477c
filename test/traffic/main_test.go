package traffic

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// roleVariable makes the test binary a server instead, in a process of its
// own: see roles.
const roleVariable = "MOBIUS_TRAFFIC_ROLE"

func TestMain(m *testing.M) {
	if name := os.Getenv(roleVariable); name != "" {
		os.Exit(playRole(name))
	}
	dir, err := os.MkdirTemp("", "mobius-traffic-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	built.dir = dir
	status := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

// built is the program under test, built when a test first wants it.
var built struct {
	dir  string
	once sync.Once
	err  error
}

// program returns the path of mobius.
func program(tb testing.TB) string {
	tb.Helper()
	path := filepath.Join(built.dir, "mobius")
	built.once.Do(func() {
		cmd := exec.Command("go", "build", "-o", path, "mobius/cmd/mobius")
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
		built.err = cmd.Run()
	})
	if built.err != nil {
		tb.Fatalf("go build mobius/cmd/mobius: %v", built.err)
	}
	return path
}

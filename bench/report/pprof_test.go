package report

import (
	"bufio"
	"flag"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// The address that is told is one that shows the profile. The view ends with
// its process only, so that it has one of its own.
func TestWeb(t *testing.T) {
	if flag.NArg() > 0 { // the process below
		t.Fatal(Web(flag.Arg(0), false, os.Stderr))
	}
	file := filepath.Join(t.TempDir(), "x.pprof")
	p := profileOf(map[string]int64{"main.main;main.aRareName": 100})
	if err := WriteFile(file, func(w io.Writer) error { return p.Write(w) }); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestWeb$", "-test.timeout=60s", file)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	}()
	var address string
	for lines := bufio.NewScanner(stderr); address == "" && lines.Scan(); {
		if _, at, ok := strings.Cut(lines.Text(), "http://"); ok {
			address = "http://" + at
		}
	}
	if !strings.HasPrefix(address, "http://127.0.0.1:") {
		t.Fatalf("the address is %q, want one of 127.0.0.1", address)
	}
	var text []byte
	testenv.Eventually(t, 30*time.Second, "an answer at "+address, func() bool { // it tells before it listens
		answer, err := http.Get(address + "/ui/flamegraph")
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		text, err = io.ReadAll(answer.Body)
		return err == nil
	})
	if !strings.Contains(string(text), "aRareName") {
		t.Errorf("%s does not show the profile: %d bytes", address, len(text))
	}
}

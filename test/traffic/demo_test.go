package traffic

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"mobius/internal/testenv"
)

// The README's first command, as curl sees it: a proxy without --to shows a
// page of its own through itself, and its status page counts what it moved.
func TestDemonstrationWithCurl(t *testing.T) {
	curl := testenv.Program(t, "curl")
	for _, backend := range backends() {
		t.Run(backend, func(t *testing.T) {
			p := start(t, exec.Command(program(t), "proxy", "--backend", backend, "--listen", "tcp://127.0.0.1:0",
				"--status", "127.0.0.1:0"), "mobius proxy on "+backend)
			front := listening(t, p, backend)
			status := p.wait(t, "where its status page is", func(line string) (string, bool) {
				return strings.CutPrefix(line, "status on ")
			})
			get := func(url string) string {
				t.Helper()
				out, err := exec.Command(curl, "--silent", "--show-error", "--fail", "--max-time", "20", url).CombinedOutput()
				if err != nil {
					t.Fatalf("curl %s: %v\n%s", url, err, out)
				}
				return string(out)
			}
			if page := get("http://" + front + "/"); !strings.Contains(page, "It works") {
				t.Errorf("through the proxy came %.200q", page)
			}
			if page := get(status); !strings.Contains(page, "<html") || !strings.Contains(page, front) {
				t.Errorf("the status page is %.200q", page)
			}
			var now struct {
				Backend struct{ Name string }
				Proxy   json.RawMessage
			}
			err := json.Unmarshal([]byte(get(status+"status.json")), &now)
			if err != nil || now.Backend.Name != backend || now.Proxy == nil {
				t.Errorf("status.json: %v, %+v", err, now)
			}
		})
	}
}

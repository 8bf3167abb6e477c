package traffic

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	"mobius/internal/testenv"
)

var (
	wrkRequests = regexp.MustCompile(`(?m)^\s*(\d+) requests in `)
	wrkErrors   = regexp.MustCompile(`(?m)^\s*Socket errors: .*$`)
	wrkStatus   = regexp.MustCompile(`(?m)^\s*Non-2xx or 3xx responses: .*$`)
	wrkRate     = regexp.MustCompile(`(?m)^Requests/sec:\s*([0-9.]+)`)
)

// wrk keeps 200 connections busy through the proxy to nginx; no request fails.
func TestWrkToNginx(t *testing.T) {
	program := testenv.Program(t, "wrk")
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		front := start(t, startNginx(t))
		d := 3 * time.Second
		if testenv.Long() {
			d = 30 * time.Second
		}
		out := wrk(t, program, front.addr, 200, d)
		n, err := strconv.Atoi(first(wrkRequests, out))
		if err != nil || n < 200 {
			t.Errorf("wrk made %d requests with 200 connections", n)
		}
		if bad := wrkErrors.FindString(out) + wrkStatus.FindString(out); bad != "" {
			t.Errorf("wrk: %s", bad)
		}
		t.Logf("%d requests in %v, %s a second, none failed", n, d, first(wrkRate, out))
	})
}

// Each connection is closed after its reply, so connects and closes are what
// the proxy does most.
func TestWrkWithoutKeepAlive(t *testing.T) {
	program := testenv.Program(t, "wrk")
	eachProxy(t, func(t *testing.T, start func(*testing.T, string, ...string) *proxied) {
		front := start(t, startNginx(t))
		out := wrk(t, program, front.addr, 50, 2*time.Second, "-H", "Connection: close")
		if n, err := strconv.Atoi(first(wrkRequests, out)); err != nil || n < 50 {
			t.Errorf("wrk made %d requests with 50 connections", n)
		}
		if bad := wrkErrors.FindString(out) + wrkStatus.FindString(out); bad != "" {
			t.Errorf("wrk: %s", bad)
		}
	})
}

func wrk(t *testing.T, program, addr string, connections int, d time.Duration, flags ...string) string {
	t.Helper()
	args := append([]string{"-t2", fmt.Sprintf("-c%d", connections), fmt.Sprintf("-d%ds", int(d.Seconds())), "--timeout", "10s"}, flags...)
	b, err := exec.Command(program, append(args, "http://"+addr+"/")...).CombinedOutput()
	if err != nil {
		t.Fatalf("wrk: %v\n%s", err, b)
	}
	return string(b)
}

// first returns what the pattern's first group matches in text.
func first(pattern *regexp.Regexp, text string) string {
	if m := pattern.FindStringSubmatch(text); m != nil {
		return m[1]
	}
	return ""
}

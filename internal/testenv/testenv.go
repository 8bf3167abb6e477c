// Package testenv is what tests need of their surroundings: programs that may
// be missing, conditions that come true later, and descriptors and goroutines
// that must be gone at the end. Only tests import it.
package testenv

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Strict reports whether MOBIUS_STRICT=1 is set, as .ci/run does: what a test
// needs must then be there.
func Strict() bool { return os.Getenv("MOBIUS_STRICT") == "1" }

// Long reports whether MOBIUS_LONG=1 is set: tests of real traffic then run
// for as long, and with as much, as is worth measuring.
func Long() bool { return os.Getenv("MOBIUS_LONG") == "1" }

// Patience returns how long a test waits for what must happen: 30 s, or as many
// as MOBIUS_PATIENCE says, for machines that are emulated.
func Patience() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("MOBIUS_PATIENCE")); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return 30 * time.Second
}

// Missing ends a test that lacks something of its surroundings, a server or a
// privilege: it skips, or fails if [Strict].
func Missing(tb testing.TB, format string, args ...any) {
	tb.Helper()
	if Strict() {
		tb.Fatalf("MOBIUS_STRICT=1, and missing: "+format, args...)
	}
	tb.Skipf("missing: "+format, args...)
}

// Program returns the path of the first of the named programs that there is,
// in PATH or in sbin, which the PATH of ordinary users leaves out. Without one
// the test is [Missing] it.
func Program(tb testing.TB, names ...string) string {
	tb.Helper()
	for _, name := range names {
		for _, at := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
			if p, err := exec.LookPath(at); err == nil {
				return p
			}
		}
	}
	Missing(tb, "none of these programs is installed: %s", strings.Join(names, ", "))
	return ""
}

// Eventually waits until cond holds, asking every few milliseconds, and fails
// the test with what after d.
func Eventually(tb testing.TB, d time.Duration, what string, cond func() bool) {
	tb.Helper()
	if !Becomes(d, cond) {
		tb.Fatalf("not after %v: %s", d, what)
	}
}

// Becomes waits until cond holds, for d at most, and reports whether it does.
func Becomes(d time.Duration, cond func() bool) bool {
	if cond() {
		return true
	}
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-end.C:
			return cond()
		case <-tick.C:
			if cond() {
				return true
			}
		}
	}
}

// Again calls f until a signal is not what ends it. The runtime's own signals
// interrupt system calls that have a time limit, or are never restarted (signal(7)).
// A connect(2) that is asked again goes on waiting for the same connection.
func Again(f func() error) error {
	for {
		if err := f(); err != syscall.EINTR {
			return err
		}
	}
}

// Leaks fails the test if, once it and its other cleanups are over, the
// process has more descriptors or goroutines than at this call. Call it first.
// It counts the whole process: not for parallel tests.
func Leaks(tb testing.TB) {
	tb.Helper()
	leaks(tb, 5*time.Second)
}

func leaks(tb testing.TB, patience time.Duration) {
	tb.Helper()
	if r, w, err := os.Pipe(); err == nil { // makes the runtime open its own poller, which stays
		_, _ = r.Close(), w.Close()
	}
	files, routines := Descriptors(), runtime.NumGoroutine()
	tb.Cleanup(func() {
		tb.Helper()
		if !Becomes(patience, func() bool { return len(Descriptors()) <= len(files) }) {
			tb.Errorf("descriptors leaked: %s", strings.Join(more(Descriptors(), files), ", "))
		}
		if !Becomes(patience, func() bool { return runtime.NumGoroutine() <= routines }) {
			buf := make([]byte, 1<<16)
			tb.Errorf("%d goroutines, were %d:\n%s", runtime.NumGoroutine(), routines, buf[:runtime.Stack(buf, true)])
		}
	})
}

// Descriptors returns what this process has open, by number: "7 socket:[123]".
// It is empty where there is no /proc or /dev/fd.
func Descriptors() map[string]string {
	open := map[string]string{}
	dir := "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		dir = "/dev/fd"
		entries, _ = os.ReadDir(dir) // nothing there: nothing is counted
	}
	for _, e := range entries {
		if to, err := os.Readlink(dir + "/" + e.Name()); err == nil && to != dir && !strings.HasSuffix(to, "/fd") {
			open[e.Name()] = to
		}
	}
	return open
}

func more(now, before map[string]string) []string {
	var out []string
	for n, to := range now {
		if before[n] != to {
			out = append(out, fmt.Sprintf("%s %s", n, to))
		}
	}
	return out
}

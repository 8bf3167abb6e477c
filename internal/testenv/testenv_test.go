package testenv

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A recorder is a testing.TB that notes failures instead of failing.
type recorder struct {
	testing.TB
	failed, skipped string
	cleanups        []func()
}

type ended struct{}

func (r *recorder) Helper()                           {}
func (r *recorder) Cleanup(f func())                  { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }
func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(ended{})
}
func (r *recorder) Skipf(format string, args ...any) {
	r.skipped = fmt.Sprintf(format, args...)
	panic(ended{})
}

// run calls f, which may end early, and then the cleanups.
func (r *recorder) run(f func(testing.TB)) {
	func() {
		defer func() {
			if v := recover(); v != nil {
				if _, ok := v.(ended); !ok {
					panic(v)
				}
			}
		}()
		f(r)
	}()
	for _, c := range r.cleanups {
		c()
	}
}

func TestMissingSkipsAndIsStrict(t *testing.T) {
	t.Setenv("MOBIUS_STRICT", "")
	r := &recorder{TB: t}
	r.run(func(tb testing.TB) { Program(tb, "no-such-program") })
	if r.failed != "" || !strings.Contains(r.skipped, "no-such-program") {
		t.Errorf("failed %q, skipped %q", r.failed, r.skipped)
	}
	t.Setenv("MOBIUS_STRICT", "1")
	r = &recorder{TB: t}
	r.run(func(tb testing.TB) { Program(tb, "no-such-program") })
	if r.skipped != "" || !strings.Contains(r.failed, "no-such-program") {
		t.Errorf("strict: failed %q, skipped %q", r.failed, r.skipped)
	}
}

func TestEventually(t *testing.T) {
	var n atomic.Int32
	Eventually(t, 10*time.Second, "three askings", func() bool { return n.Add(1) >= 3 })
	r := &recorder{TB: t}
	r.run(func(tb testing.TB) { Eventually(tb, time.Millisecond, "the impossible", func() bool { return false }) })
	if !strings.Contains(r.failed, "the impossible") {
		t.Errorf("failed with %q", r.failed)
	}
}

func TestLeaksFindsADescriptor(t *testing.T) {
	if len(Descriptors()) == 0 {
		t.Skip("this system does not tell its open descriptors")
	}
	var f *os.File
	r := &recorder{TB: t}
	r.run(func(tb testing.TB) {
		leaks(tb, 20*time.Millisecond)
		var err error
		if f, err = os.Open(os.DevNull); err != nil {
			t.Fatal(err)
		}
	})
	if !strings.Contains(r.failed, os.DevNull) {
		t.Errorf("failed with %q", r.failed)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLeaksFindsAGoroutine(t *testing.T) {
	stop := make(chan struct{})
	r := &recorder{TB: t}
	r.run(func(tb testing.TB) {
		leaks(tb, 20*time.Millisecond)
		go func() { <-stop }()
	})
	close(stop)
	if !strings.Contains(r.failed, "goroutines") {
		t.Errorf("failed with %q", r.failed)
	}
}

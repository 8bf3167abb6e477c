package backendtest

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// A recorder is a testing.TB whose failure is observed instead of reported, so
// that a test can be run to see it fail.
type recorder struct {
	testing.TB // the real test, for what is not overridden below
	name       string

	mu       sync.Mutex
	log      []string
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper()      {}
func (r *recorder) Name() string { return r.name }

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) note(fail bool, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log, r.failed = append(r.log, text), r.failed || fail
}

func (r *recorder) Log(args ...any)                 { r.note(false, fmt.Sprint(args...)) }
func (r *recorder) Logf(format string, args ...any) { r.note(false, fmt.Sprintf(format, args...)) }
func (r *recorder) Error(args ...any)               { r.note(true, fmt.Sprint(args...)) }
func (r *recorder) Errorf(format string, args ...any) {
	r.note(true, fmt.Sprintf(format, args...))
}
func (r *recorder) Fail()    { r.note(true, "failed") }
func (r *recorder) FailNow() { r.note(true, "failed"); runtime.Goexit() }
func (r *recorder) Fatal(args ...any) {
	r.note(true, fmt.Sprint(args...))
	runtime.Goexit()
}
func (r *recorder) Fatalf(format string, args ...any) {
	r.note(true, fmt.Sprintf(format, args...))
	runtime.Goexit()
}
func (r *recorder) SkipNow() { r.note(true, "skipped"); runtime.Goexit() }
func (r *recorder) Skip(args ...any) {
	r.note(true, "skipped: "+fmt.Sprint(args...))
	runtime.Goexit()
}
func (r *recorder) Skipf(format string, args ...any) {
	r.note(true, "skipped: "+fmt.Sprintf(format, args...))
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) clean() {
	for i := len(r.cleanups) - 1; i >= 0; i-- {
		r.cleanups[i]()
	}
}

// Fails runs the test of that name as c says, without failing tb by it, and
// returns what the test had to say, "" if it passed. A test that takes longer
// than limit of real time has failed; its goroutine is then left behind.
func (c Config) Fails(tb testing.TB, name string, limit time.Duration) (why string) {
	tb.Helper()
	test, ok := find(name)
	if !ok {
		tb.Fatalf("there is no test %q", name)
	}
	r := &recorder{TB: tb, name: tb.Name() + "/" + name}
	over := make(chan struct{})
	go func() {
		defer close(over)
		defer r.clean()
		if !c.free() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
		}
		c.run(r, test)
	}()
	end := time.NewTimer(limit)
	defer end.Stop()
	select {
	case <-over:
	case <-end.C:
		return fmt.Sprintf("hangs for more than %v", limit)
	}
	if !r.failed {
		return ""
	}
	return r.log[len(r.log)-1]
}

func find(name string) (Test, bool) {
	for _, t := range tests {
		if t.Name == name {
			return t, true
		}
	}
	return Test{}, false
}

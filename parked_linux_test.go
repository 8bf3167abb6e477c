//go:build linux

package mobius

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"mobius/internal/testenv"
)

// waitingLoops is how many loops wait in TestWaitingLoopsKeepNoThreads.
const waitingLoops = 50

// TestWaitingLoopsKeepNoThreads: fifty loops on netpoll that wait share a few
// threads, fifty on epoll have one each. A process of its own counts them.
func TestWaitingLoopsKeepNoThreads(t *testing.T) {
	if backend := flag.Arg(0); backend != "" {
		threads, err := threadsOfWaitingLoops(backend)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("threads=%d\n", threads)
		return
	}
	count := func(backend string) (n int) {
		cmd := exec.Command(os.Args[0], "-test.run=^TestWaitingLoopsKeepNoThreads$", "-test.v", backend)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		out, err := cmd.CombinedOutput()
		_, rest, found := strings.Cut(string(out), "threads=")
		if _, serr := fmt.Sscan(rest, &n); err != nil || !found || serr != nil {
			t.Fatalf("on %s: %v\n%s", backend, err, out)
		}
		return n
	}
	if n := count("netpoll"); n > waitingLoops/2 {
		t.Errorf("%d loops on netpoll: %d threads", waitingLoops, n)
	}
	if n := count("epoll"); n < waitingLoops {
		t.Errorf("%d loops on epoll: %d threads, so that the test shows nothing", waitingLoops, n)
	}
}

func threadsOfWaitingLoops(backend string) (int, error) {
	r, err := New(Options{Backend: backend, Loops: waitingLoops, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ran := make(chan error, 1)
	go func() { ran <- r.Run(ctx) }()
	for range 3 {
		for _, l := range r.Loops() { // each has waited before, and turns once more
			turned := make(chan struct{})
			if err := l.Call(func() { close(turned) }); err != nil {
				return 0, err
			}
			<-turned
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	cancel()
	if rerr := <-ran; err == nil {
		err = rerr
	}
	return len(tasks), err
}

// TestAffinityOfBackends: what a reactor tells is what its loops do.
func TestAffinityOfBackends(t *testing.T) {
	for _, c := range candidates() {
		r, err := New(Options{Backend: c.name})
		if err != nil {
			testenv.Missing(t, "%s: %v", c.name, err)
			continue
		}
		want := OneThread
		if c.name == "netpoll" {
			want = OneGoroutine
		}
		if got := r.Backend().Affinity; got != want || r.Loops()[0].Backend().Affinity() != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestIterateOnManyThreads: the goroutine that turns a loop on netpoll may lose
// its thread between two turns.
func TestIterateOnManyThreads(t *testing.T) {
	r, err := New(Options{Backend: "netpoll"})
	if err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	defer close(release)
	for range 20 {
		locked := make(chan struct{})
		go func() { // on this thread, most probably
			runtime.LockOSThread()
			close(locked)
			<-release
			runtime.UnlockOSThread()
		}()
		<-locked
		called := false
		if err := r.Call(func() { called = true }); err != nil {
			t.Fatal(err)
		}
		for !called {
			if err := r.Iterate(-1); err != nil {
				t.Fatalf("Iterate on another thread: %v", err)
			}
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestParkedLoopsNeedNoMoreProcessors: what is logged of loops with threads is
// not logged of others.
func TestParkedLoopsNeedNoMoreProcessors(t *testing.T) {
	for backend, want := range map[string]bool{"netpoll": false, "epoll": true} {
		var text lockedBuffer
		r, err := New(Options{Backend: backend, Loops: runtime.GOMAXPROCS(0), Logger: slog.New(slog.NewTextHandler(&text, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.CallWhenRunning(func() { r.Stop() }); err != nil {
			t.Fatal(err)
		}
		if err := r.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(text.String(), "GOMAXPROCS"); got != want {
			t.Errorf("%s: logged is %v, want %v", backend, got, want)
		}
	}
}

//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package twisted

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"

	"mobius"
	"mobius/internal/testenv"
)

// raise sends this process a signal.
func raise(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		t.Fatal(err)
	}
}

// The process's own signals, on every backend: SIGINT and SIGTERM stop, and
// what has a function of its own is handled.
func TestCase5SignalsOfTheProcess(t *testing.T) {
	warm := make(chan os.Signal, 1)
	signal.Notify(warm, syscall.SIGUSR1) // starts os/signal's own goroutine, which stays
	defer signal.Stop(warm)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			if signal.Ignored(sig) { // and stays so: see signals.Notify
				testenv.Missing(t, "%v is ignored, as a shell has it for what runs in its background", sig)
			}
			var r *mobius.Reactor
			handled := 0
			signals := &mobius.Signals{Handle: map[mobius.Signal]func(mobius.Signal){
				syscall.SIGHUP: func(mobius.Signal) { handled++; raise(t, sig) },
			}}
			eachReactor(t, mobius.Options{Signals: signals}, func(t *testing.T, made *mobius.Reactor, j *journal) {
				r, handled = made, 0
				when(t, r, func() { raise(t, syscall.SIGHUP) })
				run(t, r)
				if handled != 1 || r.StopSignal() != sig {
					t.Errorf("SIGHUP was handled %d times; stopped by %v, want %v", handled, r.StopSignal(), sig)
				}
			})
		})
	}
}

// helper, as the first argument, makes this test a program that ends by a
// signal that a reactor has handled while it ran.
const helper = "end-by-a-signal"

// After Run a signal does what it did before: here it ends the process.
func TestCase5SignalsAreRestored(t *testing.T) {
	if flag.Arg(0) != helper {
		out, err := exec.Command(os.Args[0], "-test.run=^TestCase5SignalsAreRestored$", helper).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGTERM {
			t.Errorf("ended with %v, want by SIGTERM: %s", err, out)
		}
		return
	}
	r, err := mobius.New(mobius.Options{Signals: &mobius.Signals{}})
	if err != nil {
		t.Fatal(err)
	}
	when(t, r, func() { raise(t, syscall.SIGTERM) })
	if err := r.Run(context.Background()); err != nil || r.StopSignal() != syscall.SIGTERM {
		t.Fatalf("Run: %v, stopped by %v", err, r.StopSignal())
	}
	raise(t, syscall.SIGTERM)
	select {} // it ends here
}

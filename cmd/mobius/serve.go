package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"mobius"
)

// gcPercent is GOGC's default in this program. What is served allocates
// nothing once a connection stands, so the heap is small and its garbage is
// that of connections coming and going: letting it double once more before a
// collection costs little memory and halves their number.
const gcPercent = 200

// newReactor makes the reactor that a command's flags ask for.
func newReactor(f *reactorFlags, log io.Writer) (*mobius.Reactor, error) {
	if runtime.GOMAXPROCS(0) < f.loops+2 {
		runtime.GOMAXPROCS(f.loops + 2) // each loop has a thread in the kernel; the rest must not wait for it
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	r, err := mobius.New(mobius.Options{
		Backend: f.backend, Loops: f.loops, Direct: f.direct, Logger: lineLogger(log), Watchdog: 2 * time.Second,
	})
	if err != nil {
		return nil, usagef("%w", err)
	}
	f.signals = make(chan os.Signal, 2)
	signal.Notify(f.signals, syscall.SIGINT, syscall.SIGTERM)
	return r, nil
}

// serve runs r until a signal, then calls drain with --drain-timeout to go and
// stops r. A second signal ends the wait at once.
func serve(r *mobius.Reactor, f *reactorFlags, out io.Writer, drain func(context.Context) error) error {
	defer signal.Stop(f.signals)
	ran := make(chan error, 1)
	running, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { ran <- r.Run(running) }()
	select {
	case err := <-ran:
		return err
	case s := <-f.signals:
		fmt.Fprintf(out, "%v: waiting up to %v for connections to end; a second signal ends at once\n", s, f.drain)
	}
	ctx, cancel := context.WithTimeout(context.Background(), f.drain)
	defer cancel()
	drained := make(chan error, 1)
	go func() {
		err := drain(ctx)
		stop() // unlike r.Stop, also if Run has not begun yet
		drained <- errors.Join(err, <-ran)
	}()
	select {
	case err := <-drained:
		if errors.Is(err, context.DeadlineExceeded) {
			fmt.Fprintln(out, "time is up: the connections that were left have been cut")
			return nil
		}
		fmt.Fprintln(out, "done")
		return err
	case s := <-f.signals:
		status := exitFailed
		if n, ok := s.(syscall.Signal); ok {
			status = 128 + int(n)
		}
		return &exitError{status, fmt.Errorf("%v: ended at once", s)}
	}
}

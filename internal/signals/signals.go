// Package signals hears the signals of the process, by os/signal: the one
// sound way in Go, where a signal may arrive on any of the runtime's threads.
package signals

import (
	"os"
	"os/signal"
	"syscall"
)

// A Signal is an os.Signal, for packages that know no process.
type Signal interface {
	String() string // its name
	Signal()        // nothing, but that it is one
}

// Stopping returns the signals that ask a program to end: SIGINT and SIGTERM.
func Stopping() []Signal { return []Signal{os.Interrupt, syscall.SIGTERM} }

// Notify calls f, on a goroutine of its own, with each of the signals that
// arrive until stop is called. Then what was there before is there again:
// other channels of os/signal, or the default. After stop f is not called any
// more; stop waits for a call under way.
//
// An interrupt that the process was started to ignore, as a shell does for
// what runs in its background, stays ignored.
func Notify(f func(Signal), signals ...Signal) (stop func()) {
	var want []os.Signal
	for _, s := range signals {
		if s != os.Interrupt || !signal.Ignored(s) {
			want = append(want, s)
		}
	}
	if len(want) == 0 { // to Notify it would mean all there are
		return func() {}
	}
	arrived := make(chan os.Signal, 16)
	done, ended := make(chan struct{}), make(chan struct{})
	signal.Notify(arrived, want...)
	go func() {
		defer close(ended)
		for {
			select {
			case s := <-arrived:
				f(s)
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(arrived)
		close(done)
		<-ended
	}
}

package fake

import (
	"fmt"
	"testing"

	"mobius"
	"mobius/proactor"
	"mobius/sim"
)

// Each runs a test on a reactor on each of the backends, as subtests named
// after them: on "sim", "uring", "epoll" and "kqueue" if none is named. A
// backend that this platform does not have, or that its kernel refuses, is
// skipped, with the reason; the others run nevertheless. (Twisted:
// ReactorBuilder.)
//
// The reactor does not run yet. It is closed when f returns. That on "sim" has
// virtual time, which waits for other goroutines; what they do, and when, no
// seed decides.
func Each(t *testing.T, f func(t *testing.T, r *mobius.Reactor), backends ...string) {
	t.Helper()
	if len(backends) == 0 {
		backends = []string{"sim", "uring", "epoll", "kqueue"}
	}
	for _, name := range backends {
		t.Run(name, func(t *testing.T) {
			r, err := reactorOn(name)
			if err != nil {
				t.Skipf("no reactor on %s here: %v", name, err)
			}
			defer func() {
				if err := r.Close(); err != nil {
					t.Errorf("Close of the reactor: %v", err)
				}
			}()
			f(t, r)
		})
	}
}

func reactorOn(backend string) (*mobius.Reactor, error) {
	o := mobius.Options{Backend: backend}
	if backend == "sim" {
		net := sim.New(sim.Options{Faults: sim.NoFaults, Foreign: true})
		o = mobius.Options{Open: func(int) (proactor.Backend, error) { return net.Open() }}
	}
	r, err := mobius.New(o)
	if err != nil {
		return nil, fmt.Errorf("fake: %w", err)
	}
	return r, nil
}

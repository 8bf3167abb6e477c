package connector

import (
	"sync"
	"testing"

	"mobius/proactor"
	"mobius/transport"
)

// Ports and connectors come and go on several loops at once: OnStart and OnStop
// take turns, and neither runs while the factory is in use the other way.
func TestStartedOnSeveralLoops(t *testing.T) {
	var s Started
	on, starts := false, 0 // guarded by s itself
	s.OnStart = func() {
		if on {
			t.Error("started twice")
		}
		on = true
		starts++
	}
	s.OnStop = func() {
		if !on {
			t.Error("stopped twice")
		}
		on = false
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 2000 {
				s.DoStart()
				if s.Users() < 1 {
					t.Error("in use, and nobody counted")
				}
				s.DoStop()
			}
		})
	}
	all.Wait()
	if on || starts == 0 || s.Users() != 0 {
		t.Errorf("on %v after %d starts, %d users", on, starts, s.Users())
	}
	s.DoStop() // nobody's: ignored
	s.DoStart()
	if !on || s.Users() != 1 {
		t.Errorf("on %v, %d users, want 1", on, s.Users())
	}
}

// A factory's counting is found through what wraps it.
func TestStarterIsFoundThroughWrappers(t *testing.T) {
	var s Started
	inner := struct {
		*Started
		FactoryFunc
	}{&s, func(proactor.Address) transport.Protocol { return nil }}
	f := &Reconnecting{Factory: Client{Factory: inner}}
	doStart(f)
	if s.Users() != 1 {
		t.Errorf("%d users, want 1", s.Users())
	}
	doStop(f)
	if s.Users() != 0 {
		t.Errorf("%d users, want 0", s.Users())
	}
}

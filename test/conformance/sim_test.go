package conformance

import (
	"strconv"
	"sync"
	"testing"

	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backendtest"
)

// simulated returns a configuration whose backends stand on one simulated
// network for each test.
func simulated(o sim.Options) backendtest.Config {
	o.Spawn = func(c *proactor.Command) (sim.Program, error) {
		status, err := strconv.Atoi(c.Path)
		return func(*sim.Process) int { return status << 8 }, err
	}
	var mu sync.Mutex
	nets := map[testing.TB]*sim.Net{}
	return backendtest.Config{
		Name: "sim",
		Open: func(tb testing.TB) proactor.Backend {
			mu.Lock()
			defer mu.Unlock()
			n := nets[tb]
			if n == nil {
				n = sim.New(o)
				nets[tb] = n
				tb.Cleanup(func() {
					mu.Lock()
					defer mu.Unlock()
					delete(nets, tb)
				})
			}
			b, err := n.Open()
			if err != nil {
				tb.Fatal(err)
			}
			return b
		},
		Virtual:   true,
		Allocates: true,
		Seed:      o.Seed,
		Child:     func(status int) *proactor.Command { return &proactor.Command{Path: strconv.Itoa(status)} },
	}
}

func TestSim(t *testing.T) { simulated(sim.Options{Seed: 1, Faults: sim.NoFaults}).Run(t) }

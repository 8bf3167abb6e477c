package conformance

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backendtest"
)

// simulated returns a configuration whose backends stand on one simulated
// network for each test.
func simulated(o sim.Options) backendtest.Config {
	o.Spawn = func(c *proactor.Command) (sim.Program, error) {
		if c.Path == "sleep" {
			return func(p *sim.Process) int { p.Sleep(1000 * time.Hour); return 0 }, nil
		}
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
		Datagram:  o.DatagramSize,
		Sleeper:   &proactor.Command{Path: "sleep"},
		Allocates: true,
		Seed:      o.Seed,
		Child:     func(status int) *proactor.Command { return &proactor.Command{Path: strconv.Itoa(status)} },
	}
}

func TestSim(t *testing.T) { simulated(sim.Options{Seed: 1, Faults: sim.NoFaults}).Run(t) }

// TestSimHarmless runs the suite with all that a kernel may do at any time:
// another mixture for each seed.
func TestSimHarmless(t *testing.T) {
	for seed := uint64(1); seed <= seeds(t); seed++ {
		t.Run("seed="+itoa(int(seed)), func(t *testing.T) {
			c := simulated(sim.Options{Seed: seed, Harmless: true})
			c.Scale = 32
			c.Run(t)
		})
	}
}

// TestSimTiny runs the suite with two buffers of 100 bytes.
func TestSimTiny(t *testing.T) {
	for seed := uint64(1); seed <= seeds(t); seed++ {
		t.Run("seed="+itoa(int(seed)), func(t *testing.T) {
			c := simulated(sim.Options{Seed: seed, Harmless: true, Buffers: 2, BufferSize: 100, Holds: 2, DatagramSize: 2000})
			c.Hostile, c.Holds, c.Starves, c.Turn = true, 2, true, 2*100
			c.Run(t)
		})
	}
}

// seeds returns how many seeds are tried.
func seeds(t *testing.T) uint64 {
	if testenv.Long() {
		return 1000
	}
	return 16
}

package backendtest_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"mobius/internal/invariant"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backendtest"
)

// simulated is the suite's configuration for backends of a simulated network,
// each of which is given to change.
func simulated(o sim.Options, change func(b *broken)) backendtest.Config {
	o.Seed = 1
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
		Name: "sim", Virtual: true, Allocates: true, Scale: 4,
		Sleeper: &proactor.Command{Path: "sleep"},
		Child:   func(status int) *proactor.Command { return &proactor.Command{Path: strconv.Itoa(status)} },
		Open: func(tb testing.TB) proactor.Backend {
			mu.Lock()
			defer mu.Unlock()
			if nets[tb] == nil {
				nets[tb] = sim.New(o)
			}
			inner, err := nets[tb].Open()
			if err != nil {
				tb.Fatal(err)
			}
			b := newBroken(inner)
			change(b)
			return b
		},
	}
}

var (
	quiet = sim.Options{Faults: sim.NoFaults}
	tiny  = sim.Options{Faults: sim.NoFaults, Buffers: 2, BufferSize: 100, Holds: 2}
	slow  = sim.Options{Faults: sim.NoFaults.Set(0.5, sim.Straggle, sim.Delay)}
)

// A bench is what mutants of one group are made of.
type bench struct {
	name    string
	mutants []mutant
	config  func(change func(b *broken)) backendtest.Config
}

func benches() []bench {
	on := func(o sim.Options, starves bool) func(func(b *broken)) backendtest.Config {
		return func(change func(b *broken)) backendtest.Config {
			c := simulated(o, change)
			if c.Starves = starves; starves {
				c.Scale, c.Holds = 32, 2
			}
			return c
		}
	}
	return append([]bench{
		{"quiet", opMutants, on(quiet, false)},
		{"quiet", sendMutants, on(quiet, false)},
		{"slow", cancelMutants, on(slow, false)},
		{"tiny", holdMutants, on(tiny, true)},
		{"quiet", handleMutants, on(quiet, false)},
		{"quiet", socketMutants, on(quiet, false)},
		{"quiet", relayMutants, on(quiet, false)},
		{"quiet", otherMutants, on(quiet, false)},
		{"quiet", messageMutants, on(quiet, false)},
	}, realBenches()...)
}

// TestMutantsAreCaught runs each mutant's test: first on the sound backend it
// is made of, where it must pass, then on the mutant, where it must not.
func TestMutantsAreCaught(t *testing.T) {
	var table strings.Builder
	broken, caught := map[string]bool{}, 0
	for _, bench := range benches() {
		sound := map[string]bool{}
		for _, m := range bench.mutants {
			t.Run("S"+m.sentence+" "+m.what, func(t *testing.T) {
				if invariant.Enabled && shippedOnly[m.what] {
					t.Skip("where checks are compiled in lent bytes are heap copies: nothing starves, and allocations are not counted")
				}
				if !sound[m.test] {
					if why := bench.config(nothing).Fails(t, m.test, time.Minute); why != "" {
						t.Fatalf("%s fails on a sound backend (%s): %s", m.test, bench.name, why)
					}
					sound[m.test] = true
				}
				why := bench.config(m.mutate).Fails(t, m.test, time.Minute)
				if why == "" {
					t.Fatalf("%s does not see that a backend %s", m.test, m.what)
				}
				broken[m.sentence] = true
				caught++
				why, _, _ = strings.Cut(why, "\n")
				fmt.Fprintf(&table, "%-5s  %-56s  %-40s  %.120s\n", m.sentence, m.what, m.test, why)
			})
		}
	}
	t.Logf("%d mutants, each caught by its test:\n%s", caught, table.String())
	for _, s := range backendtest.Sentences(t) {
		if !broken[s] {
			t.Errorf("no mutant breaks sentence %s", s)
		}
	}
}

// shippedOnly are mutants that only the build that ships shows.
var shippedOnly = map[string]bool{
	"allocates when an op starts":    true,
	"does not wake up for a Release": true,
}

func nothing(*broken) {}

// TestLenderInOrderIsSound shows that what is wrong with the mutant that serves
// the latest first is the order.
func TestLenderInOrderIsSound(t *testing.T) {
	c := simulated(quiet, func(b *broken) { lender(b, true) })
	if why := c.Fails(t, "S3c_StarvedAreServedInOrder", time.Minute); why != "" {
		t.Error(why)
	}
}

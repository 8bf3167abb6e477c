package sim

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// The environment variables that [Run] obeys.
const (
	seedVariable  = "MOBIUS_SEED"  // run only this seed
	seedsVariable = "MOBIUS_SEEDS" // run this many seeds instead of as many as the test says
	traceVariable = "MOBIUS_TRACE" // 1: write every event and result to standard error
)

// A T is one run of a test: the seed, and the test's methods to fail with.
type T struct {
	testing.TB
	Seed uint64

	nets []*Net
}

// Net returns a network for this run: o with the run's seed. When the run is
// over it must have no [Net.Leaks].
func (t *T) Net(o Options) *Net {
	o.Seed = t.Seed
	if os.Getenv(traceVariable) == "1" && o.Trace == nil {
		o.Trace = os.Stderr
	}
	n := New(o)
	t.nets = append(t.nets, n)
	return n
}

// A sweep counts what the faults did in all the runs of one test.
type sweep struct {
	seeds int
	asked [faultKinds]uint64 // occasions on which a fault might have happened
	fired [faultKinds]uint64
}

// Run runs a test once for each of the seeds 1, 2, 3, … until one fails; then
// it prints the seed and the command that runs this one alone. In the
// environment MOBIUS_SEED=N runs only seed N, MOBIUS_SEEDS=N changes the number
// of seeds, and MOBIUS_TRACE=1 shows each event and each result.
//
// Networks come from [T.Net]. After a sweep of 100 seeds or more, Run fails if
// a kind of fault has never happened: one of must, or any for which there were
// plenty of occasions. It logs how often each has.
func Run(tb testing.TB, seeds int, run func(t *T), must ...Fault) {
	tb.Helper()
	if seed, ok := fromEnvironment(tb, seedVariable); ok {
		new(sweep).one(tb, seed, run)
		return
	}
	if count, ok := fromEnvironment(tb, seedsVariable); ok {
		seeds = int(count)
	}
	var s sweep
	for seed := uint64(1); seed <= uint64(seeds) && !tb.Failed(); seed++ {
		s.one(tb, seed, run)
	}
	if !tb.Failed() {
		s.judge(tb, must)
	}
}

func fromEnvironment(tb testing.TB, name string) (uint64, bool) {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return 0, false
	}
	value, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		tb.Fatalf("%s=%q: want a number", name, text)
	}
	return value, true
}

// one makes one run, and says how to replay it if it fails in any way.
func (s *sweep) one(tb testing.TB, seed uint64, run func(t *T)) {
	tb.Helper()
	t := &T{TB: tb, Seed: seed}
	over := false
	defer func() {
		switch {
		case tb.Failed():
			tb.Logf("seed %d failed; to replay it:\n\t%s", seed, replay(tb, seed))
		case !over && !tb.Skipped(): // a panic is under way, after which logs may be lost
			fmt.Fprintf(os.Stderr, "seed %d failed; to replay it:\n\t%s\n", seed, replay(tb, seed))
		}
	}()
	run(t)
	over = true
	s.seeds++
	for _, n := range t.nets {
		if err := n.Leaks(); err != nil {
			tb.Errorf("%v", err)
		}
		s.count(n)
	}
}

func (s *sweep) count(n *Net) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range s.asked {
		s.fired[k] += n.fired[k]
		if n.o.Faults == nil && !(n.o.Harmless && !Fault(k).Harmless()) || n.o.Faults != nil && n.o.Faults.rates[k] > 0 {
			s.asked[k] += n.asked[k]
		}
	}
}

// plenty is how many occasions, in as many seeds, leave no doubt that a fault
// should have happened: the rarest that are drawn have a rate of 1 in 100.
const (
	plenty      = 2000
	plentySeeds = 100
)

// judge fails tb if a fault did not happen that should have.
func (s *sweep) judge(tb testing.TB, must []Fault) {
	tb.Helper()
	if s.seeds < plentySeeds {
		return
	}
	var text []string
	for k := range s.asked {
		if s.fired[k] == 0 && s.asked[k] >= plenty {
			tb.Errorf("fault %v never happened in %d seeds, on %d occasions", Fault(k), s.seeds, s.asked[k])
		}
		if s.asked[k] > 0 {
			text = append(text, fmt.Sprintf("%v %d/%d", Fault(k), s.fired[k], s.asked[k]))
		}
	}
	for _, k := range must {
		if s.fired[k] == 0 {
			tb.Errorf("fault %v never happened in %d seeds, and must", k, s.seeds)
		}
	}
	tb.Logf("%d seeds; faults: %s", s.seeds, strings.Join(text, ", "))
}

// replay returns the command that runs one seed of tb's test.
func replay(tb testing.TB, seed uint64) string {
	name := "^" + strings.ReplaceAll(tb.Name(), "/", "$/^") + "$"
	command := fmt.Sprintf("%s=%d go test -count=1 -run '%s'", seedVariable, seed, name)
	if p := testPackage(); p != "" {
		command += " " + p
	}
	return command
}

// testPackage returns the import path of the package whose test is running,
// "" if it cannot be told.
func testPackage() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs[:])])
	last := ""
	for {
		f, more := frames.Next()
		if strings.HasSuffix(f.File, "_test.go") {
			last = f.Function
		}
		if !more {
			break
		}
	}
	slash := strings.LastIndexByte(last, '/') + 1
	if dot := strings.IndexByte(last[slash:], '.'); dot >= 0 {
		return strings.TrimSuffix(last[:slash+dot], "_test")
	}
	return ""
}

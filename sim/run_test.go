package sim

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"mobius/proactor"
)

// A judge is a test that notes how it is judged.
type judge struct {
	testing.TB
	failed bool
	text   []string
}

func (j *judge) Helper()       {}
func (j *judge) Name() string  { return "TestX/case" }
func (j *judge) Failed() bool  { return j.failed }
func (j *judge) Skipped() bool { return false }

func (j *judge) Logf(format string, args ...any) {
	j.text = append(j.text, fmt.Sprintf(format, args...))
}

func (j *judge) Errorf(format string, args ...any) {
	j.failed = true
	j.Logf(format, args...)
}

func (j *judge) Fatalf(format string, args ...any) {
	j.Errorf(format, args...)
	runtime.Goexit()
}

// judged runs f as a test of its own, and returns what it said.
func judged(f func(tb testing.TB)) (failed bool, text string) {
	j := &judge{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(j)
	}()
	<-done
	return j.failed, strings.Join(j.text, "\n")
}

func TestRunStopsAtTheFirstFailure(t *testing.T) {
	t.Setenv(seedVariable, "")
	t.Setenv(seedsVariable, "10")
	var seen []uint64
	failed, text := judged(func(tb testing.TB) {
		Run(tb, 1000, func(t *T) {
			seen = append(seen, t.Seed)
			if t.Seed == 3 {
				t.Fatalf("no")
			}
		})
	})
	want := "MOBIUS_SEED=3 go test -count=1 -run '^TestX$/^case$' mobius/sim"
	if !failed || len(seen) != 3 || !strings.Contains(text, want) {
		t.Errorf("failed %v after seeds %v, said:\n%s\nwant %s", failed, seen, text, want)
	}
}

func TestRunReplaysOneSeed(t *testing.T) {
	t.Setenv(seedVariable, "77")
	var seen []uint64
	failed, text := judged(func(tb testing.TB) { Run(tb, 1000, func(t *T) { seen = append(seen, t.Net(Options{}).Seed()) }) })
	if failed || len(seen) != 1 || seen[0] != 77 {
		t.Errorf("failed %v, seeds %v: %s", failed, seen, text)
	}
	t.Setenv(seedVariable, "x")
	if failed, text = judged(func(tb testing.TB) { Run(tb, 1, func(*T) {}) }); !failed || !strings.Contains(text, "want a number") {
		t.Errorf("failed %v: %s", failed, text)
	}
}

func TestRunFindsLeaks(t *testing.T) {
	t.Setenv(seedVariable, "")
	failed, text := judged(func(tb testing.TB) { Run(tb, 1, func(t *T) { t.Net(Options{}).File() }) })
	if !failed || !strings.Contains(text, "1 virtual descriptors") {
		t.Errorf("failed %v: %s", failed, text)
	}
}

// A fault that never happens although there is occasion for it fails a sweep,
// and so does one that must happen and has no occasion.
func TestRunWantsFaults(t *testing.T) {
	t.Setenv(seedVariable, "")
	t.Setenv(seedsVariable, "")
	echo := func(t *T) {
		if err := echoRun(t.Net(Options{Limit: time.Hour}), loopback, 2, 2000); err != nil {
			t.Fatalf("%v", err)
		}
	}
	failed, text := judged(func(tb testing.TB) { Run(tb, 200, echo, Cut, Reset) })
	if failed || !strings.Contains(text, "200 seeds; faults: Cut ") {
		t.Errorf("failed %v: %s", failed, text)
	}
	if failed, text := judged(func(tb testing.TB) { Run(tb, 200, echo, Drop) }); !failed || !strings.Contains(text, "fault Drop never") {
		t.Errorf("failed %v: %s", failed, text)
	}
	broken := func(t *T) {
		echo(t)
		t.nets[0].fired[Delay] = 0
	}
	if failed, text := judged(func(tb testing.TB) { Run(tb, 200, broken) }); !failed || !strings.Contains(text, "fault Delay never") {
		t.Errorf("failed %v: %s", failed, text)
	}
	without := func(t *T) {
		if err := echoRun(t.Net(Options{Faults: NoFaults}), loopback, 2, 2000); err != nil {
			t.Fatalf("%v", err)
		}
	}
	if failed, text := judged(func(tb testing.TB) { Run(tb, 200, without) }); failed {
		t.Errorf("a sweep that asks for no faults: %s", text)
	}
}

func TestDraw(t *testing.T) {
	none := 0
	for seed := range uint64(800) {
		f, g := Draw(seed), Draw(seed)
		if *f != *g {
			t.Fatalf("seed %d draws different faults", seed)
		}
		if *f == *NoFaults {
			none++
		}
		for _, k := range AllFaults() {
			if r := f.Harmless().Rate(k); r > 0 && !k.Harmless() || k.Harmless() && r != f.Rate(k) {
				t.Fatalf("seed %d: harmless %v at %v", seed, k, r)
			}
		}
	}
	if none < 60 || none > 150 {
		t.Errorf("%d of 800 seeds have no faults, want one in eight", none)
	}
}

// An exchange in full swing allocates nothing.
func TestNothingIsAllocated(t *testing.T) {
	w := quiet(t, 2)
	a, b := w.stream(loopback, nil)
	in := &echoBack{b: w.hosts[1]}
	in.recv = proactor.Op{Kind: proactor.OpRecv, Handle: b, Owner: in}
	in.send = proactor.Op{Kind: proactor.OpSend, Handle: b, Owner: in}
	w.hosts[1].Submit(&in.recv)
	out := &echoBack{b: w.hosts[0]}
	out.recv = proactor.Op{Kind: proactor.OpRecv, Handle: a, Owner: out}
	out.send = proactor.Op{Kind: proactor.OpSend, Handle: a, Owner: out, Buf: sample(1000)}
	w.hosts[0].Submit(&out.recv)
	w.hosts[0].Submit(&out.send)
	w.pass(time.Second)
	before := out.count
	allocs := testing.AllocsPerRun(100, func() { w.pass(2 * time.Millisecond) })
	if allocs != 0 || out.count-before < 1000 {
		t.Errorf("%v allocations per run, %d echoes in all", allocs, out.count-before)
	}
}

// An echoBack sends back what it receives, from the lent bytes.
type echoBack struct {
	b          *Backend
	recv, send proactor.Op
	hold       *proactor.Hold
	count      int
}

func (e *echoBack) Evict(*proactor.Hold) {}

func (e *echoBack) Complete(op *proactor.Op) {
	switch {
	case op == &e.recv:
		e.count++
		e.hold = e.b.Hold(op, e)
		e.send.Buf = e.hold.Bytes
		e.b.Submit(&e.send)
	case e.hold != nil:
		e.hold.Release()
		e.hold = nil
	}
}

func BenchmarkEcho(b *testing.B) {
	for b.Loop() {
		if err := echoRun(New(Options{Faults: NoFaults}), loopback, 3, 2000); err != nil {
			b.Fatal(err)
		}
	}
}

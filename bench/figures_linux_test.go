//go:build linux

package bench

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"mobius/bench/load"
	"mobius/internal/testenv"
)

// A tree's processor time is that of all its threads and processes.
func TestProcessorTimeOfATree(t *testing.T) {
	leavesNothing(t)
	const burned = 200 * time.Millisecond
	cmd := exec.Command(os.Args[0], "test-server", "burns", "200")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := launch(cmd, nil); err != nil {
		t.Fatal(err)
	}
	defer func() {
		killGroup(cmd.Process)
		cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	for range 2 {
		if !lines.Scan() || lines.Text() != "burned" {
			t.Fatalf("%q, %v", lines.Text(), lines.Err())
		}
	}
	all := family(cmd.Process.Pid)
	if len(all) != 2 {
		t.Fatalf("%d processes, want 2", len(all))
	}
	u := all.spent()
	user, system, ok := cost(&usage{hasClocks: true, processes: 2}, &u)
	// Starting two Go programs takes some milliseconds, more on a loaded machine.
	if sum := user + system; !ok || sum < burned || sum > burned+300*time.Millisecond {
		t.Errorf("%v and %v, %v; want %v in all", user, system, ok, burned)
	}
	in.Close()
}

// It is what the scheduler has counted, to the nanosecond, and not a sum of ticks: those lie
// anywhere beside what the process's own clock says before and after.
func TestProcessorTimeIsNoSumOfTicks(t *testing.T) {
	me := tree{os.Getpid()}
	for range 20 {
		before := load.OwnCPU()
		spent := me.spent().total
		if after := load.OwnCPU(); spent < before || spent > after {
			t.Fatalf("%v, want %v to %v", spent, before, after)
		}
		burn(time.Millisecond / 3)
	}
}

func TestCostOfWhatHasEnded(t *testing.T) {
	from, to := usage{hasClocks: true, processes: 2, total: 5}, usage{hasClocks: true, processes: 1, total: 3}
	if _, _, ok := cost(&from, &to); ok {
		t.Error("a process has ended, and nothing is missing")
	}
	to = usage{hasClocks: true, processes: 2, total: 105, user: 30, system: 10}
	if user, system, ok := cost(&from, &to); !ok || user != 75 || system != 25 {
		t.Errorf("%d and %d, %v; want 100 divided as 30 and 10 are", user, system, ok)
	}
	to.user, to.system = 0, 0
	if user, system, ok := cost(&from, &to); !ok || user != 100 || system != 0 {
		t.Errorf("%d and %d, %v; want 100 and 0 where no tick came", user, system, ok)
	}
	if _, _, ok := cost(&usage{}, &usage{}); ok {
		t.Error("nothing is known, and nothing is missing")
	}
}

func TestDisturbance(t *testing.T) {
	now := time.Now()
	from := &machineLoad{at: now, known: true}
	to := func(busy, stolen time.Duration) *machineLoad {
		return &machineLoad{at: now.Add(time.Second), known: true, busy: busy, stolen: stolen}
	}
	if text := disturbance(from, to(1500*time.Millisecond, 10*time.Millisecond), 1480*time.Millisecond, 2); text != "" {
		t.Errorf("a quiet machine: %s", text)
	}
	text := disturbance(from, to(1500*time.Millisecond, 0), 1200*time.Millisecond, 2)
	if text != "other programs took 30 % of a processor" {
		t.Errorf("others: %q", text)
	}
	if text := disturbance(from, to(0, 100*time.Millisecond), 0, 2); text != "5.0 % of the processors' time stolen" {
		t.Errorf("stolen: %q", text)
	}
	throttled := to(0, 0)
	throttled.throttled, throttled.temperatureHit = 3, 2
	text = disturbance(from, throttled, 0, 2)
	if !strings.Contains(text, "throttled 3 times") || !strings.Contains(text, "too hot 2 times") {
		t.Errorf("throttled: %q", text)
	}
	if text := disturbance(from, &machineLoad{}, 0, 2); text != "" {
		t.Errorf("unknown: %q", text)
	}
}

// A server's figures that begin late are not of all requests that are counted.
func TestLateness(t *testing.T) {
	res := &load.Result{Began: time.Hour, Elapsed: time.Second}
	if text := lateness(time.Hour+50*time.Millisecond, res); text != "" {
		t.Errorf("50 ms of a second: %q", text)
	}
	if text := lateness(time.Hour+51*time.Millisecond, res); text != "the server's figures begin 51ms late" {
		t.Errorf("51 ms of a second: %q", text)
	}
	if text := lateness(0, &load.Result{Elapsed: time.Second}); text != "" {
		t.Errorf("not known: %q", text)
	}
}

// The calls of a server are counted from when the load's time begins until it ends.
func TestCallsAreThoseOfTheMeasuredTime(t *testing.T) {
	if counter, err := countCalls(tree{os.Getpid()}); err != nil {
		testenv.Missing(t, "a counter of system calls: "+err.Error())
	} else {
		counter.close()
	}
	o := short(t, "echo:1,64,1", "net")
	o.Duration, o.Warmup, o.Syscalls = 100*time.Millisecond, 2*time.Second, true
	if n := run(t, o).Cases[0].Peers[0].Syscalls; n == nil || *n < 1.5 || *n > 20 {
		t.Errorf("%v system calls per request, want a read, a write, and some more", n)
	}
}

// Servers run where they are told, from their first instruction on.
func TestPinned(t *testing.T) {
	leavesNothing(t)
	mine := processors()
	if len(mine) < 2 {
		testenv.Missing(t, "a second processor")
	}
	cmd := exec.Command("/bin/sh", "-c", "grep Cpus_allowed_list /proc/self/status >&2")
	c, err := startChild(cmd, mine[1:2])
	if err != nil {
		t.Fatal(err)
	}
	<-c.ended
	if got := strings.Fields(c.output.String()); len(got) != 2 || got[1] != strconv.Itoa(mine[1]) {
		t.Errorf("%q, want processor %d", got, mine[1])
	}
	if now := processors(); len(now) != len(mine) {
		t.Errorf("this process has %v now, and had %v", now, mine)
	}
}

func TestDivide(t *testing.T) {
	for _, test := range []struct {
		n               int
		servers, others int
	}{{0, 0, 0}, {1, 0, 0}, {2, 1, 1}, {3, 1, 2}, {8, 4, 4}} {
		cpus := make([]int, test.n)
		servers, loads := divide(cpus)
		if len(servers) != test.servers || len(loads) != test.others {
			t.Errorf("%d processors: %d and %d", test.n, len(servers), len(loads))
		}
	}
}

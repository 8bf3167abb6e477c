package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"

	"mobius/bench/control"
	"mobius/bench/load"
	"mobius/bench/result"
)

// A take is one sample that is being taken.
type take struct {
	r        *runner
	workload Workload
	c        Case
	peer     *Peer
	server   *server
	tree     tree
	profile  string // the file of the profile that it is taken for, if any
	calls    bool   // it is taken to count system calls
	counted  *float64
	sample   result.Sample
	out      *result.Peer // where the sample belongs to; nil for one that only counts or profiles
}

// run starts the peer and a load, measures, and stops both.
func (t *take) run(ctx context.Context) error {
	s, err := t.r.startServer(ctx, t.peer, t.workload.Kind)
	if err != nil {
		return err
	}
	defer s.close()
	t.server = s
	ctx, stop := s.during(ctx)
	defer stop()
	if up := t.r.upstream; up != nil && t.workload.Kind == KindProxy {
		ctx, stop = up.during(ctx)
		defer stop()
	}
	t.tree = family(s.cmd.Process.Pid)
	var before usage
	if t.workload.mode == load.Idle {
		t.tree.holds(&before)
	}
	spec := t.c.spec(&t.workload)
	spec.Address, spec.Warmup, spec.Duration = s.at.Address, t.r.o.Warmup, t.r.o.Duration
	if t.profile != "" {
		spec.Duration = max(spec.Duration, profileTime)
	}
	p, c, err := t.r.startLoad(spec)
	if err != nil {
		return err
	}
	defer c.stop()
	limit := loadTime(spec)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the load has not ended after %v", limit))
	defer cancel()
	err = t.measure(ctx, p, &before)
	if errors.Is(err, load.ErrGone) {
		err = c.failure()
	}
	if err != nil {
		err = s.blame(err)
	}
	return err
}

// profileTime is the least that a profile takes: there are 100 samples in a second.
const profileTime = time.Second

// blameTime is how long after a load's failure the end of its server counts as
// the reason for it.
const blameTime = 200 * time.Millisecond

// blame returns why a load has failed: if the server has ended, then that.
func (s *server) blame(err error) error {
	timer := time.NewTimer(blameTime)
	defer timer.Stop()
	select {
	case <-s.ended:
		return s.failure()
	case <-timer.C:
		return err
	}
}

// loadTime returns how long a load may take from its start to its end.
func loadTime(spec load.Spec) time.Duration {
	return spec.Warmup + spec.Duration + 15*time.Second + time.Duration(spec.Conns)*2*time.Millisecond
}

// startLoad starts a load's process.
func (r *runner) startLoad(spec load.Spec) (*load.Process, *child, error) {
	argv := append(append([]string(nil), r.self...), LoadCommand)
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, w := io.Pipe()
	cmd.Stdout = w
	c, err := startChild(cmd, r.loads)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		<-c.ended
		w.Close()
	}()
	p, err := load.Attach(in, out, spec)
	if err != nil {
		c.stop()
		return nil, nil, err
	}
	return p, c, nil
}

// measure leads the load through its time, and reads what the server has used.
func (t *take) measure(ctx context.Context, p *load.Process, before *usage) error {
	if err := p.Ready(ctx); err != nil {
		return err
	}
	t.tree = family(t.server.cmd.Process.Pid) // what it has started by now
	var counter *callCounter
	if t.calls {
		var err error
		if counter, err = countCalls(t.tree); err != nil {
			return err
		}
		defer counter.close()
	}
	if err := errors.Join(p.Go(), p.Begin(ctx)); err != nil {
		return err
	}
	if t.profile != "" {
		if err := t.server.control.StartProfile(t.profile); err != nil {
			return err
		}
	}
	allocated, hasMemory := t.memory()
	machine, own := readMachineLoad(), load.OwnCPU()+t.r.upstreamCPU()
	first, err := counter.count()
	if err != nil {
		return err
	}
	at, from := load.Monotonic(), t.tree.spent()
	if err := p.End(ctx); err != nil {
		return err
	}
	to := t.tree.spent()
	last, err := counter.count()
	if err != nil {
		return err
	}
	after, used := readMachineLoad(), load.OwnCPU()+t.r.upstreamCPU()-own
	if now, ok := t.memory(); ok && hasMemory {
		t.sample.Mallocs, t.sample.GCs = new(now.Mallocs-allocated.Mallocs), new(now.GCs-allocated.GCs)
	}
	t.tree.holds(&to)
	if t.profile != "" {
		if err := t.server.control.StopProfile(); err != nil {
			return err
		}
	}
	res, err := p.Done(ctx)
	if err != nil {
		return err
	}
	t.fill(res, before, &from, &to)
	ours := used + res.CPU
	if user, system, ok := cost(&from, &to); ok {
		ours += user + system
	}
	late := lateness(at, res)
	t.sample.Disturbed = join(late, disturbance(&machine, &after, ours, t.r.cpus))
	if t.calls && late == "" && res.Requests > 0 {
		t.counted = new(float64(last-first) / float64(res.Requests))
	}
	return nil
}

// lateness says that the figures begin so late after the load's time, at, that requests
// are counted of which the cost is not.
func lateness(at time.Duration, res *load.Result) string {
	if late := at - res.Began; res.Began > 0 && late > res.Elapsed/20 {
		return fmt.Sprintf("the server's figures begin %v late", late.Round(time.Millisecond))
	}
	return ""
}

func join(a, b string) string {
	if a != "" && b != "" {
		a += ", "
	}
	return a + b
}

// memory asks the server, if it answers.
func (t *take) memory() (control.Memory, bool) {
	if t.server.control == nil || t.profile != "" {
		return control.Memory{}, false
	}
	m, err := t.server.control.Memory()
	return m, err == nil
}

// fill writes the figures down.
func (t *take) fill(res *load.Result, before, from, to *usage) {
	s := &t.sample
	s.Elapsed, s.Requests, s.Bytes, s.Bad = res.Elapsed, res.Requests, res.Bytes, res.Bad
	s.Latency, s.Corrected = res.Latency, res.Corrected
	if res.CPU > 0 {
		s.LoadCPU = new(res.CPU)
	}
	if t.workload.Kind == KindUDP {
		s.Lost = new(res.Lost)
	}
	if user, system, ok := cost(from, to); ok {
		s.User, s.System = new(user), new(system)
	}
	if from.hasSwitches && to.hasSwitches && to.voluntary >= from.voluntary && to.involuntary >= from.involuntary {
		s.VoluntarySwitches, s.InvoluntarySwitches = new(to.voluntary-from.voluntary), new(to.involuntary-from.involuntary)
	}
	if to.hasDescriptors {
		s.Descriptors = new(to.descriptors)
	}
	if to.hasSize {
		s.Resident = new(to.resident)
	}
	if before.hasDescriptors && to.hasDescriptors {
		s.AddedDescriptors = new(int64(to.descriptors) - int64(before.descriptors))
	}
	if before.hasSize && to.hasSize {
		s.AddedResident = new(int64(to.resident) - int64(before.resident))
	}
}

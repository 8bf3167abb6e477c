package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"mobius/bench/csource"
	"mobius/bench/result"
)

// A runner is a run.
type runner struct {
	o              *Options
	self           []string
	cache          string // directory of compiled C servers
	dir            string // for files, gone at the end
	cert, key      string
	built          map[string]builtC
	silent         map[string]bool // peers that did not listen when they were waited for, by name and kind
	servers, loads []int           // processors
	cpus           int
	calls          bool // system calls are counted
	upstream       *child
	upstreamAt     string
	plan           []*entry
	report         *result.Report
	done, total    int
	slowest        time.Duration // sample
}

// An entry is a case with its peers.
type entry struct {
	c        Case
	workload Workload
	peers    []*Peer // those that are measured, as the report's, in the same order
	out      *result.Case
}

// errBudget ends a run whose time is up.
var errBudget = errors.New("the time is up")

// Run measures. When ctx ends it returns what it has, and the cause; a budget
// that is used up is no error. Nothing that it started is left when it returns.
// Peers that fail do so in the report.
func Run(ctx context.Context, o Options) (*result.Report, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	r := &runner{o: &o, report: newReport(&o)}
	if o.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, o.Budget, errBudget)
		defer cancel()
	}
	err := r.open(ctx)
	defer r.close()
	if err == nil {
		err = r.rounds(ctx)
	}
	if err == nil {
		err = r.extras(ctx)
	}
	if errors.Is(err, errBudget) {
		r.note(fmt.Sprintf("ended after %v as asked, with %d of %d samples", o.Budget, r.done, r.total))
		err = nil
	}
	if r.report.Commit == "" {
		r.note("this program does not know its commit: it was built without its history (go build -buildvcs=true in a clone records it)")
	}
	r.report.Ended = time.Now()
	r.judge()
	return r.report, err
}

func newReport(o *Options) *result.Report {
	r := &result.Report{
		Version: result.Version, Go: runtime.Version(), Flags: o.Flags, Started: time.Now(), Rounds: o.Rounds, Machine: describeMachine(),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				r.Commit = s.Value + r.Commit
			case s.Key == "vcs.modified" && s.Value == "true":
				r.Commit += " with changes"
			}
		}
	}
	return r
}

// open makes what all samples need.
func (r *runner) open(ctx context.Context) (err error) {
	r.self = r.o.Self
	if len(r.self) == 0 {
		exe, err := os.Executable()
		if err != nil {
			return err
		}
		r.self = []string{exe}
	}
	raiseDescriptors()
	r.cpus = max(len(processors()), 1)
	if !r.o.NoPin {
		r.servers, r.loads = divide(processors())
	}
	r.report.Machine.Servers, r.report.Machine.Loads = r.servers, r.loads
	if len(r.servers) == 0 {
		r.report.Notes = append(r.report.Notes, "servers and load share all processors: nothing is pinned")
	}
	if r.dir, err = os.MkdirTemp("", "mobius-bench-"); err != nil {
		return err
	}
	if r.cache = r.o.CacheDir; r.cache == "" {
		if r.cache, err = csource.CacheDir(); err != nil {
			r.cache = r.dir // an environment without a home
		}
	}
	if r.cert, r.key, err = writeCertificate(r.dir); err != nil {
		return err
	}
	if r.o.Profiles {
		if err := os.MkdirAll(r.o.Out, 0o755); err != nil {
			return err
		}
	}
	if r.calls = r.o.Syscalls; r.calls {
		counter, err := countCalls(tree{os.Getpid()})
		if err != nil {
			r.calls = false
			r.note("system calls are not counted: " + err.Error())
		} else {
			counter.close()
		}
	}
	return r.prepare(ctx)
}

// prepare finds out which peers take part in which case.
func (r *runner) prepare(ctx context.Context) error {
	peers, err := r.o.peers()
	if err != nil {
		return err
	}
	r.report.Cases = make([]result.Case, len(r.o.Cases))
	for i, c := range r.o.Cases {
		w, _ := findWorkload(c.Workload)
		if w.Kind == KindProxy && r.upstream == nil {
			if err := r.startUpstream(ctx); err != nil {
				return err
			}
		}
		if few := fewDescriptors(c, w.Kind, descriptorLimit()); few != "" {
			r.note(few)
		}
		e := &entry{c: c, workload: w, out: &r.report.Cases[i]}
		*e.out = result.Case{Workload: c.Workload, Conns: c.Conns, Size: c.Size, Depth: c.Depth, Rate: c.Rate}
		var missing []result.Peer
		for _, p := range peers {
			if !p.Serves(w.Kind) {
				continue
			}
			out := r.describe(ctx, &p, w.Kind)
			if out.Missing != "" {
				missing = append(missing, out)
				continue
			}
			e.peers, e.out.Peers = append(e.peers, &p), append(e.out.Peers, out)
		}
		e.out.Peers = append(e.out.Peers, missing...)
		r.plan = append(r.plan, e)
		r.total += len(e.peers) * (r.o.Rounds + r.extraSamples(e))
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// spareDescriptors is how many a process needs beside those of its connections.
const spareDescriptors = 50

// fewDescriptors says that a case needs more descriptors than a process may have, 0 if
// that is not known, and what can be done. The load, a proxy's upstream and the server are
// processes of their own, each with that limit. A proxy has two for each connection.
func fewDescriptors(c Case, kind string, limit uint64) string {
	if kind == KindUDP && limit > spareDescriptors && limit-spareDescriptors < uint64(c.Conns) {
		kind = KindEcho // one socket serves them all, but the load has one for each
	}
	if kind == KindUDP || limit == 0 {
		return ""
	}
	each, whose := uint64(1), "the load and the server each have one"
	if kind == KindProxy {
		each, whose = 2, "a proxy has two"
	}
	room := (limit - min(spareDescriptors, limit)) / each
	if uint64(c.Conns) <= room {
		return ""
	}
	text := fmt.Sprintf("%s: %s for each connection, and a process may have %d descriptors here: up to %d connections fit "+
		"(%d through mobius proxy, which takes three quarters)", c, whose, limit, room, limit*3/4/each)
	if kind != KindProxy {
		text, _, _ = strings.Cut(text, " (")
	} else if fit := limit * 15 / 32; uint64(c.Conns) <= 2*fit { // a sixteenth of a ring's table is for connecting
		text += fmt.Sprintf("; %d fit with the peer uring-direct, and twice as many with uring-direct-all", fit)
	}
	return text + "; more need a higher hard limit (ulimit -Hn, which root can raise)"
}

// describe returns a peer of the report, with why it is missing if it is.
func (r *runner) describe(ctx context.Context, p *Peer, kind string) result.Peer {
	out := result.Peer{Name: p.Name, Kind: kind, Backend: p.Backend}
	at, err := r.place(p, kind)
	var argv []string
	if err == nil {
		out.Loops = at.Loops
		argv, err = p.Command(at)
	}
	if err == nil {
		argv, err = r.resolve(ctx, argv)
	}
	if err != nil {
		out.Missing = err.Error()
		return out
	}
	argv = append([]string{filepath.Base(argv[0])}, argv[1:]...)
	hide := strings.NewReplacer(at.Address, "ADDRESS", r.dir, "DIR", at.Upstream+"\x00", "", at.Port, "PORT")
	out.Command = hide.Replace(strings.Join(argv, " "))
	return out
}

// rounds takes the samples, round by round. Each round begins with another peer.
func (r *runner) rounds(ctx context.Context) error {
	for round := 1; round <= r.o.Rounds; round++ {
		for i, e := range r.plan {
			for k := range e.peers {
				n := (k + round - 1) % len(e.peers)
				t := &take{r: r, workload: e.workload, c: e.c, peer: e.peers[n], out: &e.out.Peers[n]}
				t.sample.Round = round
				if err := r.take(ctx, t, i); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// extras counts system calls, and takes profiles.
func (r *runner) extras(ctx context.Context) error {
	for i, e := range r.plan {
		for n, p := range e.peers {
			out := &e.out.Peers[n]
			if !slices.ContainsFunc(out.Rounds, func(s result.Sample) bool { return s.Error == "" }) {
				continue // it has failed in all rounds
			}
			if r.calls && e.countable() {
				var err error
				if out.Syscalls, err = r.callsEach(ctx, e, p, i); err != nil {
					return err
				}
			}
			if r.o.Profiles && p.Control {
				name := strings.NewReplacer(":", "-", ",", "-", "@", "-at-").Replace(e.c.String() + "-" + p.Name)
				t := &take{r: r, workload: e.workload, c: e.c, peer: p, profile: filepath.Join(r.o.Out, name+".pprof")}
				if err := r.take(ctx, t, i); err != nil {
					return err
				}
				if t.sample.Error == "" {
					out.Profile = t.profile
				}
			}
		}
	}
	return nil
}

// callTakes is how often calls are counted that could not be counted from the beginning on.
const callTakes = 3

// callsEach returns the system calls per request of a peer, nil if they are not known.
func (r *runner) callsEach(ctx context.Context, e *entry, p *Peer, index int) (*float64, error) {
	for tries := 1; ; tries++ {
		t := &take{r: r, workload: e.workload, c: e.c, peer: p, calls: true}
		if err := r.take(ctx, t, index); err != nil || t.counted != nil || t.sample.Error != "" || tries == callTakes {
			return t.counted, err
		}
		r.total++
	}
}

// extraSamples returns how many a peer of a case has, at most.
func (r *runner) extraSamples(e *entry) (n int) {
	if r.calls && e.countable() {
		n++
	}
	if r.o.Profiles {
		n++
	}
	return n
}

// countable reports whether a case has requests to count anything by.
func (e *entry) countable() bool { return !strings.HasSuffix(e.workload.Name, "idle") }

// take takes one sample. Its failure is the sample's; an error ends the run.
func (r *runner) take(ctx context.Context, t *take, index int) error {
	if r.o.Budget > 0 && time.Since(r.report.Started)+r.slowest > r.o.Budget {
		return errBudget
	}
	p := Progress{
		Case: t.c, Index: index, Cases: len(r.plan), Round: t.sample.Round, Rounds: r.o.Rounds, Peer: t.peer.Name, Total: r.total,
		Measured: r.plan[index].out,
	}
	r.tell(p)
	began := time.Now()
	err := r.once(ctx, t)
	r.slowest = max(r.slowest, time.Since(began))
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		t.sample = result.Sample{Round: t.sample.Round, Error: err.Error()}
	}
	if t.out != nil {
		t.out.Rounds = append(t.out.Rounds, t.sample)
	}
	r.done++
	p.Sample, p.Err = &t.sample, err
	r.tell(p)
	return nil
}

// once takes a sample, but of a peer that did not listen before: the others
// shall not wait for it again and again.
func (r *runner) once(ctx context.Context, t *take) error {
	who := t.peer.Name + "/" + t.workload.Kind
	if r.silent[who] {
		return fmt.Errorf("%w, and is not waited for again", errSilent)
	}
	err := t.run(ctx)
	if errors.Is(err, errSilent) {
		if r.silent == nil {
			r.silent = map[string]bool{}
		}
		r.silent[who] = true
	}
	return err
}

func (r *runner) note(text string) {
	if !slices.Contains(r.report.Notes, text) {
		r.report.Notes = append(r.report.Notes, text)
	}
}

// tell calls the user's Progress.
func (r *runner) tell(p Progress) {
	if r.o.Progress == nil {
		return
	}
	p.Done, p.Elapsed = r.done, time.Since(r.report.Started)
	if r.done > 0 {
		p.Left = time.Duration(float64(p.Elapsed) / float64(r.done) * float64(r.total-r.done))
	}
	if r.o.Budget > 0 {
		p.Left = min(p.Left, r.o.Budget-p.Elapsed)
	}
	r.o.Progress(p)
}

// close ends what is left.
func (r *runner) close() {
	if r.upstream != nil {
		r.upstream.stop()
	}
	if r.dir != "" {
		os.RemoveAll(r.dir)
	}
}

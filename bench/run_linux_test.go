//go:build linux

package bench

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mobius/bench/csource"
	"mobius/bench/result"
	"mobius/internal/testenv"
)

// leavesNothing fails the test if a process, a file or a descriptor is left.
func leavesNothing(t *testing.T) {
	t.Helper()
	testenv.Leaks(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Cleanup(func() {
		if !testenv.Becomes(testenv.Patience(), func() bool { return len(family(os.Getpid())) == 1 }) {
			t.Errorf("processes are left: %v", family(os.Getpid())[1:])
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
			t.Errorf("files are left: %v, %v", files, err)
		}
	})
}

func run(t *testing.T, o Options) *result.Report {
	t.Helper()
	leavesNothing(t)
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// good fails the test where a sample is not whole.
func good(t *testing.T, p *result.Peer) {
	t.Helper()
	for _, s := range p.Rounds {
		switch {
		case s.Error != "":
			t.Errorf("%s: %s", p.Name, s.Error)
		case s.Bad != 0:
			t.Errorf("%s: %d bad bytes", p.Name, s.Bad)
		case s.Requests > 0 && (s.Latency.Count() == 0 || s.Elapsed <= 0):
			t.Errorf("%s: %d requests in %v, %d latencies", p.Name, s.Requests, s.Elapsed, s.Latency.Count())
		}
		// 0 is what a server has used that had answered before the time began, which
		// happens in a sample this short on a machine that has other things to do.
		if cpu, ok := s.CPU(); s.Requests > 0 && (!ok || cpu < 0 || cpu > 10*time.Second) {
			t.Errorf("%s: a request costs %v", p.Name, cpu)
		}
		if s.Descriptors == nil || *s.Descriptors < 4 || s.Resident == nil || *s.Resident < 64<<10 {
			t.Errorf("%s: descriptors or memory are missing", p.Name)
		}
		if s.VoluntarySwitches == nil || s.InvoluntarySwitches == nil {
			t.Errorf("%s: context switches are missing", p.Name)
		}
	}
}

func TestRoundsInterleave(t *testing.T) {
	o := short(t, "echo:4,64,1 udp:2,64,1", "net", "net-all")
	o.Rounds, o.Flags = 3, "--flags"
	var order []string
	last := -1
	o.Progress = func(p Progress) {
		if p.Sample == nil {
			order = append(order, p.Case.Workload+"/"+p.Peer)
			return
		}
		if rounds := p.Measured.Peer(p.Peer).Rounds; len(rounds) != p.Round || rounds[p.Round-1].Requests != p.Sample.Requests {
			t.Errorf("%s, round %d: %d rounds are told of", p.Peer, p.Round, len(rounds))
		}
		if p.Done <= last || p.Total != 12 || p.Rounds != 3 || p.Cases != 2 {
			t.Errorf("progress %+v after %d", p, last)
		}
		last = p.Done
	}
	r := run(t, o)
	want := "echo/net echo/net-all udp/net udp/net-all echo/net-all echo/net udp/net-all udp/net echo/net echo/net-all udp/net udp/net-all"
	if got := strings.Join(order, " "); got != want {
		t.Errorf("order:\n%s, want\n%s", got, want)
	}
	if r.Version != result.Version || r.Flags != o.Flags || r.Rounds != 3 || r.Go == "" || r.Machine.Kernel == "" || r.Machine.CPUs < 1 {
		t.Errorf("%+v", r)
	}
	for i := range r.Cases {
		for j := range r.Cases[i].Peers {
			p := &r.Cases[i].Peers[j]
			good(t, p)
			if len(p.Rounds) != 3 || p.Rounds[0].Round != 1 || p.Rounds[2].Round != 3 {
				t.Fatalf("%s: rounds %+v", p.Name, p.Rounds)
			}
			if p.Rounds[0].Requests+p.Rounds[1].Requests+p.Rounds[2].Requests == 0 {
				t.Errorf("%s has answered nothing in three rounds", p.Name)
			}
			if p.Rounds[0].Mallocs == nil || p.Rounds[0].GCs == nil {
				t.Errorf("%s: allocations are missing", p.Name)
			}
		}
	}
}

// Each built-in that is no Mobius serves each of its kinds: C, net, nginx, haproxy.
func TestPeersServe(t *testing.T) {
	for _, program := range []string{"cc", "nginx", "haproxy"} {
		testenv.Program(t, program)
	}
	o := short(t, "echo:3,64,2 echo:1,300000,1 connect:2,64,1 idle:10,64,1 unix:3,64,1 udp:3,64,1 udp-stream:1,1000,4 "+
		"tls:3,64,1 handshake:2,64,1 http:3,64,2 proxy:3,64,1 proxy:1,300000,1 proxy-idle:5,64,1 proxy-connect:2,64,1")
	o.Duration = 20 * time.Millisecond
	o.Peers = []string{"net", "netconn"}
	for _, p := range append(cPeers(), proxyPeers()...) {
		o.Peers = append(o.Peers, p.Name)
	}
	r := run(t, o)
	for i := range r.Cases {
		c := &r.Cases[i]
		if len(c.Peers) == 0 {
			t.Errorf("%s: nobody", c.Workload)
		}
		for j := range c.Peers {
			p := &c.Peers[j]
			if p.Missing != "" {
				t.Errorf("%s: %s is missing: %s", c.Workload, p.Name, p.Missing)
			}
			if strings.HasPrefix(p.Name, "c-uring") && len(p.Rounds) == 1 && strings.Contains(p.Rounds[0].Error, "io_uring_setup") {
				t.Logf("%s: %s", p.Name, p.Rounds[0].Error)
				continue
			}
			good(t, p)
		}
		if strings.HasSuffix(c.Workload, "idle") {
			s := c.Peer("net").Rounds[0]
			each := int64(map[string]int{"idle": 1, "proxy-idle": 2}[c.Workload])
			if s.AddedDescriptors == nil || *s.AddedDescriptors < each*int64(c.Conns) || s.AddedResident == nil {
				t.Errorf("%s: %d connections: %+v", c.Workload, c.Conns, s)
			}
		}
	}
}

func TestExtraSamples(t *testing.T) {
	o := short(t, "echo:2,64,1", "net")
	o.Syscalls, o.Profiles, o.Out, o.Duration = true, true, t.TempDir(), 100*time.Millisecond
	r := run(t, o)
	p := r.Cases[0].Peers[0]
	if p.Syscalls == nil && !strings.Contains(strings.Join(r.Notes, " "), "system calls are not counted") {
		t.Error("system calls are missing without a reason")
	}
	if p.Syscalls != nil && (*p.Syscalls < 1.5 || *p.Syscalls > 20) {
		t.Errorf("%v system calls per request, want a read, a write, and some more", *p.Syscalls)
	}
	if info, err := os.Stat(p.Profile); err != nil || info.Size() == 0 {
		t.Errorf("the profile %q: %v", p.Profile, err)
	}
}

// What goes wrong with one peer is in the report, and the others are measured.
func TestPeersThatFail(t *testing.T) {
	o := short(t, "echo:2,64,1", "dies", "ends", "occupied", "net")
	o.Extra = []Peer{testPeer("dies"), testPeer("ends"), testPeer("occupied", filepath.Join(t.TempDir(), "once"))}
	o.Duration, o.Syscalls = 400*time.Millisecond, true
	o.Progress = func(p Progress) {
		if p.Round == 0 && (p.Peer == "dies" || p.Peer == "ends") {
			t.Errorf("%s has failed in all rounds, and its calls are counted", p.Peer)
		}
	}
	r := run(t, o)
	c := &r.Cases[0]
	for name, want := range map[string]string{"dies": "the tests have killed me", "ends": "no mood to listen"} {
		if p := c.Peer(name); len(p.Rounds) != 1 || !strings.Contains(p.Rounds[0].Error, want) {
			t.Errorf("%s: %+v, want %q", name, p.Rounds, want)
		}
	}
	good(t, c.Peer("occupied"))
	good(t, c.Peer("net"))
}

// A peer that does not listen is waited for once, whatever the rounds and cases.
func TestPeerThatNeverListens(t *testing.T) {
	o := short(t, "echo:2,64,1 echo:3,64,1", "never listens", "net")
	o.Extra, o.Rounds, o.Start = []Peer{testPeer("never listens")}, 2, testenv.Patience()/10
	r := run(t, o)
	waited := 0
	for i := range r.Cases {
		for _, s := range r.Cases[i].Peer("never listens").Rounds {
			if strings.HasSuffix(s.Error, "after "+o.Start.String()) {
				waited++
			} else if !strings.Contains(s.Error, "not waited for again") {
				t.Errorf("%+v", s)
			}
		}
		good(t, r.Cases[i].Peer("net"))
	}
	if waited != 1 {
		t.Errorf("it was waited for %d times, want once", waited)
	}
}

// Others who take processor time are told of where they did, and of the run.
func TestRunAmongOthers(t *testing.T) {
	o := short(t, "echo:2,64,1", "net")
	o.Duration, o.Rounds = 400*time.Millisecond, 2
	for range max(len(processors()), 1) {
		cmd := exec.Command(os.Args[0], "test-server", "burns", "60000", "child") // until it is killed
		if err := launch(cmd, nil); err != nil {
			t.Fatal(err)
		}
		defer func() {
			killGroup(cmd.Process)
			cmd.Wait()
		}()
	}
	r, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	said := 0
	for _, s := range r.Cases[0].Peers[0].Rounds {
		if strings.Contains(s.Disturbed, "other programs took ") {
			said++
		}
	}
	if said == 0 || !strings.Contains(strings.Join(r.Disturbed, " "), " of 2 samples were disturbed") {
		t.Errorf("%+v, %q", r.Cases[0].Peers[0].Rounds, r.Disturbed)
	}
}

// Who answers wrong bytes is told by name; what it costs is no figure to hold others against.
func TestPeerThatLies(t *testing.T) {
	o := short(t, "echo:2,64,1", "lies", "net")
	o.Extra = []Peer{testPeer("lies")}
	r := run(t, o)
	s := r.Cases[0].Peer("lies").Rounds[0]
	if s.Bad == 0 || s.Bad < s.Requests || s.Error != "" {
		t.Errorf("%d bad bytes in %d requests, %s; want one in each", s.Bad, s.Requests, s.Error)
	}
	if notes := strings.Join(r.Notes, "\n"); !strings.Contains(notes, " bytes of lies were wrong or missing in echo:2,64,1") {
		t.Errorf("notes: %s", notes)
	}
	good(t, r.Cases[0].Peer("net"))
}

func TestPeerWithoutAnswers(t *testing.T) {
	o := short(t, "echo:2,64,1", "mute")
	o.Extra = []Peer{testPeer("mute")}
	r := run(t, o)
	if s := r.Cases[0].Peers[0].Rounds[0]; s.Requests != 0 || s.Bad != 128 {
		t.Errorf("%d requests, %d bad bytes, want 0 and the 128 that were sent; %s", s.Requests, s.Bad, s.Error)
	}
	if _, ok := r.Cases[0].Peers[0].Rounds[0].CPU(); ok {
		t.Error("a request that there was not has a cost")
	}
}

func TestPeersThatAreNotThere(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("CC", "")
	o := short(t, "echo:2,64,1 proxy:2,64,1", "c-epoll", "netpoll", "c-splice", "net")
	o.CacheDir = t.TempDir()
	r := run(t, o)
	for name, want := range map[string]string{"c-epoll": csource.ErrNoCompiler.Error(), "netpoll": "bench/peers"} {
		if p := r.Cases[0].Peer(name); !strings.Contains(p.Missing, want) || len(p.Rounds) != 0 {
			t.Errorf("%s: %q, want %q", name, p.Missing, want)
		}
	}
	if p := r.Cases[1].Peer("c-splice"); p.Missing == "" {
		t.Error("c-splice is not missing")
	}
	if _, err := program("no-such-program"); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("no-such-program: %v", err)
	}
	good(t, r.Cases[0].Peer("net"))
}

func TestUsersPeer(t *testing.T) {
	p, err := ParsePeer("mine=" + os.Args[0] + " " + PeerCommand + " net echo 127.0.0.1:PORT 3</dev/null 4>/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	o := short(t, "echo:2,64,1", "mine")
	o.Extra = []Peer{p}
	r := run(t, o)
	good(t, &r.Cases[0].Peers[0])
}

func TestBudget(t *testing.T) {
	o := short(t, "echo:2,64,1", "net")
	o.Rounds, o.Budget = MaxRounds, 700*time.Millisecond
	r := run(t, o)
	n := len(r.Cases[0].Peers[0].Rounds)
	if n == 0 || n == MaxRounds || !strings.Contains(strings.Join(r.Notes, " "), "ended after 700ms as asked") {
		t.Errorf("%d rounds, %q", n, r.Notes)
	}
	if took := r.Ended.Sub(r.Started); took > testenv.Patience() {
		t.Errorf("it took %v", took)
	}
}

// A sample that would take longer than there is time is cut.
func TestBudgetCutsASample(t *testing.T) {
	o := short(t, "echo:2,64,1", "net")
	o.Duration, o.Budget = MaxDuration, 700*time.Millisecond
	r := run(t, o)
	took, notes := r.Ended.Sub(r.Started), strings.Join(r.Notes, " ")
	if took > testenv.Patience() || !strings.Contains(notes, "ended after 700ms as asked") {
		t.Errorf("it took %v: %q", took, notes)
	}
}

// Whenever a run is ended, it gives back what it has, and leaves nothing.
func TestCancel(t *testing.T) {
	leavesNothing(t)
	testenv.Program(t, "cc")
	for at := range 3 {
		ctx, cancel := context.WithCancelCause(t.Context())
		why := errors.New("why")
		o := short(t, "echo:2,64,1 proxy:2,64,1", "net", "c-epoll")
		o.Duration = 2 * time.Second
		o.Progress = func(p Progress) {
			if p.Done == min(at, 1) {
				time.AfterFunc(time.Duration(at)*100*time.Millisecond, func() { cancel(why) })
			}
		}
		r, err := Run(ctx, o)
		if !errors.Is(err, why) || r == nil || len(r.Cases) != 2 {
			t.Errorf("%v, %+v, want %v", err, r, why)
		}
		cancel(nil)
	}
}

// Servers may have as many descriptors as there may be, whatever the shell has left of them.
func TestServersMayHaveAllDescriptors(t *testing.T) {
	text, _ := exec.Command("/bin/sh", "-c", "ulimit -Sn 100; exec "+os.Args[0]+" test-server limits").Output()
	if got := strings.Fields(string(text)); len(got) != 2 || got[0] != got[1] {
		t.Errorf("the limits are %q, want the hard one twice", got)
	}
}

// The servers of a program that is killed end with it.
func TestServersEndWithTheHarness(t *testing.T) {
	leavesNothing(t)
	cmd := exec.Command(os.Args[0], LoadCommand, "upstream", "127.0.0.1:0")
	c, err := startChild(cmd, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := c.during(t.Context())
	defer stop()
	c.stop()
	<-ctx.Done()
	if err := context.Cause(ctx); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("%v", err)
	}
}

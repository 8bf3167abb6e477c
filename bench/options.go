package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"mobius/bench/result"
)

// Options says what [Run] measures. The zero value measures [DefaultCases].
type Options struct {
	// Self is the program that runs [Main] when it is called with [PeerCommand] or
	// [LoadCommand] after these arguments; empty means this process's own.
	Self []string

	Peers []string // names of peers, [Builtin] or Extra; empty means all that are to be had
	Extra []Peer   // more peers; one with a built-in's name takes its place
	Cases []Case   // empty means DefaultCases

	Rounds   int           // 0 means 5
	Duration time.Duration // measured of each sample; 0 means 1 s
	Warmup   time.Duration // before that; 0 means 200 ms
	Start    time.Duration // a server listens by then, or is not waited for again; 0 means 15 s
	Budget   time.Duration // Run ends by then, with the rounds that it has; 0 means no limit

	NoPin    bool   // do not pin to processors
	Syscalls bool   // count system calls, in one more sample of each case and peer
	Profiles bool   // take CPU profiles of peers that can, in one more sample each
	Out      string // the directory for them; needed for Profiles
	CacheDir string // for compiled C servers; empty means the user's own
	Flags    string // how the program was called, for the report

	// Progress is called before and after each sample, by Run's goroutine.
	Progress func(Progress)
}

// A Progress is what Run is at.
type Progress struct {
	Case          Case
	Index, Cases  int // which case of how many
	Round, Rounds int // from 1; round 0 is that of extra samples
	Peer          string
	Sample        *result.Sample // what was measured; nil before
	Err           error          // why there is none
	Measured      *result.Case   // what there is of the case by now; Run's own, to be read until the call returns
	Done, Total   int            // samples
	Elapsed, Left time.Duration  // Left is an estimate
}

// The limits of Options.
const (
	MaxRounds   = 1000
	MaxDuration = 10 * time.Minute
)

// Quick returns options that end within a minute.
func Quick() Options {
	return Options{
		Cases:  mustCases("echo:50,64,1 echo:1000,64,1 proxy:50,64,1"),
		Rounds: 3, Duration: 400 * time.Millisecond, Warmup: 100 * time.Millisecond,
		Peers: []string{"uring", "epoll", "net", "netpoll", "c-epoll", "c-uring-inc", "nginx", "haproxy"},
		Start: 5 * time.Second, Budget: 55 * time.Second, Syscalls: true,
	}
}

// Check reports what is wrong with options.
func (o Options) Check() error {
	if err := o.complete(); err != nil {
		return err
	}
	peers, err := o.peers()
	if err != nil {
		return err
	}
	served := false
	for i, c := range o.Cases {
		w, _ := findWorkload(c.Workload)
		served = served || slices.ContainsFunc(peers, func(p Peer) bool { return p.Serves(w.Kind) })
		if slices.Contains(o.Cases[:i], c) {
			return fmt.Errorf("bench: case %s is asked for twice", c)
		}
	}
	if !served {
		return fmt.Errorf("bench: %s can serve none of the cases; --list says who can", strings.Join(o.Names(), ", "))
	}
	return nil
}

// Names returns the names of the peers that are asked for, of options that pass Check.
func (o Options) Names() (out []string) {
	peers, _ := o.peers()
	for _, p := range peers {
		out = append(out, p.Name)
	}
	return out
}

// complete fills in what is 0, and reports what is wrong.
func (o *Options) complete() error {
	if o.Rounds == 0 {
		o.Rounds = 5
	}
	if o.Duration == 0 {
		o.Duration = time.Second
	}
	if o.Warmup == 0 {
		o.Warmup = 200 * time.Millisecond
	}
	if o.Start == 0 {
		o.Start = 15 * time.Second
	}
	if len(o.Cases) == 0 {
		o.Cases = DefaultCases()
	}
	switch {
	case o.Rounds < 1 || o.Rounds > MaxRounds:
		return fmt.Errorf("bench: %d rounds, want 1 to %d", o.Rounds, MaxRounds)
	case o.Duration < 0 || o.Duration > MaxDuration || o.Warmup < 0 || o.Warmup > MaxDuration:
		return fmt.Errorf("bench: samples of %v after %v, want more than 0 and at most %v", o.Duration, o.Warmup, MaxDuration)
	case o.Budget < 0 || o.Start < 0:
		return fmt.Errorf("bench: a budget of %v and %v for a start, want 0 or more", o.Budget, o.Start)
	case o.Profiles && o.Out == "":
		return fmt.Errorf("bench: profiles need a directory (--out)")
	}
	for _, c := range o.Cases {
		w, ok := findWorkload(c.Workload)
		if !ok {
			return fmt.Errorf("bench: no workload %q", c.Workload)
		}
		spec := c.spec(&w)
		spec.Duration = o.Duration
		if err := spec.Check(); err != nil {
			return fmt.Errorf("bench: case %s: %w", c, err)
		}
	}
	return nil
}

// peers returns those that are asked for.
func (o *Options) peers() ([]Peer, error) {
	all := slices.DeleteFunc(Builtin(), func(p Peer) bool {
		return slices.ContainsFunc(o.Extra, func(e Peer) bool { return e.Name == p.Name })
	})
	all = append(all, o.Extra...)
	if len(o.Peers) == 0 {
		return all, nil
	}
	var out []Peer
	for k, name := range o.Peers {
		if slices.Contains(o.Peers[:k], name) {
			return nil, fmt.Errorf("bench: peer %q is asked for twice", name)
		}
		i := slices.IndexFunc(all, func(p Peer) bool { return p.Name == name })
		if i < 0 {
			var names []string
			for _, p := range all {
				names = append(names, p.Name)
			}
			return nil, fmt.Errorf("bench: no peer %q, there are %s", name, strings.Join(names, ", "))
		}
		out = append(out, all[i])
	}
	for _, p := range o.Extra {
		if !slices.Contains(o.Peers, p.Name) {
			out = append(out, p)
		}
	}
	return out, nil
}

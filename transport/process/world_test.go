package process

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
)

// A site is a world with one loop.
type site struct {
	*backends.World
	l *loop.Loop
}

// A script is a child: a program of the simulator, and the same for the shell.
type script struct {
	program sim.Program
	shell   string
}

var (
	cat = script{func(p *sim.Process) int {
		buf := make([]byte, 1000)
		for {
			n, err := p.Read(0, buf)
			if err != nil {
				return 0
			}
			if _, err := p.Write(1, buf[:n]); err != nil {
				return int(syscall.SIGPIPE)
			}
		}
	}, "exec cat"}
	sleeper = script{func(p *sim.Process) int { p.Sleep(time.Hour); return 0 }, "exec sleep 1000"}
	good    = script{func(*sim.Process) int { return 0 }, "exit 0"}
)

// each runs f with a command, for a child on the simulator and on every real
// backend.
func each(t *testing.T, c script, f func(s *site, c Command)) {
	t.Helper()
	var o Command
	o.Path, o.Args, o.Env = "/bin/sh", []string{"sh", "-c", c.shell}, []string{"PATH=/usr/bin:/bin"}
	t.Run("sim", func(t *testing.T) { f(simulated(t, c.program), o) })
	backends.EachReal(t, func(w *backends.World) { f(&site{w, w.Loop()}, o) })
}

func (s *site) try(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// A parent is a protocol that notes what it is told.
type parent struct {
	s      *site
	x      *Process
	events []string
	out    map[int]string
	exit   error
	end    error
	bad    string // the callback that panics

	endedAt time.Duration
}

func (p *parent) told(format string, args ...any) {
	event := fmt.Sprintf(format, args...)
	p.events = append(p.events, event)
	if p.bad != "" && strings.HasPrefix(event, p.bad) {
		panic(event)
	}
}

func (p *parent) ConnectionMade(x *Process) {
	p.x = x
	p.told("made")
}

func (p *parent) ChildDataReceived(fd int, b []byte) {
	p.out[fd] += string(b)
	if p.bad == "data" {
		panic("data")
	}
}

func (p *parent) ChildConnectionLost(fd int) { p.told("lost %d", fd) }

func (p *parent) ProcessExited(err error) {
	p.exit = err
	p.told("exited")
}

func (p *parent) ProcessEnded(err error) {
	p.end, p.endedAt = err, p.s.l.Now()
	p.told("ended")
}

func (p *parent) PauseChildWriting(fd int)  { p.told("pause %d", fd) }
func (p *parent) ResumeChildWriting(fd int) { p.told("resume %d", fd) }

func (p *parent) has(event string) bool { return slices.Contains(p.events, event) }

// await waits for an event.
func (p *parent) await(event string) {
	p.s.Helper()
	p.s.Until(event, func() bool { return p.has(event) })
}

// spawn starts a child.
func (s *site) spawn(c Command) *parent {
	s.Helper()
	p := &parent{s: s, out: map[int]string{}}
	x, err := Spawn(s.l, p, c)
	s.try(err)
	if p.x != x {
		s.Fatalf("ConnectionMade was given %p, Spawn returns %p", p.x, x)
	}
	return p
}

// idle checks that nothing is left on the loop.
func (s *site) idle() {
	s.Helper()
	s.Until("nothing is left", func() bool {
		stats := s.l.Backend().Stats()
		return s.l.Members() == 0 && stats.Ops == 0 && stats.Handles == 0
	})
}

// simulated is a simulated site whose children are all the same.
func simulated(t *testing.T, program sim.Program) *site {
	w := backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults,
		Spawn: func(*proactor.Command) (sim.Program, error) { return program, nil }})
	return &site{w, w.Loop()}
}

package twisted

import (
	"errors"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport/process"
)

// A parent is a ProcessProtocol that notes what it is told.
type parent struct {
	s       *scene
	t       *process.Process
	out     map[int]string
	exit    error
	exited  bool
	ended   bool
	onMade  func()
	onData  func()
	onExit  func()
	onEnded func()
}

func (p *parent) ConnectionMade(t *process.Process) {
	p.t = t
	p.s.note("made")
	call(p.onMade)
}

func (p *parent) ChildDataReceived(fd int, b []byte) {
	p.out[fd] += string(b)
	call(p.onData)
}

func (p *parent) ChildConnectionLost(fd int) { p.s.note("%d lost", fd) }

func (p *parent) ProcessExited(err error) {
	p.exit, p.exited = err, true
	p.s.note("exited")
	call(p.onExit)
}

func (p *parent) ProcessEnded(err error) {
	p.ended = true
	if err != p.exit {
		p.s.Errorf("ended by %v, exited by %v", err, p.exit)
	}
	p.s.note("ended")
	call(p.onEnded)
}

func call(f func()) {
	if f != nil {
		f()
	}
}

// eachChild runs a case with a child that is a program of the simulator, and
// then on every real backend with the same as a script of the shell.
func eachChild(t *testing.T, program sim.Program, script string, f func(s *scene, p *parent, c process.Command)) {
	t.Helper()
	run := func(w *backends.World) {
		s := newScene(w, tcp4)
		f(s, &parent{s: s, out: map[int]string{}}, shell(script))
	}
	if program != nil {
		t.Run("sim", func(t *testing.T) {
			run(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults,
				Spawn: func(c *proactor.Command) (sim.Program, error) {
					if strings.HasPrefix(c.Path, "/nowhere") {
						return nil, syscall.ENOENT
					}
					return program, nil
				}}))
		})
	}
	backends.EachReal(t, run)
}

func shell(script string) process.Command {
	var c process.Command
	c.Path, c.Args, c.Env = "/bin/sh", []string{"sh", "-c", script}, []string{"PATH=/usr/bin:/bin"}
	return c
}

func (s *scene) spawn(p *parent, c process.Command) *process.Process {
	s.Helper()
	t, err := process.Spawn(s.l, p, c)
	if err != nil {
		s.Fatal(err)
	}
	return t
}

func (p *parent) awaitEnd() {
	p.s.Helper()
	p.s.Until("the child has ended", func() bool { return p.ended })
	if p.s.events[len(p.s.events)-1] != "ended" {
		p.s.Errorf("events %v: ended is not the last", p.s.events)
	}
	p.s.idle()
}

// cat copies its input to its output.
func cat(p *sim.Process) int {
	buf := make([]byte, 100)
	for {
		n, err := p.Read(0, buf)
		if err != nil {
			return 0
		}
		if _, err := p.Write(1, buf[:n]); err != nil {
			return int(syscall.SIGPIPE)
		}
	}
}

func sleeper(p *sim.Process) int {
	p.Sleep(time.Hour)
	return 0
}

func status(code int) sim.Program { return func(*sim.Process) int { return code << 8 } }

func TestCase287TransportAndPID(t *testing.T) {
	eachChild(t, cat, "cat", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		if p.t != x || x.PID() <= 1 || x.Loop() != s.l {
			s.Errorf("transport %p of %p, number %d", p.t, x, x.PID())
		}
		p.onExit = func() {
			if x.PID() != 0 {
				s.Errorf("number %d after the end", x.PID())
			}
		}
		x.CloseStdin()
		p.awaitEnd()
		if p.exit != nil {
			s.Errorf("exited by %v", p.exit)
		}
	})
}

func TestCase288WritesReachStandardInput(t *testing.T) {
	eachChild(t, cat, "cat", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		_, err := x.Write([]byte("one "))
		s.try(err)
		_, err = x.Writev([][]byte{[]byte("two "), nil, []byte("three")})
		s.try(err)
		x.CloseStdin()
		p.awaitEnd()
		if p.out[1] != "one two three" {
			s.Errorf("the child has read %q", p.out[1])
		}
	})
}

func TestCase289WriteToAnyDescriptor(t *testing.T) {
	third := func(p *sim.Process) int {
		buf := make([]byte, 100)
		n, _ := p.Read(0, buf)
		_, _ = p.Write(1, buf[:n])
		return 0
	}
	eachChild(t, third, "cat <&4", func(s *scene, p *parent, c process.Command) {
		c.Pipes = []proactor.ChildPipe{{FD: 4, Write: true}, {FD: 1}}
		x := s.spawn(p, c)
		_, err := x.WriteToChild(4, []byte("to four"))
		s.try(err)
		for _, fd := range []int{0, 1, 17, -1} {
			if _, err := x.WriteToChild(fd, []byte("x")); err != process.ErrNoPipe {
				s.Errorf("a write to %d: %v", fd, err)
			}
		}
		x.CloseChildFD(4)
		x.CloseChildFD(17)
		p.awaitEnd()
		if p.out[1] != "to four" {
			s.Errorf("the child has read %q", p.out[1])
		}
	})
}

func TestCase291Case292KilledBySignals(t *testing.T) {
	for name, sig := range map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM,
	} {
		t.Run(name, func(t *testing.T) {
			if signal.Ignored(sig) {
				t.Skip("this process ignores the signal, as nohup(1) makes it, and so do its children (execve(2))")
			}
			eachChild(t, sleeper, "exec sleep 1000", func(s *scene, p *parent, c process.Command) {
				x := s.spawn(p, c)
				s.try(x.SignalProcess(name))
				p.awaitEnd()
				var e *process.ExitError
				if !errors.As(p.exit, &e) || e.Signal != sig || e.Code != -1 {
					s.Errorf("exited by %v, want signal %v", p.exit, sig)
				}
				if err := x.SignalProcess("WHATEVER"); err != process.ErrSignal {
					s.Errorf("an unknown name: %v", err)
				}
			})
		})
	}
}

func TestCase293ExitStatus(t *testing.T) {
	eachChild(t, status(0), "exit 0", func(s *scene, p *parent, c process.Command) {
		s.spawn(p, c)
		p.awaitEnd()
		if p.exit != nil {
			s.Errorf("status 0 is %v", p.exit)
		}
	})
	t.Run("1", func(t *testing.T) {
		eachChild(t, status(1), "exit 1", func(s *scene, p *parent, c process.Command) {
			s.spawn(p, c)
			p.awaitEnd()
			var e *process.ExitError
			if !errors.As(p.exit, &e) || e.Code != 1 || e.Signal != 0 {
				s.Errorf("status 1 is %v", p.exit)
			}
		})
	})
}

func TestCase295OnlyStandardDescriptorsAreOpen(t *testing.T) {
	eachChild(t, nil, "ls /proc/self/fd | tr '\\n' ' '", func(s *scene, p *parent, c process.Command) {
		s.spawn(p, c)
		p.awaitEnd()
		if got := p.out[1]; got != "0 1 2 3 " { // 3 is the directory itself
			s.Errorf("open in the child: %q", got)
		}
	})
}

func TestCase296Case311Case312X44WhatCannotBeExecuted(t *testing.T) {
	eachChild(t, status(0), "", func(s *scene, p *parent, c process.Command) {
		for _, pty := range []bool{false, true} {
			c.PTY = pty
			c.Path = "/nowhere/nothing"
			if _, err := process.Spawn(s.l, p, c); !errors.Is(err, syscall.ENOENT) {
				s.Errorf("Spawn of nothing: %v", err)
			}
		}
		c.PTY = false
		if s.Net == nil {
			c.Path = "/etc/passwd"
			if _, err := process.Spawn(s.l, p, c); !errors.Is(err, syscall.EACCES) {
				s.Errorf("Spawn of a file that is no program: %v", err)
			}
			c.Path, c.Dir = "/bin/sh", "/nowhere"
			if _, err := process.Spawn(s.l, p, c); !errors.Is(err, syscall.ENOENT) {
				s.Errorf("Spawn in a directory that is not there: %v", err)
			}
			a, _ := s.streams()
			c.Dir, c.Files = "", []proactor.ChildFile{{FD: 5, Parent: a}, {FD: 6, Parent: 99999}}
			if _, err := process.Spawn(s.l, p, c); !errors.Is(err, syscall.EBADF) {
				s.Errorf("Spawn with a descriptor that is none: %v", err)
			}
			if _, err := syscall.Write(a, []byte("x")); err != nil {
				s.Errorf("the caller's descriptor: %v", err)
			}
		}
		s.idle()
		s.expect()
	})
}

func TestCase297ExitIsToldAtOnce(t *testing.T) {
	left := func(p *sim.Process) int { return 0 }
	eachChild(t, left, "sleep 2 & exit 0", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		s.await("exited") // somebody else may hold the pipes for long
		x.LoseConnection()
		p.awaitEnd()
	})
}

func TestCase299Case308PanicsInTheCallbacks(t *testing.T) {
	eachChild(t, status(0), "exit 0", func(s *scene, p *parent, c process.Command) {
		p.onExit = func() { panic("exited") }
		p.onEnded = func() {
			if n := s.l.Members(); n != 0 {
				s.Errorf("%d members of the loop while it is told", n)
			}
			panic("ended")
		}
		s.spawn(p, c)
		p.awaitEnd()
		s.panics(2)
	})
}

func TestCase300Case301EveryPipeEndsBeforeTheChild(t *testing.T) {
	talk := func(p *sim.Process) int {
		_, _ = p.Write(1, []byte("out"))
		_, _ = p.Write(2, []byte("err"))
		return 3 << 8
	}
	eachChild(t, talk, "echo -n out; echo -n err >&2; exit 3", func(s *scene, p *parent, c process.Command) {
		s.spawn(p, c)
		p.awaitEnd()
		if p.out[1] != "out" || p.out[2] != "err" {
			s.Errorf("output %v", p.out)
		}
		got := slices.Clone(s.events)
		slices.Sort(got)
		if want := []string{"0 lost", "1 lost", "2 lost", "ended", "exited", "made"}; !slices.Equal(got, want) {
			s.Errorf("events %v, want each once", s.events)
		}
		if s.events[0] != "made" {
			s.Errorf("events %v", s.events)
		}
	})
}

func TestCase303PipesEndBeforeTheExit(t *testing.T) {
	quiet := func(p *sim.Process) int {
		p.Close(0)
		p.Close(1)
		p.Close(2)
		p.Sleep(time.Second)
		return 0
	}
	eachChild(t, quiet, "exec 0<&- 1>&- 2>&-; sleep 0.3", func(s *scene, p *parent, c process.Command) {
		s.spawn(p, c)
		s.Until("all pipes are lost", func() bool { return s.has("0 lost") && s.has("1 lost") && s.has("2 lost") })
		if p.ended {
			s.Error("ended before it has exited")
		}
		p.awaitEnd()
	})
}

func TestCase304AnyMapOfDescriptors(t *testing.T) {
	eachChild(t, nil, "cat <&5 >&7; echo -n own >&9; exec 3<&-; read x <&8; echo -n $? >&7",
		func(s *scene, p *parent, c process.Command) {
			a, b := s.streams()
			c.Pipes = []proactor.ChildPipe{{FD: 5, Write: true}, {FD: 7}, {FD: 8, Write: true}}
			c.Files = []proactor.ChildFile{{FD: 9, Parent: a}}
			x := s.spawn(p, c)
			_, err := x.WriteToChild(5, []byte("five "))
			s.try(err)
			x.CloseChildFD(5)
			s.Until("five came back", func() bool { return p.out[7] == "five " })
			x.CloseChildFD(8) // the child sees the end
			p.awaitEnd()
			if p.out[7] != "five 1" {
				s.Errorf("from 7: %q", p.out[7])
			}
			buf := make([]byte, 10)
			if n, err := syscall.Read(b, buf); err != nil || string(buf[:n]) != "own" {
				s.Errorf("from the inherited socket: %q, %v", buf[:max(n, 0)], err)
			}
		})
}

func TestCase305Case307ScriptsAndArguments(t *testing.T) {
	eachChild(t, nil, "", func(s *scene, p *parent, c process.Command) {
		path := filepath.Join(s.TempDir(), "script")
		s.try(os.WriteFile(path, []byte("#!/bin/sh\nfor a in \"$@\"; do printf '<%s>' \"$a\"; done\n"), 0o700))
		args := []string{"a b", "", `q"u'o\te`, "$HOME *", "ä\n"}
		c.Path, c.Args = path, append([]string{path}, args...)
		s.spawn(p, c)
		p.awaitEnd()
		if want := "<" + strings.Join(args, "><") + ">"; p.out[1] != want {
			s.Errorf("the child has got %q, want %q", p.out[1], want)
		}
	})
}

func TestCase309Environment(t *testing.T) {
	for name, env := range map[string][]string{"none": nil, "inherited": os.Environ(), "given": {"A=b c", "D="}} {
		t.Run(name, func(t *testing.T) {
			eachChild(t, nil, "", func(s *scene, p *parent, c process.Command) {
				c.Path, c.Args, c.Env = "/usr/bin/env", []string{"env", "-0"}, env
				s.spawn(p, c)
				p.awaitEnd()
				got := strings.Split(strings.TrimSuffix(p.out[1], "\x00"), "\x00")
				if len(env) == 0 && p.out[1] == "" {
					return
				}
				if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(env))) {
					s.Errorf("the child's environment is %q, want %q", got, env)
				}
			})
		})
	}
}

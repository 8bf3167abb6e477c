package twisted

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
	"mobius/transport/process"
)

func TestCase313X46SignalAfterTheEnd(t *testing.T) {
	eachChild(t, status(0), "exit 0", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		var inside error
		p.onExit = func() { inside = x.Signal(syscall.SIGKILL) }
		p.awaitEnd()
		if err := x.Signal(syscall.SIGKILL); err != process.ErrExited || inside != process.ErrExited {
			s.Errorf("a signal in ProcessExited: %v, and after the end: %v", inside, err)
		}
	})
	eachChildLive := func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		if err := x.Signal(200); !errors.Is(err, syscall.EINVAL) {
			s.Errorf("a signal that is none: %v", err)
		}
		s.try(x.Signal(syscall.SIGKILL))
		p.awaitEnd()
	}
	t.Run("other errors", func(t *testing.T) { eachChild(t, sleeper, "exec sleep 1000", eachChildLive) })
}

func TestCase315Terminal(t *testing.T) {
	eachChild(t, nil, "test -t 0 && test -t 1 && test -t 2 && echo yes >/dev/tty", func(s *scene, p *parent, c process.Command) {
		c.PTY, c.Pipes = true, []proactor.ChildPipe{{FD: 1}}
		if _, err := process.Spawn(s.l, p, c); !errors.Is(err, syscall.EINVAL) {
			s.Errorf("a terminal and a pipe for 1: %v", err)
		}
		c.Pipes = nil
		terminal(s, p, c)
		p.awaitEnd()
		if p.out[1] != "yes\r\n" || p.exit != nil {
			s.Errorf("output %q, exit %v", p.out[1], p.exit)
		}
	})
}

// terminal spawns on a terminal, if this machine has any.
func terminal(s *scene, p *parent, c process.Command) *process.Process {
	s.Helper()
	x, err := process.Spawn(s.l, p, c)
	if err != nil {
		if s.Net == nil && errors.Is(err, syscall.ENOENT) {
			testenv.Missing(s, "no pseudo-terminals: %v", err)
		}
		s.Fatal(err)
	}
	return x
}

// A real shell, spoken to on its terminal.
func TestShellOnATerminal(t *testing.T) {
	eachChild(t, nil, "", func(s *scene, p *parent, c process.Command) {
		c.PTY, c.Args = true, []string{"sh", "-i"}
		c.Env = append(c.Env, "PS1=ready>", "HISTFILE=/dev/null")
		x := terminal(s, p, c)
		s.Until("the prompt", func() bool { return strings.Contains(p.out[1], "ready>") })
		_, err := x.Write([]byte("tty; echo sum=$((40+2))\n"))
		s.try(err)
		s.Until("the answer", func() bool { return strings.Contains(p.out[1], "sum=42\r\n") })
		if !strings.Contains(p.out[1], "/dev/pts/") {
			s.Errorf("not on a terminal: %q", p.out[1])
		}
		_, err = x.Write([]byte("exit 7\n"))
		s.try(err)
		p.awaitEnd()
		var e *process.ExitError
		if !errors.As(p.exit, &e) || e.Code != 7 {
			s.Errorf("exited by %v", p.exit)
		}
	})
}

func TestCase316ClosedOutputIsABrokenPipe(t *testing.T) {
	for fd, script := range map[int]string{
		1: "read x; while echo x; do :; done", 2: "read x; while echo x >&2; do :; done",
	} {
		program := func(p *sim.Process) int {
			for {
				if _, err := p.Write(fd, []byte("x")); err != nil {
					return int(syscall.SIGPIPE)
				}
				p.Sleep(time.Millisecond)
			}
		}
		t.Run(map[int]string{1: "stdout", 2: "stderr"}[fd], func(t *testing.T) {
			eachChild(t, program, script, func(s *scene, p *parent, c process.Command) {
				x := s.spawn(p, c)
				if fd == 1 {
					x.CloseStdout()
				} else {
					x.CloseStderr()
				}
				s.await(map[int]string{1: "1 lost", 2: "2 lost"}[fd])
				_, err := x.Write([]byte("go\n"))
				s.try(err)
				p.awaitEnd()
				var e *process.ExitError
				if !errors.As(p.exit, &e) || e.Signal != syscall.SIGPIPE {
					s.Errorf("exited by %v, want SIGPIPE", p.exit)
				}
			})
		})
	}
}

func TestCase317LoseConnectionEndsAnEcho(t *testing.T) {
	eachChild(t, cat, "cat", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		_, err := x.Write([]byte("x"))
		s.try(err)
		s.Until("the echo", func() bool { return p.out[1] == "x" })
		x.LoseConnection()
		p.awaitEnd()
	})
	t.Run("terminal", func(t *testing.T) {
		eachChild(t, cat, "cat", func(s *scene, p *parent, c process.Command) {
			c.PTY = true
			if s.Net != nil {
				c.Pipes = []proactor.ChildPipe{{FD: 3}} // cat's index 1
			}
			x := terminal(s, p, c)
			_, err := x.Write([]byte("x\n"))
			s.try(err)
			s.Until("the echo", func() bool { return strings.Contains(p.out[1]+p.out[3], "x") })
			x.LoseConnection()
			p.awaitEnd()
		})
	})
}

func TestX43LoopStopsWhileAChildLives(t *testing.T) {
	for name, policy := range map[string]process.StopPolicy{"leave": process.Leave, "kill": process.Kill} {
		t.Run(name, func(t *testing.T) {
			eachChild(t, sleeper, "exec sleep 5", func(s *scene, p *parent, c process.Command) {
				c.OnStop = policy
				x := s.spawn(p, c)
				pid := x.PID()
				s.l.Stop()
				s.Until("it is told", func() bool { return p.ended })
				var e *process.ExitError
				switch {
				case policy == process.Leave && p.exit != loop.ErrStopped:
					s.Errorf("exited by %v, want %v", p.exit, loop.ErrStopped)
				case policy == process.Kill && (!errors.As(p.exit, &e) || e.Signal != syscall.SIGKILL):
					s.Errorf("exited by %v, want SIGKILL", p.exit)
				}
				if _, err := process.Spawn(s.l, p, c); err != loop.ErrStopped {
					s.Errorf("Spawn after the end: %v", err)
				}
				if s.Net != nil {
					return
				}
				if policy == process.Leave {
					s.try(syscall.Kill(pid, syscall.SIGKILL)) // it lives
				}
				testenv.Eventually(s, backends.Patience, "no zombie is left", func() bool {
					return syscall.Kill(pid, 0) == syscall.ESRCH
				})
			})
		})
	}
}

func TestX45GrandchildHoldsAPipe(t *testing.T) {
	eachChild(t, nil, "sleep 1000 >&2 & echo -n $!", func(s *scene, p *parent, c process.Command) {
		c.Grace = 50 * time.Millisecond
		s.spawn(p, c)
		p.awaitEnd()
		if !s.has("2 lost") || p.exit != nil {
			s.Errorf("events %v, exited by %v", s.events, p.exit)
		}
		var pid int
		for _, digit := range p.out[1] {
			pid = 10*pid + int(digit-'0')
		}
		if pid <= 1 {
			s.Fatalf("the grandchild is %q", p.out[1])
		}
		s.try(syscall.Kill(pid, syscall.SIGKILL))
	})
}

func TestX47WriteToAClosedInput(t *testing.T) {
	eachChild(t, cat, "cat", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		x.CloseStdin()
		if _, err := x.Write([]byte("x")); err != transport.ErrNotWritable {
			s.Errorf("a write after CloseStdin: %v", err)
		}
		p.awaitEnd()
		if _, err := x.Write([]byte("x")); err != transport.ErrNotWritable {
			s.Errorf("a write after the end: %v", err)
		}
	})
}

func TestPausedOutputWaits(t *testing.T) {
	talk := func(p *sim.Process) int {
		_, _ = p.Write(1, []byte("words"))
		return 0
	}
	eachChild(t, talk, "echo -n words", func(s *scene, p *parent, c process.Command) {
		x := s.spawn(p, c)
		x.PauseReading()
		s.await("exited")
		s.pass()
		if p.out[1] != "" || p.ended {
			s.Errorf("during the pause: %q, ended %v", p.out[1], p.ended)
		}
		x.ResumeReading()
		p.awaitEnd()
		if p.out[1] != "words" {
			s.Errorf("output %q", p.out[1])
		}
	})
}

// A drainingParent notes the marks.
type drainingParent struct{ *parent }

func (p drainingParent) PauseChildWriting(fd int)  { p.s.note("pause %d", fd) }
func (p drainingParent) ResumeChildWriting(fd int) { p.s.note("resume %d", fd) }

func TestInputHasLimits(t *testing.T) {
	eachChild(t, cat, "cat", func(s *scene, p *parent, c process.Command) {
		c.HighWater, c.LowWater, c.HardLimit = 1<<20, 1<<10, 2<<20
		x, err := process.Spawn(s.l, drainingParent{p}, c)
		s.try(err)
		x.PauseReading() // so that cat stands still
		_, err = x.Write(make([]byte, 3<<19))
		s.try(err)
		if !s.has("pause 0") {
			s.Errorf("events %v", s.events)
		}
		if _, err := x.Write(make([]byte, 1<<20)); err != transport.ErrFull {
			s.Errorf("beyond the limit: %v", err)
		}
		s.pass()
		if s.has("resume 0") {
			s.Error("resumed although nobody reads")
		}
		x.ResumeReading()
		s.await("resume 0")
		x.CloseStdin()
		p.awaitEnd()
		if len(p.out[1]) != 3<<19 {
			s.Errorf("%d bytes came back", len(p.out[1]))
		}
	})
}

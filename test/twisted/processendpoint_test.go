package twisted

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/connector"
	"mobius/endpoint"
	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/test/backends"
	"mobius/transport"
	"mobius/transport/process"
)

// eachProgram runs a case with an endpoint of a child; see eachChild.
func eachProgram(t *testing.T, program sim.Program, script string, f func(s *scene, c endpoint.ProcessClient)) {
	t.Helper()
	eachChild(t, program, script, func(s *scene, _ *parent, c process.Command) {
		f(s, endpoint.ProcessClient{Reactor: office{desk: desk{s: s}}, Command: c})
	})
}

// begins connects to a child, for whom e is the protocol.
func (s *scene) begins(c endpoint.ProcessClient, e *ends) mobius.Transport {
	s.Helper()
	p, err := result(s, endpoint.ConnectProtocol(s.Context(), c, e))
	if err != nil || p != e || e.t == nil {
		s.Fatalf("the result is %v, %v; the transport %v", p, err, e.t)
	}
	return e.t
}

// says is a program that writes and exits.
func says(out, err string, status int) sim.Program {
	return func(p *sim.Process) int {
		_, _ = p.Write(1, []byte(out))
		_, _ = p.Write(2, []byte(err))
		return status << 8
	}
}

// A child's output arrives as data; status 0 is a clean end, any other is not.
func TestCase368ProcessEndpoint(t *testing.T) {
	for name, status := range map[string]int{"exit 0": 0, "exit 3": 3} {
		t.Run(name, func(t *testing.T) {
			eachProgram(t, says("hello", "", status), "echo -n hello; "+name, func(s *scene, c endpoint.ProcessClient) {
				e := &ends{s: s}
				tr := s.begins(c, e)
				if tr.LocalAddr().IsValid() || tr.RemoteAddr().IsValid() || tr.Loop() != s.l || tr.Handle() != 0 {
					s.Errorf("transport %v at %v", tr, tr.LocalAddr())
				}
				s.await("lost")
				s.expect("read lost", "lost")
				var exit *process.ExitError
				clean := kindOf(e.err) == "done" && errors.Is(e.err, io.EOF)
				unclean := kindOf(e.err) == "lost" && errors.As(e.err, &exit) && exit.Code == 3
				if e.got != "hello" || (status == 0) != clean || (status != 0) != unclean {
					s.Errorf("got %q, lost by %v", e.got, e.err)
				}
				if _, err := tr.Write([]byte("x")); err != transport.ErrNotWritable {
					s.Errorf("a write after the end: %v", err)
				}
				s.idle()
			})
		})
	}
}

// What a child writes to its standard error is logged, or dropped; it is no data.
func TestCase368StandardError(t *testing.T) {
	long := strings.Repeat("oh! ", 1500)
	for name, what := range map[string]endpoint.StandardError{"log": endpoint.LogStderr, "drop": endpoint.DropStderr} {
		t.Run(name, func(t *testing.T) {
			script := "echo -n x; for i in $(seq 1500); do echo -n 'oh! '; done >&2"
			eachProgram(t, says("x", long, 0), script, func(s *scene, c endpoint.ProcessClient) {
				j := &journal{least: slog.LevelWarn}
				s.l = s.LoopWith(loop.Options{Log: slog.New(j)})
				c.Reactor, c.Stderr = office{desk: desk{s: s}}, what
				e := &ends{s: s}
				s.begins(c, e)
				s.await("lost")
				if e.got != "x" {
					s.Errorf("got %q", e.got)
				}
				lines, all := j.all(), 0
				for _, line := range lines {
					if !strings.Contains(line, "a child's standard error") || len(line) > 5000 ||
						!strings.Contains(line, "protocol=*twisted.ends") {
						s.Errorf("logged %.200q of %d bytes", line, len(line))
					}
					all += strings.Count(line, "!")
				}
				if want := map[endpoint.StandardError]int{endpoint.LogStderr: 1500}[what]; all != want {
					s.Errorf("%d of %d words are in the log", all, want)
				}
			})
		})
	}
}

// A program that cannot be started, a factory that builds nothing, and a user who
// gives up are the result.
func TestCase368SpawnFails(t *testing.T) {
	eachProgram(t, sleeper, "exec sleep 1000", func(s *scene, c endpoint.ProcessClient) {
		nowhere := c
		nowhere.Command.Path = "/nowhere/nothing"
		f := nowhere.Connect(s.Context(), s.silent("nobody"))
		fails(s, f, transport.Failed, syscall.ENOENT)
		if _, err := result(s, f); !strings.Contains(err.Error(), nowhere.Command.Path) {
			s.Errorf("%q does not name the program", err)
		}
		fails(s, c.Connect(s.Context(), connector.FactoryFunc(func(proactor.Address) transport.Protocol { return nil })),
			transport.Refused, connector.ErrNoProtocol)
		boom := errors.New("boom")
		f = c.Connect(s.Context(), connector.FactoryFunc(func(proactor.Address) transport.Protocol { panic(boom) }))
		fails(s, f, transport.Panicked, boom)
		ctx, stop := context.WithCancelCause(s.Context())
		stop(boom)
		fails(s, c.Connect(ctx, s.silent("nobody")), transport.Aborted, boom)
		plain := endpoint.ProcessClient{Reactor: desk{s: s}, Command: c.Command}
		if _, err := result(s, plain.Connect(s.Context(), s.silent("nobody"))); !errors.Is(err, errors.ErrUnsupported) {
			s.Errorf("a reactor without processes: %v", err)
		}
		s.panics(1)
		s.idle()
	})
	t.Run("panic in ConnectionMade", func(t *testing.T) {
		eachProgram(t, sleeper, "exec sleep 1000", func(s *scene, c endpoint.ProcessClient) {
			f, boom := s.silent("client"), errors.New("boom")
			f.talker.onMade = func(*talker) { panic(boom) }
			fails(s, c.Connect(s.Context(), f), transport.Panicked, boom)
			s.panics(1)
			s.idle()
		})
	})
	t.Run("a stopped loop", func(t *testing.T) {
		eachProgram(t, sleeper, "exec sleep 1000", func(s *scene, c endpoint.ProcessClient) {
			s.l.Stop()
			s.Until("the loop ends", func() bool { return s.l.Err() == loop.ErrStopped })
			if _, err := c.Connect(s.Context(), s.silent("nobody")).Wait(s.Context()); !errors.Is(err, loop.ErrStopped) {
				s.Errorf("the result is %v", err)
			}
		})
	})
}

// Writes, flow control and the end of the writing reach the child.
func TestCase369ProcessTransport(t *testing.T) {
	eachProgram(t, cat, "cat", func(s *scene, c endpoint.ProcessClient) {
		c.Command.HighWater, c.Command.LowWater, c.Command.HardLimit = 10, 5, 100
		e := &ends{s: s}
		tr := s.begins(c, e)
		q := tr.(transport.Queuer)
		_, err := tr.Write([]byte("one "))
		s.try(err)
		_, err = tr.Writev([][]byte{[]byte("two "), []byte("three ")})
		s.try(err)
		released := 0
		s.try(tr.WriteOwned([]byte("four"), func() { released++ }))
		if released != 1 || q.Queued() != 18 || q.Room() != 82 {
			s.Errorf("released %d times, %d bytes queued, room for %d", released, q.Queued(), q.Room())
		}
		if _, err := tr.Write(make([]byte, 83)); err != transport.ErrFull {
			s.Errorf("a write beyond the limit: %v", err)
		}
		s.await("resume")
		s.expect("pause", "resume")
		s.Until("the echo", func() bool { return e.got == "one two three four" })
		tr.PauseReading()
		_, err = tr.Write([]byte("!"))
		s.try(err)
		s.pass()
		if e.got != "one two three four" {
			s.Errorf("%q during the pause", e.got)
		}
		tr.ResumeReading()
		s.Until("the rest", func() bool { return e.got == "one two three four!" })
		if err := tr.Detach(nil); !errors.Is(err, proactor.ErrUnsupported) {
			s.Errorf("Detach: %v", err)
		}
		tr.LoseWriteConnection()
		s.await("lost")
		s.expect("write lost", "read lost", "lost")
		if kindOf(e.err) != "done" {
			s.Errorf("lost by %v", e.err)
		}
		s.idle()
	})
}

// LoseConnection lets a child finish, and ends one that does not notice.
func TestProcessEndpointIsClosed(t *testing.T) {
	eachProgram(t, cat, "cat", func(s *scene, c endpoint.ProcessClient) {
		e := &ends{s: s}
		tr := s.begins(c, e)
		_, err := tr.Write(make([]byte, 1000)) // its echo is not met by a broken pipe
		s.try(err)
		tr.PauseReading()
		tr.LoseConnection()
		s.await("lost")
		if kindOf(e.err) != "done" || e.got != "" {
			s.Errorf("lost by %v, got %d bytes", e.err, len(e.got))
		}
		s.expect("lost")
		s.idle()
	})
	talk := func(p *sim.Process) int {
		for {
			if _, err := p.Write(1, []byte("y")); err != nil {
				return int(syscall.SIGPIPE)
			}
			p.Sleep(time.Millisecond)
		}
	}
	t.Run("a talker", func(t *testing.T) {
		eachProgram(t, talk, "exec yes", func(s *scene, c endpoint.ProcessClient) {
			c.CloseTimeout = 20 * time.Millisecond
			e := &ends{s: s}
			tr := s.begins(c, e)
			s.Until("it talks", func() bool { return e.got != "" })
			tr.LoseConnection()
			s.await("lost")
			var exit *process.ExitError
			if !errors.As(e.err, &exit) || exit.Signal != syscall.SIGPIPE {
				s.Errorf("lost by %v, want SIGPIPE", e.err)
			}
		})
	})
}

// AbortConnection, an error of the user's, a panic and the loop's stop are the
// reason, whatever the child's status is.
func TestProcessEndpointIsEnded(t *testing.T) {
	enough := errors.New("enough")
	for name, c := range map[string]struct {
		end  func(s *scene, e *ends)
		kind string
	}{
		"abort": {func(_ *scene, e *ends) { e.t.AbortConnection() }, "aborted"},
		"an error": {func(_ *scene, e *ends) {
			e.t.CloseWithError(enough)
			e.t.LoseConnection()
		}, "failed"},
		"the loop's stop":     {func(s *scene, _ *ends) { s.l.Stop() }, "stopped"},
		"the loop's Shutdown": {func(s *scene, _ *ends) { s.l.Shutdown(time.Hour) }, "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			eachProgram(t, cat, "cat; exit 4", func(s *scene, p endpoint.ProcessClient) {
				e := &ends{s: s}
				s.begins(p, e)
				c.end(s, e)
				s.await("lost")
				if kindOf(e.err) != c.kind || c.kind == "failed" && !errors.Is(e.err, enough) {
					s.Errorf("lost by %v", e.err)
				}
				s.expect("lost")
			})
		})
	}
	t.Run("panic", func(t *testing.T) {
		eachProgram(t, cat, "cat", func(s *scene, p endpoint.ProcessClient) {
			f := s.silent("client")
			f.talker.onData = func(*talker) { panic(enough) }
			_, err := result(s, p.Connect(s.Context(), f))
			s.try(err)
			f.made[0].write("x")
			s.Until("lost", func() bool { return f.made[0].err != nil })
			s.endedBy(f.made[0], enough)
		})
	})
}

// The future of a child that has not begun can be cancelled.
func TestProcessEndpointIsCancelled(t *testing.T) {
	s := newScene(backends.Simulate(t, sim.Options{Seed: 1, Faults: sim.NoFaults}), tcp4)
	c := endpoint.ProcessClient{Reactor: office{desk: desk{s: s}}, Command: shell("exit 0")}
	f := c.Connect(s.Context(), s.silent("client")) // the loop has no goroutine yet
	f.Cancel()
	fails(s, f, transport.Aborted, loop.ErrCanceled)
	if c.String() != "process:/bin/sh" {
		s.Errorf("it describes itself as %v", c)
	}
	s.idle()
}

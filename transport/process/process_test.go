package process

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius/loop"
	"mobius/proactor"
	"mobius/sim"
	"mobius/transport"
)

// What a wait status means, and what it is called (wait(2)).
func TestWaitStatus(t *testing.T) {
	for _, c := range []struct {
		status int
		err    error
		want   ExitError
		text   string
	}{
		{status: 3 << 8, want: ExitError{Code: 3}, text: "process: exit status 3"},
		{status: 255 << 8, want: ExitError{Code: 255}, text: "exit status 255"},
		{status: 9, want: ExitError{Code: -1, Signal: syscall.SIGKILL}, text: "signal 9 (killed)"},
		{status: 11 | 0x80, want: ExitError{Code: -1, Signal: syscall.SIGSEGV, Core: true}, text: "signal 11"},
		{err: syscall.ECHILD, want: ExitError{Code: -1, Err: syscall.ECHILD}, text: "status is unknown: no child"},
	} {
		got, ok := exit(c.status, c.err).(*ExitError)
		if !ok || *got != c.want || !strings.Contains(got.Error(), c.text) || c.err != nil && !errors.Is(got, c.err) {
			t.Errorf("status %#x, %v: %+v, want %+v", c.status, c.err, got, c.want)
		}
	}
	if err := exit(0, nil); err != nil {
		t.Errorf("status 0: %v", err)
	}
}

// A terminal has the descriptors 0, 1 and 2: whatever else is to be one of them is
// an error that names it. Pipes that are empty but not nil are none.
func TestDescriptorsOfACommand(t *testing.T) {
	for _, c := range []struct {
		pipes []proactor.ChildPipe
		files []proactor.ChildFile
		bad   string
	}{
		{pipes: []proactor.ChildPipe{{FD: 3}, {FD: 2}}, bad: "descriptor 2"},
		{files: []proactor.ChildFile{{FD: 0, Parent: 0}}, bad: "descriptor 0"},
		{pipes: []proactor.ChildPipe{{FD: 3}}, files: []proactor.ChildFile{{FD: 4}}},
	} {
		var o Command
		o.PTY, o.Pipes, o.Files = true, c.pipes, c.files
		_, err := o.prepare()
		if (err != nil) != (c.bad != "") || err != nil && (!errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), c.bad)) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for name, c := range map[string]struct {
		pipes []proactor.ChildPipe
		files []proactor.ChildFile
		want  int
	}{
		"the default": {nil, nil, 3}, "none": {[]proactor.ChildPipe{}, nil, 0}, "files alone": {nil, []proactor.ChildFile{{FD: 5}}, 0},
	} {
		var o Command
		o.Pipes, o.Files = c.pipes, c.files
		got, err := o.prepare()
		if err != nil || len(got.Pipes) != c.want {
			t.Errorf("%s: %d pipes, %v; want %d", name, len(got.Pipes), err, c.want)
		}
	}
}

// A low mark is never above the high one.
func TestLimits(t *testing.T) {
	if l := (&Options{HighWater: 10}).limits(); l.High != 10 || l.Low != 10 || l.Hard != transport.DefaultHardLimit {
		t.Errorf("limits %+v", l)
	}
	l := (&Options{}).limits()
	if l.High != transport.DefaultHighWater || l.Low != transport.DefaultLowWater || l.CloseTimeout != 0 {
		t.Errorf("limits %+v", l)
	}
}

// What is closed twice, or is not there, is nothing; writes that go nowhere are
// errors.
func TestDoubleCalls(t *testing.T) {
	each(t, cat, func(s *site, c Command) {
		p := s.spawn(c)
		x := p.x
		for _, fd := range []int{1, 2, 3, -1} {
			if n, err := x.WriteToChild(fd, []byte("x")); n != 0 || err != ErrNoPipe || x.Queued(fd) != 0 || x.Room(fd) != 0 {
				s.Errorf("a write to %d: %d, %v; room for %d", fd, n, err, x.Room(fd))
			}
		}
		if err := x.SignalProcess("WINCH"); err != ErrSignal {
			s.Errorf("a signal without a name: %v", err)
		}
		x.CloseChildFD(7)
		_, err := x.Writev([][]byte{[]byte("ab"), nil, []byte("c")})
		s.try(err)
		if x.Queued(0) != 3 || x.Room(0) != transport.DefaultHardLimit-3 {
			s.Errorf("%d bytes queued, room for %d", x.Queued(0), x.Room(0))
		}
		x.PauseReading()
		x.PauseReading()
		x.ResumeReading()
		x.ResumeReading()
		x.CloseStdin()
		x.CloseStdin()
		p.await("lost 0")
		x.CloseStdin()
		p.await("ended")
		x.CloseStdout()
		x.CloseStderr()
		x.LoseConnection()
		x.AbortConnection()
		x.PauseReading()
		x.ResumeReading()
		if err := x.SignalProcess("TERM"); err != ErrExited || x.PID() != 0 || x.Queued(0)+x.Room(0) != 0 {
			s.Errorf("a signal after the end: %v; number %d", err, x.PID())
		}
		s.idle()
		slices.Sort(p.events)
		if want := []string{"ended", "exited", "lost 0", "lost 1", "lost 2", "made"}; !slices.Equal(p.events, want) || p.out[1] != "abc" {
			s.Errorf("events %q, output %q", p.events, p.out[1])
		}
	})
}

// AbortConnection closes the pipes, whatever is in them, and sends no signal.
func TestAbortConnection(t *testing.T) {
	each(t, sleeper, func(s *site, c Command) {
		p := s.spawn(c)
		_, err := p.x.Write(make([]byte, 1<<20))
		s.try(err)
		s.Turn()
		p.x.AbortConnection()
		p.x.AbortConnection()
		for _, event := range []string{"lost 0", "lost 1", "lost 2"} {
			p.await(event)
		}
		s.try(p.x.Signal(0)) // it lives
		if p.has("exited") || p.x.PID() == 0 {
			s.Errorf("events %q, number %d", p.events, p.x.PID())
		}
		s.try(p.x.SignalProcess("KILL"))
		p.await("ended")
		s.idle()
	})
}

// The queue of each input has its own marks and limit.
func TestLimitsOfAnInput(t *testing.T) {
	each(t, sleeper, func(s *site, c Command) {
		c.HighWater, c.LowWater, c.HardLimit = 1000, 10, 1<<20
		c.Pipes = []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 5, Write: true}}
		p := s.spawn(c)
		n, err := p.x.WriteToChild(5, make([]byte, 1<<20))
		if err != nil || n != 1<<20 {
			s.Fatalf("took %d bytes, %v", n, err)
		}
		if n, err := p.x.WriteToChild(5, []byte("x")); n != 0 || err != transport.ErrFull {
			s.Errorf("a write beyond the limit: %d, %v", n, err)
		}
		if n, err := p.x.Write([]byte("x")); n != 1 || err != nil {
			s.Errorf("a write to another input: %d, %v", n, err)
		}
		if !p.has("pause 5") || p.has("pause 0") {
			s.Errorf("events %q", p.events)
		}
		s.try(p.x.Signal(syscall.SIGKILL))
		p.await("ended")
		if p.has("resume 5") {
			s.Errorf("events %q: nobody has read anything", p.events)
		}
	})
}

// The input of a terminal is told of as 0, its end as that of 1.
func TestTerminalsInput(t *testing.T) {
	read := func(p *sim.Process) int {
		buf := make([]byte, 100)
		for got := 0; got < 3000; {
			n, err := p.Read(0, buf)
			if err != nil {
				return 1 << 8
			}
			got += n
		}
		return 0
	}
	s := simulated(t, read)
	var c Command
	c.PTY, c.HighWater, c.LowWater = true, 1000, 100
	p := s.spawn(c)
	_, err := p.x.WriteToChild(2, make([]byte, 3000)) // any of the three
	s.try(err)
	p.await("ended")
	if want := []string{"made", "pause 0", "resume 0"}; !slices.Equal(p.events[:3], want) || p.exit != nil || !p.has("lost 1") {
		s.Errorf("events %q, exited by %v", p.events, p.exit)
	}
	s.idle()
}

// A panic in a callback is reported, and everything else goes on; one in
// ChildDataReceived closes the pipe.
func TestPanicsOfAProtocol(t *testing.T) {
	for _, bad := range []string{"made", "data", "lost", "exited", "ended", "pause"} {
		t.Run(bad, func(t *testing.T) {
			each(t, cat, func(s *site, c Command) {
				c.HighWater = 1
				p := &parent{s: s, out: map[int]string{}, bad: bad}
				x, err := Spawn(s.l, p, c)
				s.try(err)
				_, err = x.Write([]byte("hello"))
				s.try(err)
				s.Until("the echo", func() bool { return p.out[1] != "" })
				x.CloseStdin()
				p.await("ended")
				s.idle()
				all := s.TakeTroubles()
				if want := map[string]int{"lost": 3}[bad]; len(all) != max(want, 1) {
					s.Errorf("%d troubles: %v", len(all), all)
				}
				for _, trouble := range all {
					if trouble.Kind != loop.Panicked {
						s.Errorf("reported %v", trouble)
					}
				}
				if p.exit != p.end {
					s.Errorf("exited by %v, ended by %v", p.exit, p.end)
				}
			})
		})
	}
}

// A child that has exited, and whose output waits, ends with the loop: with the
// status that it had.
func TestTheLoopStopsAfterTheExit(t *testing.T) {
	each(t, good, func(s *site, c Command) {
		p := s.spawn(c)
		p.x.PauseReading()
		p.await("exited")
		s.l.Stop()
		p.await("ended")
		if p.end != nil || p.exit != nil {
			s.Errorf("exited by %v, ended by %v", p.exit, p.end)
		}
	})
}

// A loop that cannot wait for its operations tells the end all the same, once.
func TestAbandonedChildren(t *testing.T) {
	s := simulated(t, sleeper.program)
	gone := errors.New("gone")
	p := s.spawn(Command{})
	(*events)(p.x).Abandon(gone)
	(*events)(p.x).Abandon(errors.New("again"))
	if want := []string{"made", "exited", "ended"}; !slices.Equal(p.events, want) || p.end != gone {
		s.Errorf("events %q, ended by %v", p.events, p.end)
	}
	s.l.Leave(&p.x.member) // here the operations do end
	s.l.Cancel(&p.x.wait)
	p.x.AbortConnection()
	s.idle()
	s.l.Stop()
	s.Until("the loop ends", func() bool { return s.l.Err() != nil })
	if _, err := Spawn(s.l, p, Command{}); err != loop.ErrStopped {
		s.Errorf("Spawn afterwards: %v", err)
	}
}

// After Grace the pipes that others hold are closed.
func TestGrace(t *testing.T) {
	s := simulated(t, func(p *sim.Process) int { return 0 })
	var c Command
	c.Grace = time.Minute
	a, b := s.Net.Pair()
	defer s.Net.CloseFile(a)
	c.Files = []proactor.ChildFile{{FD: 9, Parent: b}}
	c.Pipes = []proactor.ChildPipe{{FD: 1}}
	p := s.spawn(c)
	p.x.PauseReading() // the end waits behind the pause
	p.await("exited")
	start := s.l.Now()
	p.await("ended")
	if took := p.endedAt - start; took < time.Minute || took > 2*time.Minute {
		s.Errorf("it ended after %v", took)
	}
	s.try(s.Net.CloseFile(b))
	s.idle()
}

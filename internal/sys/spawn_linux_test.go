//go:build linux

package sys

import (
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// sh is a command of the shell.
func sh(script string) *proactor.Command {
	return &proactor.Command{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}}
}

func spawned(t *testing.T, s *Sockets, c *proactor.Command) (proactor.Handle, []proactor.Handle) {
	t.Helper()
	child, pipes, err := s.Spawn(c)
	if err != nil {
		t.Fatalf("Spawn(%v): %v", c.Args, err)
	}
	return child, pipes
}

// output reads a pipe, or a terminal, to its end.
func output(t *testing.T, s *Sockets, h proactor.Handle) string {
	t.Helper()
	var all strings.Builder
	buf := make([]byte, 4096)
	testenv.Eventually(t, 10*time.Second, "the end of the output", func() bool {
		n, e := Read(int(h.Index()), Other, buf)
		all.Write(buf[:n])
		return n == 0 && (e == 0 || e == unix.EIO)
	})
	if err := s.CloseFD(h); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// ended waits for a child.
func ended(t *testing.T, s *Sockets, h proactor.Handle) syscall.WaitStatus {
	t.Helper()
	var status int
	testenv.Eventually(t, 10*time.Second, "the end of the child", func() bool {
		var over bool
		var err error
		if status, over, err = s.Lookup(h).Reap(); err != nil {
			t.Fatal(err)
		}
		return over
	})
	if again, over, err := s.Lookup(h).Reap(); again != status || !over || err != nil {
		t.Errorf("asked again: %#x, %v, %v", again, over, err)
	}
	if err := s.Signal(h, 0); err != unix.ESRCH {
		t.Errorf("a signal to a child that has ended: %v", err)
	}
	if err := s.CloseFD(h); err != nil {
		t.Fatal(err)
	}
	return syscall.WaitStatus(status)
}

func TestSpawnGivesExactlyWhatIsNamed(t *testing.T) {
	s := open(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	leak, err := unix.FcntlInt(w.Fd(), unix.F_DUPFD, 60) // not CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	c := sh("echo to three >&3; echo to seven >&7; cat; for f in 0 1 2 3 4 5 6 7 8 60; do if ( : >&$f ); then echo $f; fi; done; exit 5")
	c.Pipes = []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}, {FD: 7}}
	c.Files = []proactor.ChildFile{{FD: 3, Parent: int(w.Fd())}}
	child, pipes := spawned(t, s, c)
	if len(pipes) != 3 {
		t.Fatalf("%d pipes", len(pipes))
	}
	Write(int(pipes[0].Index()), Other, []byte("in "))
	if err := s.CloseFD(pipes[0]); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(output(t, s, pipes[1])), " "); got != "in 0 1 3 7" {
		t.Errorf("the child's output and descriptors: %q", got)
	}
	if got := output(t, s, pipes[2]); got != "to seven\n" {
		t.Errorf("descriptor 7: %q", got)
	}
	buf := make([]byte, 9)
	if _, err := io.ReadFull(r, buf); err != nil || string(buf) != "to three\n" {
		t.Errorf("descriptor 3: %q, %v", buf, err)
	}
	if ws := ended(t, s, child); ws.ExitStatus() != 5 {
		t.Errorf("status %#x", ws)
	}
}

func TestSpawnHasTheEnvironmentAndThePlaceThatWereNamed(t *testing.T) {
	s := open(t)
	c := &proactor.Command{Path: "/usr/bin/env", Args: []string{"env"}, Env: []string{"A=b c"}, Pipes: []proactor.ChildPipe{{FD: 1}}}
	child, pipes := spawned(t, s, c)
	if got := output(t, s, pipes[0]); got != "A=b c\n" {
		t.Errorf("environment %q", got)
	}
	ended(t, s, child)
	c = sh("pwd; ps -o sid= -p $$ || true")
	c.Dir, c.Setsid, c.Pipes = "/", true, []proactor.ChildPipe{{FD: 1}}
	child, pipes = spawned(t, s, c)
	pid, err := s.ProcessID(child)
	if err != nil {
		t.Fatal(err)
	}
	if sid, err := unix.Getsid(pid); err != nil || sid != pid {
		t.Errorf("session %d, %v; want %d", sid, err, pid)
	}
	if got := output(t, s, pipes[0]); !strings.HasPrefix(got, "/\n") {
		t.Errorf("directory %q", got)
	}
	ended(t, s, child)
}

func TestSpawnOnATerminal(t *testing.T) {
	s := open(t)
	c := sh("test -t 0 && test -t 1 && test -t 2 && echo yes > /dev/tty")
	c.PTY = true
	child, pipes, err := s.Spawn(c)
	if err != nil {
		testenv.Missing(t, "no pseudo-terminals: %v", err)
	}
	if got := output(t, s, pipes[0]); got != "yes\r\n" {
		t.Errorf("on the terminal: %q", got)
	}
	if ws := ended(t, s, child); ws.ExitStatus() != 0 {
		t.Errorf("status %#x", ws)
	}
}

func TestSignalReachesTheChild(t *testing.T) {
	s := open(t)
	child, _ := spawned(t, s, sh("sleep 100"))
	if err := s.Signal(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if ws := ended(t, s, child); !ws.Signaled() || ws.Signal() != syscall.SIGKILL {
		t.Errorf("status %#x", ws)
	}
}

func TestSpawnAsAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		testenv.Missing(t, "only root may become another user")
	}
	s := open(t)
	c := sh("id -u; id -g; id -G")
	c.User, c.Pipes = &proactor.User{UID: 12, GID: 34}, []proactor.ChildPipe{{FD: 1}}
	child, pipes := spawned(t, s, c)
	if got := output(t, s, pipes[0]); got != "12\n34\n34\n" {
		t.Errorf("%q", got)
	}
	ended(t, s, child)
}

func TestASpawnThatFailsLeavesNothing(t *testing.T) {
	testenv.Leaks(t)
	s := open(t)
	pipes := []proactor.ChildPipe{{FD: 0, Write: true}, {FD: 1}}
	for what, c := range map[string]*proactor.Command{
		"ENOENT":  {Path: "/nowhere/nothing", Pipes: pipes},
		"EACCES":  {Path: "/etc/passwd", Pipes: pipes},
		"ENOTDIR": {Path: "/bin/sh", Dir: "/etc/passwd", Pipes: pipes},
		"EBADF":   {Path: "/bin/sh", Pipes: pipes, Files: []proactor.ChildFile{{FD: 2, Parent: 99999}}},
		"EINVAL":  {Path: "/bin/sh", Pipes: append(pipes, proactor.ChildPipe{FD: 1})},
		"einval":  {Path: "/bin/sh", Pipes: append(pipes, proactor.ChildPipe{FD: 1 << 20})},
	} {
		_, _, err := s.Spawn(c)
		var e unix.Errno
		if !errors.As(err, &e) || unix.ErrnoName(e) != strings.ToUpper(what) {
			t.Errorf("want %s: %v", what, err)
		}
	}
	if s.Handles() != 0 {
		t.Errorf("%d handles", s.Handles())
	}
}

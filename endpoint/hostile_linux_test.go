//go:build linux

package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
	"mobius/loop"
)

// eachReactor runs f with a reactor that runs on each backend.
func eachReactor(t *testing.T, f func(t *testing.T, r *mobius.Reactor)) {
	for _, name := range []string{"uring", "epoll", "netpoll"} {
		t.Run(name, func(t *testing.T) {
			testenv.Leaks(t)
			r, err := mobius.New(mobius.Options{Backend: name})
			if err != nil {
				testenv.Missing(t, "%s: %v", name, err)
			}
			ran, running := make(chan error, 1), make(chan struct{})
			if err := r.CallWhenRunning(func() { close(running) }); err != nil {
				t.Fatal(err)
			}
			go func() { ran <- r.Run(context.Background()) }()
			t.Cleanup(func() {
				_ = r.Shutdown(context.Background()) // Run tells
				if err := <-ran; err != nil {
					t.Error(err)
				}
			})
			<-running // what fails at once needs no loop, and would be over before it runs
			f(t, r)
		})
	}
}

// wait is how long a test waits for a future.
func wait(t *testing.T) context.Context {
	ctx, stop := context.WithTimeout(context.Background(), testenv.Patience())
	t.Cleanup(stop)
	return ctx
}

// What is behind a description's number may be anything: the error names the
// endpoint and the trouble, the descriptor stays, and nothing else is left.
func TestNumbersOfAnything(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		var pipe [2]int
		if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(pipe[0])
		defer syscall.Close(pipe[1])
		names := []mobius.ListenFD{{FD: pipe[0], Name: "pipe"}, {FD: 1 << 20, Name: "closed"}}
		p := NewParser()
		p.Inherited = NewInheritance(names)
		f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return brief{} })
		before := len(testenv.Descriptors())
		for text, want := range map[string]error{
			fmt.Sprint("fd:", pipe[0]):         syscall.ENOTSOCK,
			fmt.Sprint("haproxy:fd:", pipe[1]): syscall.ENOTSOCK,
			fmt.Sprintf("fd:%d:INET", pipe[0]): syscall.ENOTSOCK,
			"fd:2147483647":                    syscall.EBADF,
			"fd:1048576:UNIX":                  syscall.EBADF,
			"systemd:INET6:index=0":            syscall.ENOTSOCK,
			"systemd:name=closed":              syscall.EBADF,
		} {
			server, err := p.Server(r, text)
			if err != nil {
				t.Fatal(err)
			}
			port, err := server.Listen(f).Wait(wait(t))
			if port != nil || !errors.Is(err, want) || !strings.Contains(err.Error(), strings.TrimPrefix(text, "haproxy:")[:3]) {
				t.Errorf("%s: %v, %v; want %v", text, port, err, want)
			}
		}
		if after := len(testenv.Descriptors()); after != before {
			t.Errorf("%d descriptors, before %d", after, before)
		}
		for _, text := range []string{"fd:-1", "fd:2147483648", "fd:99999999999999999999", "fd:0x3", "fd: 3", "fd:", "fd:3:INET:4",
			"systemd:index=-1"} {
			if server, err := p.Server(r, text); err == nil {
				t.Errorf("%q is %v, want an error", text, server)
			}
		}
	})
}

// Standard input has no address that a proxy's network could have, so nobody is
// trusted there.
func TestStandardInputIsNoProxy(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		server, err := ParseServer(r, "haproxy:stdio:")
		if err != nil {
			t.Fatal(err)
		}
		port, err := server.Listen(mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return brief{} })).Wait(wait(t))
		var e *mobius.ConnError
		if port != nil || !errors.As(err, &e) || e.Kind != mobius.Refused {
			t.Errorf("%v, %v; want a refusal", port, err)
		}
	})
}

// An observer notes what a child writes, and how it ends.
type observer struct {
	t     mobius.Transport
	got   bytes.Buffer
	count atomic.Int64
	made  func(mobius.Transport)
	seen  func(o *observer, p []byte)
	lost  chan error
}

func (o *observer) ConnectionMade(t mobius.Transport) {
	o.t = t
	if o.made != nil {
		o.made(t)
	}
}

func (o *observer) DataReceived(p []byte) {
	o.count.Add(int64(len(p)))
	if o.got.Len() < 4096 {
		o.got.Write(p)
	}
	if o.seen != nil {
		o.seen(o, p)
	}
}

// later calls f on the loop when d has passed.
func (o *observer) later(d time.Duration, f func()) { o.t.Loop().Start(&loop.Timer{Func: f}, d) }

func (o *observer) ConnectionLost(err error) { o.lost <- err }

// runs starts a shell, whose connection is o, and returns how it ended.
func runs(t *testing.T, r *mobius.Reactor, script string, o *observer, with mobius.ProcessOptions) error {
	t.Helper()
	o.lost = make(chan error, 1)
	c := ProcessClient{Reactor: r, CloseTimeout: 50 * time.Millisecond, Stderr: DropStderr}
	c.Command.Path, c.Command.Args, c.Command.Options = "/bin/sh", []string{"sh", "-c", script}, with
	if _, err := ConnectProtocol(wait(t), c, o).Wait(wait(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-o.lost:
		return err
	case <-wait(t).Done():
		t.Fatal("the connection does not end")
		return nil
	}
}

// A program that cannot be started leaves nothing.
func TestProgramsThatAreNone(t *testing.T) {
	plain, garbage := filepath.Join(t.TempDir(), "plain"), filepath.Join(t.TempDir(), "garbage")
	for path, mode := range map[string]os.FileMode{plain: 0o644, garbage: 0o755} {
		if err := os.WriteFile(path, []byte("\x00\x01no program"), mode); err != nil {
			t.Fatal(err)
		}
	}
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		before := len(testenv.Descriptors())
		for what, c := range map[string]struct {
			path, dir string
			args      []string
			want      syscall.Errno
		}{
			"absent":            {"/nowhere/nothing", "", nil, syscall.ENOENT},
			"empty":             {"", "", nil, syscall.ENOENT},
			"a folder":          {"/", "", nil, syscall.EACCES},
			"not executable":    {plain, "", nil, syscall.EACCES},
			"of no format":      {garbage, "", nil, syscall.ENOEXEC},
			"below a file":      {plain + "/x", "", nil, syscall.ENOTDIR},
			"with a zero":       {"/bin/sh\x00", "", nil, syscall.EINVAL},
			"a zero's argument": {"/bin/sh", "", []string{"sh", "-c\x00"}, syscall.EINVAL},
			"in no directory":   {"/bin/sh", "/nowhere", nil, syscall.ENOENT},
			"too many words":    {"/bin/sh", "", []string{"sh", strings.Repeat("x", 4<<20)}, syscall.E2BIG},
		} {
			client := ProcessClient{Reactor: r}
			client.Command.Path, client.Command.Dir, client.Command.Args = c.path, c.dir, c.args
			p, err := ConnectProtocol(wait(t), client, &observer{}).Wait(wait(t))
			var e *mobius.ConnError
			if p != nil || !errors.Is(err, c.want) || !errors.As(err, &e) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("%s: %v, %v; want %v", what, p, err, c.want)
			}
		}
		if after := len(testenv.Descriptors()); after != before {
			t.Errorf("%d descriptors, before %d", after, before)
		}
	})
}

// A child that closes its standard input at once refuses writes, and goes on;
// what it says afterwards arrives.
func TestChildThatClosesItsInput(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		var written error
		o := &observer{}
		o.made = func(tr mobius.Transport) { _, _ = tr.Write(make([]byte, 300<<10)) } // more than a pipe takes
		o.seen = func(o *observer, _ []byte) {
			o.later(50*time.Millisecond, func() { _, written = o.t.Write([]byte("x")) })
		}
		err := runs(t, r, "exec 0<&-; echo closed; sleep 0.2; echo done", o, mobius.ProcessOptions{})
		var e *mobius.ConnError
		if !errors.As(err, &e) || e.Kind != mobius.Done || o.got.String() != "closed\ndone\n" {
			t.Errorf("%q, ended with %v", o.got.String(), err)
		}
		if written == nil {
			t.Error("a write to the closed input was taken")
		}
	})
}

// A child writes without an end: what arrives is all its own, a pause stops it,
// and an abort ends it.
func TestChildThatWritesWithoutEnd(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		const enough = 64 << 20
		o, paused := &observer{}, int64(0)
		o.seen = func(o *observer, p []byte) {
			switch {
			case len(bytes.Trim(p, "y\n")) > 0:
				o.t.CloseWithError(fmt.Errorf("it wrote %q", p))
			case paused == 0 && o.count.Load() >= enough:
				paused = o.count.Load()
				o.t.PauseReading()
				o.later(50*time.Millisecond, func() {
					if n := o.count.Load(); n != paused {
						t.Errorf("%d bytes during the pause", n-paused)
					}
					o.t.AbortConnection()
				})
			}
		}
		err := runs(t, r, "exec yes", o, mobius.ProcessOptions{})
		var e *mobius.ConnError
		if !errors.As(err, &e) || e.Kind != mobius.Aborted {
			t.Errorf("it ended with %v after %d bytes", err, o.count.Load())
		}
	})
}

// A child that ignores SIGTERM and its pipes' end is waited for, and an abort kills it.
func TestChildThatIgnoresSIGTERM(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		o := &observer{}
		o.seen = func(o *observer, _ []byte) {
			pid, err := strconv.Atoi(strings.TrimSpace(o.got.String()))
			if err == nil {
				err = syscall.Kill(pid, syscall.SIGTERM)
			}
			if err != nil {
				t.Error(err)
			}
			o.t.LoseConnection()
			o.later(150*time.Millisecond, func() {
				if err := syscall.Kill(pid, 0); err != nil {
					t.Errorf("it has not ignored it: %v", err)
				}
				o.t.AbortConnection()
			})
		}
		err := runs(t, r, "trap '' TERM; echo $$; exec sleep 1000", o, mobius.ProcessOptions{})
		var e *mobius.ConnError
		if !errors.As(err, &e) || e.Kind == mobius.Done {
			t.Errorf("it ended with %v", err)
		}
	})
}

// A grandchild holds the pipes: Grace bounds that.
func TestGrandchildThatHoldsThePipes(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) {
		o := &observer{}
		err := runs(t, r, "sleep 1000 & echo $!", o, mobius.ProcessOptions{Grace: 50 * time.Millisecond})
		pid, bad := strconv.Atoi(strings.TrimSpace(o.got.String()))
		if bad != nil {
			t.Fatal(bad)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil { // it was there all the time
			t.Error(err)
		}
		var e *mobius.ConnError
		if !errors.As(err, &e) || e.Kind != mobius.Done {
			t.Errorf("it ended with %v", err)
		}
	})
}

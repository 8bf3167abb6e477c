package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// patience bounds every wait of a test.
const patience = 20 * time.Second

// program is the built command.
var program string

func TestMain(m *testing.M) {
	playForbidden()
	keepDescriptors()
	os.Exit(withProgram(m.Run))
}

// keepDescriptors has the programs that tests start not inherit what whoever runs the tests
// has left open: some of them may have few.
func keepDescriptors() {
	for number := range testenv.Descriptors() {
		if fd, err := strconv.Atoi(number); err == nil && fd > 2 {
			syscall.CloseOnExec(fd)
		}
	}
}

func withProgram(run func() int) int {
	dir, err := os.MkdirTemp("", "mobius")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "mobius")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		panic(fmt.Sprintf("go build: %v\n%s", err, out))
	}
	return run()
}

// backends are those that a flag may force here: those that probe can open.
func backends(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, name := range []string{"uring", "epoll", "kqueue"} {
		r, err := newReactor(&reactorFlags{backend: name, loops: 1}, io.Discard)
		if err == nil {
			names = append(names, name)
			r.Close()
		}
	}
	if len(names) == 0 {
		t.Fatal("no backend can be opened")
	}
	return names
}

// A process is a running mobius.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	done  chan struct{} // closed when it has ended, and status is known
	mu    sync.Mutex
	lines []string
	err   bytes.Buffer
}

// start starts mobius and waits until it listens.
func start(t *testing.T, args ...string) *process {
	t.Helper()
	return startCommand(t, exec.Command(program, args...))
}

func startCommand(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, done: make(chan struct{})}
	p.cmd.Stderr = &p.err
	out, err := p.cmd.StdoutPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	go p.read(out)
	t.Cleanup(func() {
		p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("mobius %s printed\n%s\n%s", strings.Join(cmd.Args[1:], " "), strings.Join(p.lines, "\n"), &p.err)
		}
	})
	p.line("listening on ")
	return p
}

func (p *process) read(out io.Reader) {
	for s := bufio.NewScanner(out); s.Scan(); {
		p.mu.Lock()
		p.lines = append(p.lines, s.Text())
		p.mu.Unlock()
	}
	p.cmd.Wait()
	close(p.done)
}

// line waits for a line that begins with prefix, and returns the first word after it.
func (p *process) line(prefix string) string {
	p.t.Helper()
	found := ""
	testenv.Eventually(p.t, patience, "prints "+prefix, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, l := range p.lines {
			if rest, ok := strings.CutPrefix(l, prefix); ok {
				found, _, _ = strings.Cut(rest, " ")
				return true
			}
		}
		return false
	})
	return found
}

// status waits for the process's end and returns its exit status.
func (p *process) status() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("the process did not end")
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// dial connects to where the process says that it listens.
func (p *process) dial() net.Conn {
	p.t.Helper()
	c, err := dialURL(p.line("listening on "))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c
}

func dialURL(url string) (net.Conn, error) {
	network, addr, _ := strings.Cut(url, "://")
	return net.Dial(network, addr)
}

// upstream serves each connection with handle and returns the URL.
func upstream(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(patience))
			all.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() { ln.Close(); all.Wait() })
	return "tcp://" + ln.Addr().String()
}

func echoes(c net.Conn) { io.Copy(c, c) }

// ask sends a text and reads it back.
func ask(c net.Conn, text string) error {
	if _, err := io.WriteString(c, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return fmt.Errorf("got %q back for %q", got, text)
	}
	return nil
}

// isReset reports whether err is what a reset connection answers.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

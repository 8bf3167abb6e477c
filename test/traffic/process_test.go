package traffic

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mobius/internal/testenv"
)

// A process is a server of a test: it is ended, and what it said is shown if
// the test failed, when the test is over.
type process struct {
	cmd  *exec.Cmd
	name string

	mu   sync.Mutex
	said []string      // the output so far, by lines
	new  chan struct{} // closed at the next line
	over chan struct{} // closed at the end of the output
}

// start runs a program until the end of the test.
func start(tb testing.TB, cmd *exec.Cmd, name string) *process {
	tb.Helper()
	p := &process{cmd: cmd, name: name, new: make(chan struct{}), over: make(chan struct{})}
	r, w, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		tb.Fatalf("%s: %v", name, err)
	}
	go p.read(r)
	tb.Cleanup(func() { p.stop(tb) })
	return p
}

func (p *process) read(r io.ReadCloser) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		p.mu.Lock()
		p.said = append(p.said, in.Text())
		close(p.new)
		p.new = make(chan struct{})
		p.mu.Unlock()
	}
	_ = r.Close()
	close(p.over)
}

// stop ends the process politely, then at once, and shows what it said if
// the test has failed.
func (p *process) stop(tb testing.TB) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be over already
	kill := time.AfterFunc(5*time.Second, func() { _ = p.cmd.Process.Kill() })
	<-p.over
	_ = p.cmd.Wait() // the signal's status says nothing
	kill.Stop()
	if tb.Failed() {
		tb.Logf("%s said:\n%s", p.name, strings.Join(p.lines(), "\n"))
	}
}

func (p *process) lines() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said[:len(p.said):len(p.said)]
}

// wait returns what pick finds in the first line in which it finds something.
func (p *process) wait(tb testing.TB, what string, pick func(line string) (string, bool)) string {
	tb.Helper()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	for from := 0; ; {
		p.mu.Lock()
		said, more := p.said, p.new
		p.mu.Unlock()
		for ; from < len(said); from++ {
			if found, ok := pick(said[from]); ok {
				return found
			}
		}
		select {
		case <-more:
		case <-p.over:
			tb.Fatalf("%s ended without saying %s", p.name, what)
		case <-end.C:
			tb.Fatalf("%s has not said %s", p.name, what)
		}
	}
}

// pid returns the process's id.
func (p *process) pid() int { return p.cmd.Process.Pid }

// descriptors returns how many descriptors the process has open.
func (p *process) descriptors(tb testing.TB) int {
	tb.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.pid()))
	if err != nil {
		tb.Fatal(err)
	}
	return len(entries)
}

// status returns a number of the process's /proc status, in KiB if it is memory.
func (p *process) status(tb testing.TB, field string) int {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid()))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			if n, err := strconv.Atoi(strings.Fields(rest)[0]); err == nil {
				return n
			}
		}
	}
	tb.Fatalf("no %s in the status of %s", field, p.name)
	return 0
}

// cpu returns the CPU time that the process has used.
func (p *process) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid()))
	if err != nil {
		tb.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ") // the name may hold spaces
	words := strings.Fields(rest)
	ticks := 0
	for _, w := range words[11:13] { // utime and stime: fields 14 and 15 of proc(5)
		n, err := strconv.Atoi(w)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // USER_HZ is 100 on every Linux of today
}

// freePort returns a TCP port of 127.0.0.1 that nobody listens on.
func freePort(tb testing.TB) int {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port
}

// answers waits until somebody accepts connections at addr.
func answers(tb testing.TB, addr string) {
	tb.Helper()
	testenv.Eventually(tb, 20*time.Second, addr+" accepts connections", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

//go:build linux

package endpoint

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mobius"
	"mobius/internal/testenv"
)

// activated names the backend that a process started by [activate] is to use.
const activated = "MOBIUS_CHILD"

// TestMain lets the test's binary be the service that a manager starts.
func TestMain(m *testing.M) {
	if backend := os.Getenv(activated); backend != "" {
		if err := serveInherited(backend); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// serveInherited listens on "systemd:" sockets, of which one is asked for by name and
// one by index, says so, and returns once standard input ends. The text that
// answers a connection says by which it came.
func serveInherited(backend string) error {
	r, err := mobius.New(mobius.Options{Backend: backend})
	if err != nil {
		return err
	}
	open := testenv.Descriptors()
	handed := []string{open["3"], open["4"]}
	for text, answer := range map[string]string{"systemd:INET:name=web": "name", "systemd:UNIX:index=1": "index"} {
		server, err := ParseServer(r, text)
		if err != nil {
			return err
		}
		f := mobius.FactoryFunc(func(mobius.Address) mobius.Protocol { return greeter(answer) })
		if err := r.CallWhenRunning(func() {
			server.Listen(f).Then(func(_ Port, err error) {
				fmt.Println("listens", answer, err)
			})
		}); err != nil {
			return err
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = r.Shutdown(context.Background())
	}()
	if err := r.Run(context.Background()); err != nil {
		return err
	}
	var left []string
	for fd, file := range testenv.Descriptors() {
		if slices.Contains(handed, file) {
			left = append(left, fd)
		}
	}
	fmt.Println("left", left)
	return nil
}

// A greeter says its text to whoever comes, and goes.
type greeter string

func (g greeter) ConnectionMade(t mobius.Transport) {
	_, _ = t.Write([]byte(g))
	t.LoseConnection()
}
func (greeter) DataReceived([]byte)  {}
func (greeter) ConnectionLost(error) {}

// A service manager listens, starts the service with its sockets from number 3 on and
// with its own number in LISTEN_PID, and the service serves on them
// (sd_listen_fds(3)). A shell plays the part of the manager's last step before
// execve(2), where the number is known.
func TestServiceThatAManagerStarts(t *testing.T) {
	eachReactor(t, func(t *testing.T, r *mobius.Reactor) { // whose kernel has what the service needs
		web, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer web.Close()
		control, err := net.Listen("unix", filepath.Join(t.TempDir(), "control"))
		if err != nil {
			t.Fatal(err)
		}
		defer control.Close()
		out := activate(t, r.Backend().Name, web, control)
		for l, want := range map[net.Listener]string{web: "name", control: "index"} {
			c, err := net.Dial(l.Addr().Network(), l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(testenv.Patience()))
			got, err := io.ReadAll(c)
			if string(got) != want || err != nil {
				t.Errorf("%v answers %q, %v; want %q", l.Addr(), got, err, want)
			}
			c.Close()
		}
		if got := out(); !strings.Contains(got, "listens name <nil>\n") || !strings.Contains(got, "listens index <nil>\n") ||
			!strings.HasSuffix(got, "left []\n") {
			t.Errorf("the service says %q", got)
		}
	})
}

// activate starts the service with listeners; out ends it, and returns what it said.
func activate(t *testing.T, backend string, listeners ...net.Listener) (out func() string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, self)
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=web:control", activated+"="+backend)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	for _, l := range listeners {
		f, err := l.(interface{ File() (*os.File, error) }).File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close() })
	return func() string {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the service ends with %v: %s", err, said.String())
		}
		return said.String()
	}
}

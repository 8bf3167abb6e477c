//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// forbidden, in the environment of this test binary, makes it a mobius to
// which io_uring_setup answers with the error of that number.
const forbidden = "MOBIUS_TEST_FORBIDDEN"

// playForbidden, if it is told so, installs a seccomp filter (seccomp(2)) and
// becomes the program.
func playForbidden() {
	var path string
	var errno uint32
	if _, err := fmt.Sscan(os.Getenv(forbidden), &errno, &path); err != nil {
		return
	}
	runtime.LockOSThread()
	const (
		loadNumber = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		jumpEqual  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		answer     = unix.BPF_RET
	)
	filter := []unix.SockFilter{
		{Code: loadNumber},
		{Code: jumpEqual, K: unix.SYS_IO_URING_SETUP, Jf: 1},
		{Code: answer, K: unix.SECCOMP_RET_ERRNO | errno},
		{Code: answer, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		panic(err)
	}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		panic(err)
	}
	panic(syscall.Exec(path, append([]string{"mobius"}, os.Args[1:]...), nil))
}

// forbid returns a command that runs mobius where the kernel refuses io_uring.
func forbid(errno syscall.Errno, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = []string{fmt.Sprintf("%s=%d %s", forbidden, errno, program)}
	return cmd
}

// Where the kernel refuses io_uring, auto means epoll, one line says why, the
// status tells, and the work is done; by name it is an error.
func TestWhereIOUringIsForbidden(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOSYS} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			p := startCommand(t, forbid(errno, "proxy", "--listen", anyPort, "--to", upstream(t, echoes),
				"--status", "127.0.0.1:0", "--loops", "2"))
			if err := ask(p.dial(), "hello"); err != nil {
				t.Error(err)
			}
			if b := status(t, p).Backend; b.Name != "epoll" || !strings.Contains(b.Why, "io_uring") || b.Loops != 2 {
				t.Errorf("the status says of the backend %+v", b)
			}
			p.signal(syscall.SIGKILL)
			p.status()
			if log := p.err.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "io_uring") {
				t.Errorf("stderr is %q, want one line that says why", log)
			}
			out, err := forbid(errno, "echo", "--listen", anyPort, "--backend", "uring").CombinedOutput()
			if exit, ok := err.(*exec.ExitError); !ok || exit.ExitCode() != exitUsage || strings.Count(string(out), "\n") != 1 {
				t.Errorf("--backend uring: %v, %q; want status 2 and one line", err, out)
			}
			out, err = forbid(errno, "probe", "--json").Output()
			var report probeReport
			if jerr := json.Unmarshal(out, &report); err != nil || jerr != nil || report.Backend.Name != "epoll" ||
				!strings.Contains(report.Backend.Why, "io_uring") {
				t.Errorf("probe: %v, %v, %s", err, jerr, out)
			}
		})
	}
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
	"mobius/proactor"
)

// refusals are the errors at the start that mean: use another backend.
var refusals = []syscall.Errno{unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EINVAL, unix.ENOMEM}

func TestRefusalsAreUnavailableAndSayWhy(t *testing.T) {
	testenv.Leaks(t)
	for _, call := range []string{"setup", "register", "enter"} {
		for _, errno := range refusals {
			b, err := Open(Options{inject: func(c string, _ uint32) syscall.Errno {
				if c == call {
					return errno
				}
				return 0
			}})
			if err == nil {
				_ = b.Close()
				t.Errorf("%s answers %v, and Open succeeds", call, errno)
				continue
			}
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, errno) {
				t.Errorf("%s answers %v: %v", call, errno, err)
			}
		}
	}
}

// Whichever call it is that fails, once: Open does without, or says so, and
// leaves nothing behind.
func TestEveryCallOfOpenMayFail(t *testing.T) {
	testenv.Leaks(t)
	for _, errno := range append([]syscall.Errno{unix.EMFILE}, refusals...) {
		for nth := 1; ; nth++ {
			calls, opened := 0, false
			b, err := Open(Options{inject: func(string, uint32) syscall.Errno {
				if opened {
					return 0
				}
				if calls++; calls == nth {
					return errno
				}
				return 0
			}})
			opened = true
			switch {
			case err == nil:
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
			case !errors.Is(err, errno):
				t.Fatalf("call %d answers %v: %v", nth, errno, err)
			case errors.Is(err, ErrUnavailable) != (errno != unix.EMFILE):
				t.Fatalf("call %d answers %v: %v", nth, errno, err)
			}
			if calls < nth {
				if nth < 10 {
					t.Errorf("Open makes %d calls only", calls)
				}
				break
			}
		}
	}
}

func TestFirstPollMayBeRefused(t *testing.T) {
	b := openTest(t, Options{inject: func(call string, op uint32) syscall.Errno {
		if call == "register" && op == IORING_REGISTER_ENABLE_RINGS {
			return unix.EPERM
		}
		return 0
	}})
	for range 2 {
		if err := b.Poll(0); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Poll: %v", err)
		}
	}
}

// seccompCases are filters: which of io_uring_setup, enter and register they
// deny, and with what.
var seccompCases = []struct {
	name   string
	denied []uint32
	errno  syscall.Errno
}{
	{"all-EPERM", []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}, unix.EPERM},
	{"all-ENOSYS", []uint32{unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}, unix.ENOSYS},
	{"setup-only-EPERM", []uint32{unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}, unix.EPERM},
	{"setup-only-EACCES", []uint32{unix.SYS_IO_URING_ENTER, unix.SYS_IO_URING_REGISTER}, unix.EACCES},
	{"no-enter-EPERM", []uint32{unix.SYS_IO_URING_ENTER}, unix.EPERM},
	{"no-register-ENOSYS", []uint32{unix.SYS_IO_URING_REGISTER}, unix.ENOSYS},
}

const seccompVariable = "URING_SECCOMP_CASE"

// TestSeccomp runs Open in a child process under a real filter.
func TestSeccomp(t *testing.T) {
	if name := os.Getenv(seccompVariable); name != "" {
		seccompChild(t, name)
		return
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range seccompCases {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command(exe, "-test.run=^TestSeccomp$", "-test.v")
			cmd.Env = append(os.Environ(), seccompVariable+"="+c.name)
			out, err := cmd.CombinedOutput()
			if err != nil || !strings.Contains(string(out), "refused: ") {
				t.Fatalf("%v\n%s", err, out)
			}
			if c.errno == unix.EPERM && !strings.Contains(string(out), "seccomp") {
				t.Errorf("the error does not name seccomp:\n%s", out)
			}
		})
	}
}

func seccompChild(t *testing.T, name string) {
	for _, c := range seccompCases {
		if c.name == name {
			testenv.Leaks(t)
			filter(t, c.denied, c.errno)
			b, err := Open(Options{})
			if err == nil {
				_ = b.Close()
				t.Fatal("Open succeeds")
			}
			if !errors.Is(err, ErrUnavailable) || !errors.Is(err, c.errno) {
				t.Fatalf("Open: %v", err)
			}
			if r := Probe(); r.Available || r.Why == "" {
				t.Fatalf("Probe: %+v", r)
			}
			fmt.Println("refused:", err)
		}
	}
}

// filter installs a seccomp filter on every thread of this process.
func filter(t *testing.T, denied []uint32, errno syscall.Errno) {
	t.Helper()
	prog := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}} // seccomp_data.nr
	for i, nr := range denied {
		prog = append(prog, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: uint8(len(denied) - i)})
	}
	const retErrno, retAllow = 0x00050000, 0x7fff0000
	prog = append(prog, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retAllow},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: retErrno | uint32(errno)})
	f := unix.SockFprog{Len: uint16(len(prog)), Filter: &prog[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	const setModeFilter, tsync = 1, 1
	if _, _, e := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, tsync, uintptr(unsafe.Pointer(&f))); e != 0 {
		testenv.Missing(t, "seccomp: %v", e)
	}
}

// memory returns the size of the address space in KiB, and how many mappings
// of rings are in it.
func memory(t *testing.T) (size, rings int) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmSize:")
	if _, err := fmt.Sscan(rest, &size); err != nil {
		t.Fatal(err)
	}
	return size, strings.Count(string(maps), "io_uring")
}

func TestThousandOpeningsLeaveNothing(t *testing.T) {
	testenv.Leaks(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	n := 1000
	if testing.Short() {
		n = 100
	}
	before, _ := memory(t)
	for i := range n {
		b, err := Open(Options{})
		if err != nil {
			t.Fatalf("opening %d: %v", i, err)
		}
		if i%2 == 0 { // half of them come to life, with an op that never ends
			serve(t, b)
			if err := b.Poll(0); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	after, rings := memory(t)
	if rings != 0 || after > before+512<<10 {
		t.Errorf("%d mappings of rings; %d MiB of address space, were %d", rings, after>>10, before>>10)
	}
}

// restricted opens a backend whose ring allows the given operations only, with
// an accept that has been submitted.
func restricted(t *testing.T, o Options, ops ...uint8) (*Backend, *denied) {
	t.Helper()
	o.Unrestricted, o.Without = true, []Feature{RegisteredRing}
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	list := []Restriction{{Opcode: IORING_RESTRICTION_REGISTER_OP, Allow: IORING_UNREGISTER_PBUF_RING}}
	for _, op := range ops {
		list = append(list, Restriction{Opcode: IORING_RESTRICTION_SQE_OP, Allow: op})
	}
	if err := b.ring.Restrict(list); err != nil {
		t.Fatal(err)
	}
	h, _, err := b.Listen(localhost, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &denied{op: proactor.Op{Kind: proactor.OpAccept, Handle: h}}
	d.op.Owner = d
	b.Submit(&d.op)
	return b, d
}

// An operation that the allow-list lacks is an error of the op's.
func TestDeniedOperationIsAnError(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, d := restricted(t, Options{}, IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL)
	until(t, b, "accept ends", func() bool { return d.err != nil })
	if !errors.Is(d.err, unix.EACCES) {
		t.Errorf("accept ends with %v, want EACCES", d.err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// A kernel that does not let go (here: it may not be asked to) makes Close say
// so, in time, and keeps the memory that it might still write to.
func TestCloseGivesUpInTime(t *testing.T) {
	testenv.Leaks(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	b, _ := restricted(t, Options{CloseTimeout: 50 * time.Millisecond}, IORING_OP_POLL_ADD, IORING_OP_ACCEPT)
	if err := b.Poll(0); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	err := b.Close()
	if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "stays mapped") || took > 30*time.Second {
		t.Errorf("Close answers %v after %v", err, took)
	}
	b.pools[0].memory[0] = 1 // it is still there
	if err := b.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

type denied struct {
	op  proactor.Op
	err error
}

func (d *denied) Complete(op *proactor.Op) { d.err = op.Err }

func TestProbeAgreesWithOpen(t *testing.T) {
	r := Probe()
	b, err := Open(Options{})
	if r.Available != (err == nil) {
		t.Fatalf("Probe says %v, Open %v", r.Available, err)
	}
	if err != nil {
		return
	}
	defer b.Close()
	if fmt.Sprint(r.Choices) != fmt.Sprint(b.Choice()) || r.Buffers == "" || len(r.Choices) != len(Features()) {
		t.Errorf("Probe chooses %v (%q)\nOpen %v", r.Choices, r.Buffers, b.Choice())
	}
}

func TestWithoutMasks(t *testing.T) {
	for _, f := range Features() {
		b, err := Open(Options{Without: []Feature{f}})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range b.Choice() {
			if c.Used && c.Feature == f || !c.Used && c.Why == "" {
				t.Errorf("without %s: %+v", f, c)
			}
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// An Open that fails early once closed standard input: what it had not yet
// opened had the number 0.
func TestAFailedOpenClosesNothingElse(t *testing.T) {
	var before, after unix.Stat_t
	if err := unix.Fstat(0, &before); err != nil {
		t.Fatal(err)
	}
	for nth, calls := 1, 1; calls >= nth; nth++ {
		calls = 0
		b, err := Open(Options{inject: func(string, uint32) syscall.Errno {
			if calls++; calls == nth {
				return unix.EPERM
			}
			return 0
		}})
		if err == nil {
			_ = b.Close()
		}
		if err := unix.Fstat(0, &after); err != nil || after.Ino != before.Ino || after.Rdev != before.Rdev {
			t.Fatalf("call %d fails, and standard input is another: %v", nth, err)
		}
	}
}

// Where the sysctl forbids io_uring, Open and Probe name it. (test/guest/run has a
// kernel of its own, and sets it there.)
func TestForbiddenBySysctl(t *testing.T) {
	value, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	if err != nil || strings.TrimSpace(string(value)) != "2" {
		t.Skipf("kernel.io_uring_disabled is %q here (%v), not 2", value, err)
	}
	testenv.Leaks(t)
	for range 100 {
		b, err := Open(Options{})
		if err == nil {
			_ = b.Close()
			t.Fatal("Open succeeds")
		}
		if !errors.Is(err, ErrUnavailable) || !errors.Is(err, unix.EPERM) ||
			!strings.Contains(err.Error(), "kernel.io_uring_disabled is 2") {
			t.Fatalf("Open: %v", err)
		}
	}
	if r := Probe(); r.Available || !strings.Contains(r.Why, "io_uring_disabled") {
		t.Errorf("Probe: %+v", r)
	}
}

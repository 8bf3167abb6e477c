//go:build linux

package twisted

import (
	"context"
	"runtime"
	"testing"
	"unsafe"

	sys "golang.org/x/sys/unix"

	"mobius"
	"mobius/internal/testenv"
)

// The best backend is taken; where the kernel refuses it, the next best.
func TestCase32DefaultBackend(t *testing.T) {
	testenv.Leaks(t)
	if got := defaultBackend(t, nil); got != "uring" {
		testenv.Missing(t, "io_uring: auto is %s", got)
	}
	if got := defaultBackend(t, refuseRings); got != "epoll" {
		t.Errorf("without io_uring the default is %q, want epoll", got)
	}
}

// defaultBackend returns what a reactor without options runs on, made on a
// thread of its own, which ends with the test.
func defaultBackend(t *testing.T, prepare func() error) string {
	t.Helper()
	name := make(chan string, 1)
	go func() {
		defer close(name)
		runtime.LockOSThread() // for ever: the thread is spoilt
		if prepare != nil {
			if err := prepare(); err != nil {
				t.Error(err)
				return
			}
		}
		r, err := mobius.New(mobius.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		when(t, r, func() { stop(t, r) })
		if err := r.Run(context.Background()); err != nil {
			t.Error(err)
		}
		name <- r.Backend().Name
	}()
	return <-name
}

// refuseRings has the calling thread's io_uring_setup(2) fail with EPERM
// (seccomp(2)), as container runtimes do.
func refuseRings() error {
	const (
		loadNumber = sys.BPF_LD | sys.BPF_W | sys.BPF_ABS
		jumpEqual  = sys.BPF_JMP | sys.BPF_JEQ | sys.BPF_K
		answer     = sys.BPF_RET
	)
	filter := []sys.SockFilter{
		{Code: loadNumber},
		{Code: jumpEqual, K: sys.SYS_IO_URING_SETUP, Jf: 1},
		{Code: answer, K: sys.SECCOMP_RET_ERRNO | uint32(sys.EPERM)},
		{Code: answer, K: sys.SECCOMP_RET_ALLOW},
	}
	program := sys.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := sys.Prctl(sys.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return sys.Prctl(sys.PR_SET_SECCOMP, sys.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0)
}

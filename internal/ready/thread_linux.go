//go:build linux

package ready

import "golang.org/x/sys/unix"

// A thread is the id of the thread that owns a backend, 0 before there is one.
type thread int

// mine makes the calling thread the owner if there is none, and reports
// whether it is.
func (t *thread) mine() bool {
	me, _, _ := unix.RawSyscall(unix.SYS_GETTID, 0, 0, 0)
	if *t == 0 {
		*t = thread(me)
	}
	return *t == thread(me)
}

// others reports whether there is an owner, and the caller is not it.
func (t *thread) others() bool { return *t != 0 && !t.mine() }

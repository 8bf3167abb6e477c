//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package ready

// A thread would be the id of the thread that owns a backend, but package
// unix has none on these systems: every thread is taken for the owner.
type thread struct{}

func (*thread) mine() bool { return true }

func (*thread) others() bool { return false }

package proactor

// An Affinity is what a backend's first Poll binds it to.
type Affinity uint8

const (
	// OneThread: Poll, and Close after it, are for the first Poll's thread, to
	// which the goroutine must stay locked (runtime.LockOSThread). So it is
	// where the kernel counts by threads (IORING_SETUP_SINGLE_ISSUER,
	// io_uring_setup(2)), or where Poll waits in a system call, which keeps the
	// thread anyway.
	OneThread Affinity = iota

	// OneGoroutine: the first Poll's goroutine may move from thread to thread,
	// and those on which it was may end. It should not be locked: Poll waits as
	// a read of a net.Conn does, without a thread.
	OneGoroutine
)

// String returns "one thread" or "one goroutine".
func (a Affinity) String() string { return [...]string{"one thread", "one goroutine"}[a] }

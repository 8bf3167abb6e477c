//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package backendtest

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// interrupt sends a signal that does nothing to the process.
func interrupt(pid, _ int) {
	unix.Kill(pid, unix.SIGURG)
	runtime.Gosched()
}

//go:build linux

package sys

import (
	"os"

	"golang.org/x/sys/unix"
)

// await waits for c in the runtime's poller, which a pidfd tells of its end
// (pidfd_open(2)). The number is c's until it is reaped, so a pidfd of our own
// is as good as the one that is closed.
func (c *child) await() {
	fd, err := unix.PidfdOpen(c.pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		c.block() // there is no descriptor left, for example
		return
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	defer f.Close()
	ended := false
	raw, err := f.SyscallConn()
	if err == nil {
		err = raw.Read(func(uintptr) bool {
			_, ended, _ = c.reap()
			return ended
		})
	}
	if err != nil && !ended {
		c.block()
	}
}

//go:build linux || darwin || dragonfly || freebsd || netbsd || openbsd

package sys

import "golang.org/x/sys/unix"

// A child whose handle is closed before Reap has said that it ended is nobody's
// any more, and would be a zombie from its end to that of this process (wait(2)).
// So somebody waits for it who needs no loop: a goroutine for each, and no
// handler of SIGCHLD.

// leave sees to c's end; what becomes of it nobody hears.
func (c *child) leave() {
	if _, ended, _ := c.reap(); !ended {
		go c.await()
	}
}

// block waits for c in wait4(2), which costs a thread for as long.
func (c *child) block() {
	for {
		if _, err := unix.Wait4(c.pid, nil, 0, nil); err != unix.EINTR {
			return // ECHILD: somebody else has waited for it
		}
	}
}

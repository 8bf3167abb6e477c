//go:build linux

package backendtest

import "golang.org/x/sys/unix"

// interrupt sends a signal that does nothing to one thread.
func interrupt(pid, thread int) { unix.Tgkill(pid, thread, unix.SIGURG) }

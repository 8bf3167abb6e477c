//go:build linux

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// ownCPU returns what this process has spent, in user mode and in the kernel.
func ownCPU() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// Monotonic returns the time of CLOCK_MONOTONIC, which all processes share.
func Monotonic() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

//go:build linux

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// OwnCPU returns what this process has spent, in user mode and in the kernel.
func OwnCPU() time.Duration { return clock(unix.CLOCK_PROCESS_CPUTIME_ID) }

// Monotonic returns the time of CLOCK_MONOTONIC, which all processes share.
func Monotonic() time.Duration { return clock(unix.CLOCK_MONOTONIC) }

// clock returns what a clock says (clock_gettime(2)), 0 if there is none.
func clock(id int32) time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(id, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

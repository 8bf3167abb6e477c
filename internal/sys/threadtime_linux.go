//go:build linux

package sys

import (
	"time"

	"golang.org/x/sys/unix"
)

// ThreadTime returns the processor time that the calling thread has taken
// (CLOCK_THREAD_CPUTIME_ID, clock_gettime(2)).
func ThreadTime() time.Duration {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts) != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// ThreadID returns the number of the calling thread (gettid(2)).
func ThreadID() int { return unix.Gettid() }

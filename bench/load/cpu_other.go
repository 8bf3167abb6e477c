//go:build !linux

package load

import "time"

// OwnCPU returns 0: the time is taken on Linux only.
func OwnCPU() time.Duration { return 0 }

// Monotonic returns 0: processes compare their clocks on Linux only.
func Monotonic() time.Duration { return 0 }

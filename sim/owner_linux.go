//go:build linux

package sim

import "syscall"

// thread returns the number of the calling thread; a tenth of the price of the
// goroutine's.
func thread() int { return syscall.Gettid() }

//go:build !linux

package sim

// thread returns 0: the number of the calling thread is not known here.
func thread() int { return 0 }

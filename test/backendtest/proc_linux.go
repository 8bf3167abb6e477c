//go:build linux

package backendtest

import (
	"os"

	"golang.org/x/sys/unix"
)

// thread returns the number of the calling thread.
func thread() int { return unix.Gettid() }

// mappings returns how many mappings of memory have word in their line of
// proc_pid_maps(5).
func mappings(word string) int {
	text, _ := os.ReadFile("/proc/self/maps")
	return countLines(string(text), word)
}

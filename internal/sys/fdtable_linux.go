//go:build linux

package sys

import "golang.org/x/sys/unix"

// An fdTable sees to it that the process's table of descriptors is large
// enough before it is needed.
//
// The kernel doubles the table when a descriptor finds no place in it, and in
// a process of several threads that call waits until no processor can be
// reading the old table (expand_fdtable, synchronize_rcu: about 10 ms). An
// accept that met this stopped its whole loop: a burst of 1,000 connections
// took 20 ms longer than it should. Calls that find a place meanwhile do not wait.
type fdTable struct {
	size int // what the table was last made to hold; 0 if it was left alone
}

// firstTable is what a process with a listener begins with: 32 kB.
const firstTable = 4096

// begin grows the table before there is traffic.
func (t *fdTable) begin() {
	if t.size == 0 && growTable(firstTable) {
		t.size = firstTable
	}
}

// used notes a new descriptor. When a quarter of the table is in use it is
// grown to four times its size on another goroutine: the loop has three
// quarters of it left meanwhile.
func (t *fdTable) used(fd int) {
	if t.size == 0 || fd < t.size/4 {
		return
	}
	t.size *= 4
	go growTable(t.size)
}

// growTable makes the table hold size descriptors, or says that the limit on
// descriptors (RLIMIT_NOFILE) does not allow so many. It uses one for a moment.
func growTable(size int) bool {
	fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, size-1)
	if err != nil {
		return false
	}
	unix.Close(fd)
	return true
}

//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A callCounter counts the system calls of processes, by a counter of perf on
// each thread that there is, inherited by those that come.
type callCounter struct{ fds []int }

// enterEvent is where tracefs tells the number of the tracepoint.
var enterEvent = []string{
	"/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
	"/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
}

// countCalls begins to count. It needs CAP_PERFMON, and tracefs.
func countCalls(t tree) (*callCounter, error) {
	var id uint64
	var errs []error
	for _, path := range enterEvent {
		text, err := os.ReadFile(path)
		if err == nil {
			id, err = strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
		}
		if err == nil {
			break
		}
		errs = append(errs, err)
	}
	if id == 0 {
		return nil, fmt.Errorf("no tracepoint raw_syscalls:sys_enter: %w", errors.Join(errs...))
	}
	for range countTries {
		before := t.threads()
		c, err := openCounters(id, before)
		if err != nil || slices.Equal(before, t.threads()) {
			return c, err
		}
		c.close()
	}
	return nil, errors.New("its threads change all the time")
}

// A thread that has begun meanwhile may have inherited its counter or not, as its parent
// had one by then or not: so it is tried again until none has.
const countTries = 50

// threads returns the threads of all of its processes.
func (t tree) threads() (tids []int) {
	for _, pid := range t {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
		for _, task := range tasks {
			if tid, err := strconv.Atoi(filepath.Base(task)); err == nil {
				tids = append(tids, tid)
			}
		}
	}
	return tids
}

// openCounters returns a counter of the tracepoint for these threads, and those that
// they start.
func openCounters(id uint64, tids []int) (*callCounter, error) {
	c := &callCounter{}
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Bits: unix.PerfBitInherit}
	attr.Size = uint32(unsafe.Sizeof(attr))
	for _, tid := range tids {
		fd, err := unix.PerfEventOpen(&attr, tid, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)
		if err == unix.ESRCH {
			continue // the thread has ended
		}
		if err != nil {
			c.close()
			return nil, os.NewSyscallError("perf_event_open", err)
		}
		c.fds = append(c.fds, fd)
	}
	return c, nil
}

// count returns how many there were.
func (c *callCounter) count() (n uint64, err error) {
	var b [8]byte
	for _, fd := range c.fds {
		if _, err := unix.Read(fd, b[:]); err != nil {
			return 0, os.NewSyscallError("read", err)
		}
		n += binary.NativeEndian.Uint64(b[:])
	}
	return n, nil
}

func (c *callCounter) close() {
	for _, fd := range c.fds {
		unix.Close(fd)
	}
}

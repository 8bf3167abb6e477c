//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
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

// enterEvent is the file of tracefs that has the number of the tracepoint.
const enterEvent = "events/raw_syscalls/sys_enter/id"

// tracepoint returns that number.
func tracepoint() (uint64, error) {
	text, err := os.ReadFile("/sys/kernel/tracing/" + enterEvent)
	if err != nil {
		text, err = os.ReadFile("/sys/kernel/debug/tracing/" + enterEvent)
	}
	if errors.Is(err, fs.ErrNotExist) {
		text, err = readUnmounted("tracefs", enterEvent) // as it is in most containers
	}
	if err != nil {
		return 0, fmt.Errorf("no tracepoint raw_syscalls:sys_enter: %w", err)
	}
	return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
}

// readUnmounted reads a file of a file system that is mounted nowhere, and after it as before:
// fsmount(2) gives a descriptor of a mount without a place.
func readUnmounted(system, path string) ([]byte, error) {
	context, err := unix.Fsopen(system, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return nil, os.NewSyscallError("fsconfig", err)
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY)
	if err != nil {
		return nil, os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(mount)
	fd, err := unix.Openat(mount, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("openat", err)
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	return io.ReadAll(f)
}

// countCalls begins to count. It needs CAP_PERFMON, and tracefs.
func countCalls(t tree) (*callCounter, error) {
	id, err := tracepoint()
	if err != nil {
		return nil, err
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

// count returns how many there were, 0 if nobody counts.
func (c *callCounter) count() (n uint64, err error) {
	if c == nil {
		return 0, nil
	}
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

//go:build linux

package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// family returns a process and its descendants, by /proc/PID/stat of proc(5).
func family(pid int) tree {
	parents := map[int][]int{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range all {
		fields, err := statFields(path)
		if err != nil {
			continue // it has ended
		}
		child, err1 := strconv.Atoi(strings.Split(path, "/")[2])
		parent, err2 := strconv.Atoi(fields[1])
		if errors.Join(err1, err2) == nil {
			parents[parent] = append(parents[parent], child)
		}
	}
	out := tree{pid}
	for i := 0; i < len(out); i++ {
		out = append(out, parents[out[i]]...)
	}
	return out
}

// statFields returns the fields of a stat file from the state on, which is the
// third of proc(5): the name before may hold anything.
func statFields(path string) ([]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("%s: %d fields", path, len(fields))
	}
	return fields, nil
}

// The clocks of another process: MAKE_PROCESS_CPUCLOCK of the kernel's
// posix-timers_types.h, which is what clock_getcpuclockid(3) does.
const (
	clockAll   = 0 // CPUCLOCK_PROF: user and system by ticks
	clockUser  = 1 // CPUCLOCK_VIRT: user by ticks
	clockSched = 2 // CPUCLOCK_SCHED: what the scheduler has counted, in ns
)

func processClock(pid, kind int) (time.Duration, error) {
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|kind), &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// spent returns what a tree's processes have used. One that has ended since is
// missing in it: processes tells how many there were.
func (t tree) spent() usage {
	u := usage{hasClocks: true, hasSwitches: true}
	for _, pid := range t {
		total, err := processClock(pid, clockSched)
		ticks, err1 := processClock(pid, clockAll)
		user, err2 := processClock(pid, clockUser)
		if errors.Join(err, err1, err2) != nil {
			continue
		}
		u.processes++
		u.total, u.user, u.system = u.total+total, u.user+user, u.system+ticks-user
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
		for _, path := range tasks {
			u.addSwitches(path)
		}
	}
	return u
}

func (u *usage) addSwitches(path string) {
	text, err := os.ReadFile(path)
	if err != nil {
		return // the thread has ended
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		if err != nil {
			continue
		}
		switch name {
		case "voluntary_ctxt_switches":
			u.voluntary += n
		case "nonvoluntary_ctxt_switches":
			u.involuntary += n
		}
	}
}

// holds adds what a tree's processes hold: open descriptors, and resident
// memory in bytes. Of several processes, pages that they share count once (PSS).
func (t tree) holds(u *usage) {
	u.hasDescriptors, u.hasSize = true, true
	what := "Rss"
	if len(t) > 1 {
		what = "Pss"
	}
	for _, pid := range t {
		fds, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		u.hasDescriptors = u.hasDescriptors && err == nil
		u.descriptors += uint64(len(fds))
		kib, err := rollup(pid, what)
		u.hasSize = u.hasSize && err == nil
		u.resident += kib << 10
	}
}

// rollup reads one figure of /proc/PID/smaps_rollup, in KiB.
func rollup(pid int, what string) (uint64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); name == what {
			return strconv.ParseUint(strings.Fields(value)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("no %s in smaps_rollup", what)
}

//go:build linux

package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"mobius/bench/result"
)

// userHZ is the unit of /proc/stat: USER_HZ, 100 on all of Linux's
// architectures that Go runs on.
const userHZ = 100

// A load of the whole machine, up to a time.
type machineLoad struct {
	at             time.Time
	busy, stolen   time.Duration // of all processors together
	throttled      uint64        // periods in which the cgroup had to wait
	temperatureHit uint64        // events of processors that became too hot
	known          bool
}

func readMachineLoad() machineLoad {
	m := machineLoad{at: time.Now()}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return m
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return m
	}
	ticks := func(i int) time.Duration {
		n, _ := strconv.ParseInt(fields[i], 10, 64)
		return time.Duration(n) * time.Second / userHZ
	}
	m.busy, m.stolen, m.known = ticks(1)+ticks(2)+ticks(3), ticks(8), true // user, nice, system; steal
	m.throttled = sumOf("/sys/fs/cgroup/cpu.stat", "nr_throttled") + sumOf("/sys/fs/cgroup/cpu/cpu.stat", "nr_throttled")
	hot, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
	for _, path := range hot {
		if text, err := os.ReadFile(path); err == nil {
			n, _ := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
			m.temperatureHit += n
		}
	}
	return m
}

// sumOf returns the value of a line "name value" of a file, 0 if there is none.
func sumOf(path, name string) uint64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == name {
			n, _ := strconv.ParseUint(fields[1], 10, 64)
			return n
		}
	}
	return 0
}

// describeMachine returns processor, memory and kernel.
func describeMachine() result.Machine {
	m := result.Machine{CPU: cpuinfo("model name"), CPUs: len(processors())}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.Memory = uint64(info.Totalram) * uint64(info.Unit)
	}
	if text, err := os.ReadFile("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"); err == nil {
		m.Governor = strings.TrimSpace(string(text))
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		if fields := strings.Fields(string(text)); len(fields) > 0 {
			m.Load = fields[0]
		}
	}
	if strings.Contains(cpuinfo("flags"), "hypervisor") {
		m.Virtual = true
	}
	return m
}

func cpuinfo(name string) string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// disturbance says what of a time was not the measurement's: ours is what its own
// processes have spent in it.
func disturbance(from, to *machineLoad, ours time.Duration, cpus int) string {
	if !from.known || !to.known {
		return ""
	}
	span := to.at.Sub(from.at)
	var out []string
	if stolen := to.stolen - from.stolen; stolen > span*time.Duration(cpus)/100 {
		out = append(out, fmt.Sprintf("%.1f %% of the processors' time stolen", 100*stolen.Seconds()/span.Seconds()/float64(cpus)))
	}
	// Two ticks of each processor are the resolution.
	others := to.busy - from.busy - ours
	if others > span/20 && others > 2*time.Duration(cpus)*time.Second/userHZ {
		out = append(out, fmt.Sprintf("other programs took %.0f %% of a processor", 100*others.Seconds()/span.Seconds()))
	}
	if n := to.throttled - from.throttled; n > 0 {
		out = append(out, fmt.Sprintf("the cgroup was throttled %d times", n))
	}
	if n := to.temperatureHit - from.temperatureHit; n > 0 {
		out = append(out, fmt.Sprintf("a processor was too hot %d times", n))
	}
	return strings.Join(out, ", ")
}

// raiseDescriptors lets this process and those that it starts have as many descriptors as
// they may have at all. (Go's own start does so too, but not for what it starts.)
func raiseDescriptors() {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) == nil {
		l.Cur = l.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l)
	}
}

// descriptorLimit returns how many descriptors a process may have.
func descriptorLimit() uint64 {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return l.Max
}

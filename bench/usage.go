package bench

import "time"

// A tree is a process and its descendants, as they were at one time.
type tree []int

// A usage is what processes have used up to a time.
type usage struct {
	total, user, system     time.Duration // user and system: by ticks, and not the parts of total
	voluntary, involuntary  uint64
	processes               int
	hasClocks, hasSwitches  bool
	descriptors             uint64
	resident                uint64
	hasDescriptors, hasSize bool
}

// cost returns what was used between two readings, and whether it is known.
// The sum is the scheduler's; it is divided in the proportion of the ticks, all
// in user mode if there was none.
func cost(from, to *usage) (user, system time.Duration, ok bool) {
	if !from.hasClocks || !to.hasClocks || from.processes == 0 || from.processes != to.processes {
		return 0, 0, false
	}
	total, ticksUser, ticksSystem := to.total-from.total, to.user-from.user, to.system-from.system
	if ticks := ticksUser + ticksSystem; ticks > 0 {
		system = time.Duration(float64(total) * float64(ticksSystem) / float64(ticks))
	}
	return total - system, system, true
}

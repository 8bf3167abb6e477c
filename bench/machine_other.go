//go:build !linux

package bench

import (
	"runtime"
	"time"

	"mobius/bench/result"
)

type machineLoad struct{}

func readMachineLoad() machineLoad { return machineLoad{} }

func describeMachine() result.Machine { return result.Machine{CPUs: runtime.NumCPU()} }

func disturbance(*machineLoad, *machineLoad, time.Duration, int) string { return "" }

// descriptorLimit returns 0: it is not known.
func descriptorLimit() uint64 { return 0 }

func raiseDescriptors() {}

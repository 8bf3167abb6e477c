package sys

import (
	"runtime"
	"time"
)

// yieldEvery is how long a loop goes on before it yields: less than the 10 ms after
// which Go's sysmon preempts (forcePreemptNS in runtime/proc.go).
const yieldEvery = 8 * time.Millisecond

// A Yielder is for a loop that waits in system calls on a thread of its own. The
// zero value is ready.
type Yielder struct{ at time.Time }

// Yield hands the thread's P to Go's scheduler now and then, and takes it back. It
// is called before a wait, when nothing that anybody waits for is pending.
//
// To sysmon a goroutine that is locked to its thread has run since it was last
// scheduled, whatever it waited for in system calls. After 10 ms of that sysmon takes the P
// away whenever it finds the goroutine in a wait, goes back to looking every 20 µs each
// time, and does so on the processor that the loop works on.
func (y *Yielder) Yield() {
	if time.Since(y.at) >= yieldEvery {
		y.at = time.Now()
		runtime.Gosched()
	}
}

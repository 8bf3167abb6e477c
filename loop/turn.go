package loop

import (
	"runtime/debug"
	"time"
)

// A Phase is a part of a turn.
type Phase uint8

// The phases. Stops is where members are told that the loop ends; Starts and
// Ends are Options.OnStart and OnStop. Threads is none of a turn: it is what was
// run away from the loop, and Triggers what runs within any of them.
const (
	Completions Phase = iota
	Timers
	Calls
	Flushes
	Stops
	Starts
	Ends
	Threads
	Triggers
)

// String returns the phase as it stands in reports.
func (p Phase) String() string {
	return [...]string{
		"a completion", "a timer", "a posted call", "a flush", "a stop", "a start", "an end", "a thread's work", "an event's trigger",
	}[p]
}

// turn runs one turn, whose poll waits for limit at most, unless limit is
// negative.
func (l *Loop) turn(limit time.Duration) {
	l.inTurn = true
	l.flush()
	l.poll(l.wait(limit))
	if l.timers.len() > 0 {
		l.now, l.stale = l.b.Now(), false
		l.due, l.dueSeq = l.now, l.timers.sequence
		l.run(Timers)
	}
	l.stale = true
	if l.calls.take() {
		l.run(Calls)
	}
	l.inTurn = false
}

// flush runs what AtTurnEnd has queued so far.
func (l *Loop) flush() {
	if l.flushes.take() {
		l.stale = true
		l.run(Flushes)
	}
}

// wait returns how long the next poll may wait, as far as other goroutines do
// not matter.
func (l *Loop) wait(limit time.Duration) time.Duration {
	if l.flushes.pending() || l.drained() {
		return 0
	}
	wait := longestPoll
	if limit >= 0 && limit < wait {
		wait = limit
	}
	if t := l.timers.head(); t != nil {
		wait = min(wait, max(0, t.at-l.b.Now()))
	} else if limit < 0 {
		return -1 // a simulated backend then knows that nothing can happen any more
	}
	return wait
}

// Whether a nudge must wake the backend.
const (
	awake  = iota // the loop will look at its queues before it waits
	asleep        // it may be waiting
	woken         // it may be waiting, and was woken
)

// nudge makes the loop look at its queues soon. Any goroutine. Whoever nudges
// has written before, and the loop sets asleep before it reads, so one of the
// two sees the other.
func (l *Loop) nudge() {
	if l.sleep.CompareAndSwap(asleep, woken) {
		l.b.Wake()
	}
}

// awake notes that a callback runs: from here until the next poll there is
// nothing to wake.
func (l *Loop) awake() {
	if l.sleep.Load() != awake {
		l.sleep.Store(awake)
	}
}

func (l *Loop) poll(timeout time.Duration) {
	if timeout != 0 {
		l.sleep.Store(asleep)
		if l.calls.pending() || l.wanted() || l.pauses() {
			l.sleep.Store(awake)
			timeout = 0
		}
	}
	l.stale, l.timeout = true, timeout
	l.dog.beat()
	l.once(Completions)
	l.awake()
}

// run runs a phase to its end: what panics costs its own callback only.
func (l *Loop) run(p Phase) {
	for !l.once(p) {
	}
}

// once runs a phase until it ends, or until a callback panics.
func (l *Loop) once(p Phase) (ended bool) {
	defer func() {
		if !ended {
			l.caught(p, recover())
		}
	}()
	switch p {
	case Completions:
		if err := l.b.Poll(l.timeout); err != nil {
			l.broken = true
			l.fail(err)
		}
	case Timers:
		l.fire()
	case Calls:
		l.drainCalls()
	case Flushes:
		l.drainFlushes()
	case Stops:
		l.tellMembers()
	case Starts:
		if f := l.o.OnStart; f != nil {
			f()
		}
	case Ends:
		if f := l.o.OnStop; f != nil {
			l.o.OnStop = nil
			f()
		}
	}
	return true
}

// caught reports what a callback did. A nil value means runtime.Goexit, since
// panic(nil) has a value of its own (Go 1.21): the deferred calls below this
// one will bring the loop to its end.
func (l *Loop) caught(p Phase, value any) {
	if value != nil {
		l.Report(Trouble{Kind: Panicked, Phase: p, Value: value, Stack: debug.Stack()})
		return
	}
	l.Report(Trouble{Kind: Goexited, Phase: p, Stack: debug.Stack()})
	l.fail(ErrGoexit)
}

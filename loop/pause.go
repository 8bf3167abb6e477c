package loop

// Pause asks the loop to leave Run, or the Iterate under way, after this turn,
// with everything as it is: nobody is told, and whatever happens meanwhile is
// served when the loop is run again, by whichever of the two has run it. Then
// Run's goroutine stays on its thread, which owns the backend. A paused loop is
// to be closed, stopped or run again. Any goroutine; a Stop or a Shutdown is
// stronger.
func (l *Loop) Pause() {
	l.pause.Store(true)
	l.nudge()
}

// pauses reports whether the loop is to pause after this turn.
func (l *Loop) pauses() bool { return l.pause.Load() && state(l.state.Load()) == running }

// paused reports the same, and forgets that a Pause was asked for.
func (l *Loop) paused() bool { return l.pause.Swap(false) && state(l.state.Load()) == running }

// park makes Run return, and waits until it is called again, or until somebody
// wants the loop to end.
func (l *Loop) park() {
	l.state.Store(uint32(parked))
	l.isParked <- struct{}{}
	for state(l.state.Load()) == parked && !l.wanted() {
		<-l.unpark
	}
	if l.state.CompareAndSwap(uint32(parked), uint32(running)) {
		return // to be ended, not to go on
	}
	l.once(Starts)
}

// kick makes a parked loop look at what it is wanted for.
func (l *Loop) kick() {
	select {
	case l.unpark <- struct{}{}:
	default: // it will look anyway
	}
}

package proactor

// A Bell wakes one goroutine that waits for a loop, by way of what the loop itself
// waits in. Where that is Go's network poller, a goroutine that a channel makes
// runnable has another thread started to look for work (an idle P is woken for each);
// one that the poller finds runs on the loop's own thread as soon as the loop waits.
type Bell interface {
	// Take makes the caller the one who waits, until its Wait has returned. It
	// is false if somebody else is, or if a Bell would not be of use: then the
	// caller waits for something else. Any goroutine.
	Take() bool

	// Wait waits for the Ring that belongs to the Take. It also returns when the
	// backend has been closed. The goroutine that has taken it.
	Wait()

	// Ring ends the Wait, also one that has not begun: once for each Take. Any
	// goroutine, and after the backend's Close, too.
	Ring()
}

// A Ringer is a Backend that has a Bell.
type Ringer interface {
	// Bell returns the backend's, always the same. Any goroutine.
	Bell() Bell
}

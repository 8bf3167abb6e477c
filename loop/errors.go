package loop

import "errors"

// Errors of a loop.
var (
	// ErrFull answers Call when Options.Calls calls are waiting already.
	ErrFull = errors.New("the loop's queue of calls is full")

	// ErrStopped answers the use of a loop that is stopping or has stopped, and
	// is what its members are told.
	ErrStopped = errors.New("the loop has stopped")

	// ErrGoexit is what members are told, and what Run returns, when a callback
	// ended the loop's goroutine by runtime.Goexit.
	ErrGoexit = errors.New("a callback ended the loop's goroutine (runtime.Goexit)")

	// ErrRunning answers Run and Iterate of a loop that runs already.
	ErrRunning = errors.New("the loop is running")

	// ErrPaused is what Run and Iterate return when a Pause has ended them.
	ErrPaused = errors.New("the loop has paused")

	// ErrCanceled completes a [Future] whose Cancel was called.
	ErrCanceled = errors.New("canceled")

	// ErrOnLoop answers [Future].Wait on the loop's own goroutine, which would
	// wait for itself.
	ErrOnLoop = errors.New("a wait on the loop's own goroutine would never end")
)

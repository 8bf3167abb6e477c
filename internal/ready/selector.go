package ready

import (
	"time"

	"mobius/proactor"
)

// A Selector reports changes of readiness. All methods but Wake are for the
// loop's goroutine.
type Selector interface {
	// Name returns the backend's name.
	Name() string

	// Affinity returns the backend's: whether Wait keeps its thread.
	Affinity() proactor.Affinity

	// Add watches h, whose index is its descriptor, in both directions,
	// edge-triggered, until the descriptor is closed or removed. What is ready
	// already is reported too. ErrUnwatchable says that the kernel cannot
	// watch such a file.
	Add(h proactor.Handle) error

	// AddChild watches h, a child process of that number, which is Readable when
	// it has ended.
	AddChild(h proactor.Handle, process int) error

	// Remove ends watching h, whose descriptor lives on.
	Remove(h proactor.Handle) error

	// Wait fills events, waiting until there is one, until Wake, or until
	// timeout has passed; for ever if it is negative. It may return early with
	// none.
	Wait(events []Event, timeout time.Duration) (int, error)

	// Wake makes the Wait under way, or else the next, return. Any goroutine,
	// but not once Close has been called.
	Wake()

	// Close frees the selector.
	Close() error
}

// An Event says what may be possible now on a descriptor. Handle is what was
// added, so that an event of a closed descriptor meets no other.
type Event struct {
	Handle proactor.Handle
	Ready  Readiness
}

// Readiness is what an Event reports.
type Readiness uint8

// The changes that a selector reports.
const (
	Readable Readiness = 1 << iota // bytes or connections wait
	Writable                       // there is room, or a connect has ended
	HangUp                         // the peer's end, or an error: it may stand behind bytes, and makes no second edge
	Urgent                         // TCP urgent data: reads stop short of it
)

package kqueue

import "time"

// An Event is struct kevent, both as a change and as a result, with the
// constants below, which differ from system to system.
type Event struct {
	Ident  uint64 // a descriptor; for User any number
	Filter Filter
	Flags  Flags
	Notes  Notes
	Data   int64 // bytes or connections that wait, room; with Failed an errno
}

// A Filter is what part of the kernel an Event is of.
type Filter uint8

// The filters (EVFILT_…).
const (
	Read Filter = iota + 1
	Write
	User // triggered by the program
	Proc // of a process: Ident is its number
)

// Flags are the actions and attributes of an Event (EV_…).
type Flags uint8

// The flags that are used here.
const (
	Add    Flags = 1 << iota // a change: add the event to the queue
	Delete                   // a change: take it out
	Clear                    // once reported, an event is reported again only when something new happens
	EOF                      // a result: this direction has ended; bytes may still wait before the end
	Failed                   // a result: the change at the same Ident and Filter failed with errno Data (EV_ERROR)
)

// Notes are the flags of a filter (NOTE_…).
type Notes uint8

// The notes.
const (
	Trigger Notes = 1 << iota // has a User event happen
	Exit                      // of a Proc event: the process has ended
)

// A System is kevent(2) on one queue.
type System interface {
	// Kevent makes changes, then waits until there are events, or timeout has
	// passed; a negative timeout waits for ever. It returns how many events it
	// has filled in. An error is a syscall.Errno: that of the first change that
	// failed if there is no room in events, or EINTR. Without events it never
	// waits, and may be called from any goroutine.
	Kevent(changes, events []Event, timeout time.Duration) (int, error)

	// HasUser reports whether there is the User filter.
	HasUser() bool

	// Close closes the queue.
	Close() error
}

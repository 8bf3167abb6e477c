package loop

import "fmt"

// A TroubleKind says what happened.
type TroubleKind uint8

// The kinds of trouble.
const (
	Panicked     TroubleKind = iota + 1 // a callback panicked with Value
	Goexited                            // a callback called runtime.Goexit
	Slow                                // a callback has run for Value, a time.Duration, and still does
	Abandoned                           // Value, a number of operations, had not ended when a stop gave up waiting
	AcceptFailed                        // Value, an error, keeps a listener from accepting for now
)

// A Trouble is what a loop reports because it can return it to nobody.
type Trouble struct {
	Kind  TroubleKind
	Phase Phase  // the part of the turn that it happened in
	Loop  string // Options.Name
	Who   string // what it happened in, if that is known: a protocol by its log prefix
	Value any
	Stack []byte // of the loop's goroutine: for Panicked and Goexited from where it happened
}

// String returns the trouble in one line, without the stack.
func (t Trouble) String() string {
	switch t.Kind {
	case Panicked:
		if t.Who != "" {
			return fmt.Sprintf("panic in %s, in %v: %v", t.Who, t.Phase, t.Value)
		}
		return fmt.Sprintf("panic in %v: %v", t.Phase, t.Value)
	case Goexited:
		return fmt.Sprintf("runtime.Goexit in %v: the loop ends", t.Phase)
	case Slow:
		return fmt.Sprintf("a callback has been running for %v", t.Value)
	case AcceptFailed:
		return fmt.Sprintf("a listener rests: %v", t.Value)
	case Abandoned:
		return fmt.Sprintf("%v operations had not ended when the loop stopped", t.Value)
	}
	return fmt.Sprintf("trouble %d in %v: %v", t.Kind, t.Phase, t.Value)
}

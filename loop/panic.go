package loop

import "fmt"

// A PanicError is a panic as an error: the cause of what a callback's panic has
// ended.
type PanicError struct {
	Value any // what was panicked with
}

// Error returns the value that was panicked with.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

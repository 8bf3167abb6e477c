package fake

import (
	"errors"
	"fmt"
)

// ErrMisuse is what a double calls that it must not be asked for.
var ErrMisuse = errors.New("fake: misuse")

// misuse tells fail, or panics.
func misuse(fail func(error), format string, args ...any) {
	err := fmt.Errorf("%w: %s", ErrMisuse, fmt.Sprintf(format, args...))
	if fail == nil {
		panic(err)
	}
	fail(err)
}

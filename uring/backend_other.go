//go:build !linux || !(amd64 || arm64)

package uring

import (
	"fmt"

	"mobius/proactor"
)

// A Backend is of no use on this platform: Open returns none.
type Backend struct{ proactor.Backend }

// Choice returns nothing.
func (b *Backend) Choice() []Choice { return nil }

// Open answers ErrUnavailable.
func Open(Options) (*Backend, error) {
	return nil, fmt.Errorf("%w: it is Linux's, on amd64 and arm64", ErrUnavailable)
}

// Probe reports that there is none.
func Probe() Report {
	const why = "io_uring is Linux's, and used on amd64 and arm64"
	return Report{Why: why, Direct: why}
}

// fakes are tests' of rings.
type fakes struct{}

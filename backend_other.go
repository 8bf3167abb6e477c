//go:build !linux && !darwin && !freebsd && !netbsd && !openbsd && !dragonfly

package mobius

import (
	"errors"

	"mobius/proactor"
)

// platform is how messages name the platform.
const platform = "this platform"

// candidates returns nothing: this platform needs Options.Open.
func candidates() []candidate { return nil }

// withTable is the backend that has Options.Direct: none here.
const withTable = ""

// openTable opens nothing: no backend of this platform has a table of connections.
func openTable(int) (proactor.Backend, error) {
	return nil, errors.New("Options.Direct needs uring, which is Linux's")
}

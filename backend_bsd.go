//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package mobius

import (
	"errors"

	"mobius/kqueue"
	"mobius/proactor"
)

// platform is how messages name the platform.
const platform = "a BSD"

// candidates returns the backends of this platform, the preferred one first.
func candidates() []candidate {
	return []candidate{
		{"kqueue", func() (proactor.Backend, error) { return kqueue.Open(kqueue.Options{}) }, nil},
	}
}

// withTable is the backend that has Options.Direct: none here.
const withTable = ""

// openTable opens nothing: no backend of this platform has a table of connections.
func openTable(int) (proactor.Backend, error) {
	return nil, errors.New("Options.Direct needs uring, which is Linux's")
}

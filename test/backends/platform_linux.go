//go:build linux

package backends

import (
	"mobius/proactor"
	"mobius/uring"
)

func platform() []Backend {
	return []Backend{
		{"uring", func() (proactor.Backend, error) { return uring.Open(uring.Options{}) }},
	}
}

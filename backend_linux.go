//go:build linux

package mobius

import (
	"mobius/epoll"
	"mobius/proactor"
	"mobius/uring"
)

// platform is how messages name the platform.
const platform = "Linux"

// withTable is the backend that has Options.Direct.
const withTable = "uring"

// openTable opens a backend that keeps so many connections in a table of its
// own.
func openTable(size int) (proactor.Backend, error) { return uring.Open(uring.Options{Direct: size}) }

// candidates returns the backends of this platform, the preferred one first.
func candidates() []candidate {
	return []candidate{
		{"uring", func() (proactor.Backend, error) { return uring.Open(uring.Options{}) }, uring.ErrUnavailable},
		{"epoll", func() (proactor.Backend, error) { return epoll.Open(epoll.Options{}) }, nil},
		{"netpoll", func() (proactor.Backend, error) { return epoll.OpenParked(epoll.Options{}) }, nil},
	}
}

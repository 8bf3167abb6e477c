//go:build linux

package mobius

import (
	"mobius/epoll"
	"mobius/proactor"
	"mobius/uring"
)

// platform is how messages name the platform.
const platform = "Linux"

// candidates returns the backends of this platform, the preferred one first.
func candidates() []candidate {
	return []candidate{
		{"uring", func() (proactor.Backend, error) { return uring.Open(uring.Options{}) }, uring.ErrUnavailable},
		{"epoll", func() (proactor.Backend, error) { return epoll.Open(epoll.Options{}) }, nil},
		{"netpoll", func() (proactor.Backend, error) { return epoll.OpenParked(epoll.Options{}) }, nil},
	}
}

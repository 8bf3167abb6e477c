//go:build linux

package backends

import (
	"mobius/epoll"
	"mobius/proactor"
	"mobius/uring"
)

func platform() []Backend {
	return []Backend{
		{"uring", func() (proactor.Backend, error) { return uring.Open(uring.Options{}) }},
		{"epoll", func() (proactor.Backend, error) { return epoll.Open(epoll.Options{}) }},
	}
}

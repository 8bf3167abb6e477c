//go:build linux

package netconn

import (
	"mobius/epoll"
	"mobius/proactor"
	"mobius/test/backends"
	"mobius/uring"
)

// tiny returns backends with limits that are met all the time, but not so
// small that megabytes take minutes.
func tiny() []backends.Backend {
	return []backends.Backend{
		{Name: "uring", Limits: "incremental, 2 buffers", Open: func() (proactor.Backend, error) {
			return uring.Open(uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 16384})
		}},
		{Name: "uring", Limits: "plain, 2 buffers of 1 KiB", Open: func() (proactor.Backend, error) {
			return uring.Open(uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 1024, Plain: true})
		}},
		{Name: "epoll", Limits: "one event, few bytes", Open: func() (proactor.Backend, error) {
			return epoll.Open(epoll.Options{Events: 1, ReadBuffer: 509, WriteBudget: 251})
		}},
		{Name: "netpoll", Limits: "one event, few bytes", Open: func() (proactor.Backend, error) {
			return epoll.OpenParked(epoll.Options{Events: 1, ReadBuffer: 509, WriteBudget: 251})
		}},
	}
}

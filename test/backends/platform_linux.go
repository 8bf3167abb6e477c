//go:build linux

package backends

import (
	"mobius/epoll"
	"mobius/proactor"
	"mobius/uring"
)

func platform() []Backend {
	return []Backend{
		{Name: "uring", Open: onRing(uring.Options{})},
		{Name: "epoll", Open: onEpoll(epoll.Options{})},
	}
}

func hostile() []Backend {
	return []Backend{
		{Name: "uring", Limits: "incremental, 2 buffers",
			Open: onRing(uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 16384})},
		{Name: "uring", Limits: "plain, 2 buffers of 64 bytes",
			Open: onRing(uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 64, Plain: true, WriteFrom: 1})},
		{Name: "epoll", Limits: "one event, few bytes",
			Open: onEpoll(epoll.Options{Events: 1, ReadBuffer: 7, WriteBudget: 3, WriteFrom: 1 << 30})},
	}
}

func parked() []Backend {
	return []Backend{
		{Name: "netpoll", Open: onParked(epoll.Options{}), AnyThread: true},
		{Name: "netpoll", Limits: "one event, few bytes", AnyThread: true,
			Open: onParked(epoll.Options{Events: 1, ReadBuffer: 7, WriteBudget: 3})},
	}
}

func onRing(o uring.Options) func() (proactor.Backend, error) {
	return func() (proactor.Backend, error) { return uring.Open(o) }
}

func onEpoll(o epoll.Options) func() (proactor.Backend, error) {
	return func() (proactor.Backend, error) { return epoll.Open(o) }
}

func onParked(o epoll.Options) func() (proactor.Backend, error) {
	return func() (proactor.Backend, error) { return epoll.OpenParked(o) }
}

//go:build linux

package conformance

import (
	"testing"

	"mobius/epoll"
	"mobius/proactor"
	"mobius/test/backendtest"
)

// onEpoll returns a configuration for epoll with the given limits.
func onEpoll(o epoll.Options) backendtest.Config {
	return backendtest.Config{
		Name: "epoll",
		Open: func(tb testing.TB) proactor.Backend {
			tb.Helper()
			b, err := epoll.Open(o)
			if err != nil {
				tb.Fatal(err)
			}
			return b
		},
		Descriptors: true,
	}
}

// TestEpoll runs the suite on epoll as it is shipped.
func TestEpoll(t *testing.T) {
	c := onEpoll(epoll.Options{})
	reaches(t, &c, counters{"Spliced": spliced, "RelayCopied": copied})
	c.Run(t)
}

// TestEpollTiny runs it with a write budget of one byte, two buffers of 64
// bytes, one event at a time, and minimum socket buffers.
func TestEpollTiny(t *testing.T) {
	c := hostile(onEpoll(epoll.Options{Events: 1, Buffers: 2, ReadBuffer: 64, Holds: 2, WriteBudget: 1, Datagram: 2000}), 2)
	c.Scale, c.Datagram = 1000, 2000
	reaches(t, &c, counters{"Starved": starved, "Evicted": evicted})
	c.Run(t)
}

// TestEpollWithoutPipes has relays copy.
func TestEpollWithoutPipes(t *testing.T) { onEpoll(epoll.Options{Pipes: -1}).Run(t) }

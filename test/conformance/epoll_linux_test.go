//go:build linux

package conformance

import (
	"testing"
	"time"

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
		Turn:        4 << 18, // four reads of 256 KiB
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
	c.Scale, c.Datagram, c.Turn = 1000, 2000, 4*64
	reaches(t, &c, counters{"Starved": starved, "Evicted": evicted})
	c.Run(t)
}

// TestEpollWithoutPipes has relays copy, and the loop look before each wait.
func TestEpollWithoutPipes(t *testing.T) {
	onEpoll(epoll.Options{Pipes: -1, Spin: 100 * time.Microsecond}).Run(t)
}

// onParked returns a configuration for epoll's engine in Go's network poller
// with the given limits.
func onParked(o epoll.Options) backendtest.Config {
	return backendtest.Config{
		Name: "netpoll",
		Open: func(tb testing.TB) proactor.Backend {
			tb.Helper()
			b, err := epoll.OpenParked(o)
			if err != nil {
				tb.Fatal(err)
			}
			return b
		},
		Descriptors: true,
		AnyThread:   true,
	}
}

// TestParked runs the suite on a goroutine that parks, with the options as
// shipped.
func TestParked(t *testing.T) {
	c := onParked(epoll.Options{})
	reaches(t, &c, counters{"Spliced": spliced, "RelayCopied": copied})
	c.Run(t)
}

// TestParkedTiny is TestEpollTiny on a goroutine that parks.
func TestParkedTiny(t *testing.T) {
	c := hostile(onParked(epoll.Options{Events: 1, Buffers: 2, ReadBuffer: 64, Holds: 2, WriteBudget: 1, Datagram: 2000}), 2)
	c.Scale, c.Datagram = 1000, 2000
	reaches(t, &c, counters{"Starved": starved, "Evicted": evicted})
	c.Run(t)
}

//go:build linux

package conformance

import (
	"testing"

	"mobius/epoll"
	"mobius/proactor"
	"mobius/test/backendtest"
	"mobius/test/netbackend"
	"mobius/uring"
)

// sides are what pairs are made of.
var sides = map[string]func() backendtest.Config{
	"uring":      func() backendtest.Config { return onUring(uring.Options{}) },
	"uring-tiny": func() backendtest.Config { return onUring(tinyRing) },
	"epoll":      func() backendtest.Config { return onEpoll(epoll.Options{}) },
	"kqueue":     func() backendtest.Config { return onKqueue(true) },
	"net":        onNet,
}

// onNet returns a configuration for package net as a backend.
func onNet() backendtest.Config {
	return backendtest.Config{
		Name:        "net",
		Open:        func(testing.TB) proactor.Backend { return netbackend.Open() },
		Unsupported: notYet,
		AnyThread:   true,
		Allocates:   true,
		// What it does not do: relays, moving descriptors, options, refusing; its Close waits.
		Skip: []string{"S11_", "Close_WithEverythingActive", "Close_WithAFuncRunning", "S3b_StalledRelays",
			"S15_", "S9_ReusePort", "S9_Refuse", "S9_APeerThatIsGone", "S9_ConnectsFrom", "S9_Wildcard",
			"S9_PeerCredentials", "S9a_", "S10a_"},
	}
}

// TestNet runs what package net can do of the suite: both ends on it.
func TestNet(t *testing.T) {
	c := onNet()
	c.Scale = 4
	c.Run(t)
}

// TestPairs runs the suite with the client on one backend and the server on
// another.
func TestPairs(t *testing.T) {
	for _, p := range [][2]string{
		{"uring", "epoll"}, {"epoll", "uring"}, {"kqueue", "uring"}, {"uring", "kqueue"}, {"epoll", "uring-tiny"},
		{"net", "uring"}, {"uring", "net"}, {"net", "epoll"}, {"epoll", "net"}, {"net", "kqueue"}, {"kqueue", "net"},
	} {
		t.Run(p[0]+"×"+p[1], func(t *testing.T) {
			client, c := sides[p[0]](), sides[p[1]]()
			c.Client, c.ClientName = client.Open, client.Name
			c.Descriptors = c.Descriptors && client.Descriptors
			c.Scale = 16
			if p[0] == "net" {
				// Its sockets are made when they connect, it shows EAGAIN, and it has no options.
				c.Skip = append(c.Skip, "S9_ConnectsFrom", "S4_AFullUnixListener", "S9_PeerCredentials", "S9a_")
			}
			c.Run(t)
		})
	}
}

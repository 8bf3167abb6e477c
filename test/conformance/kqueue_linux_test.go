//go:build linux

package conformance

import (
	"testing"

	"mobius/kqueue"
	"mobius/kqueue/keventmodel"
	"mobius/proactor"
	"mobius/test/backendtest"
)

// onKqueue returns a configuration for kqueue's selector on the model of
// kevent(2), with or without EVFILT_USER.
func onKqueue(hasUser bool) backendtest.Config { return onKqueueWith(hasUser, kqueue.Options{}) }

// onKqueueWith is onKqueue with limits.
func onKqueueWith(hasUser bool, o kqueue.Options) backendtest.Config {
	return backendtest.Config{
		Name: "kqueue",
		Open: func(tb testing.TB) proactor.Backend {
			tb.Helper()
			m, err := keventmodel.New(hasUser)
			if err != nil {
				tb.Fatal(err)
			}
			b, err := kqueue.New(m, o)
			if err != nil {
				tb.Fatal(err)
			}
			return b
		},
		Descriptors: true,
		Turn:        4 << 18, // as epoll's
	}
}

// TestKqueueModel runs the suite on kqueue's selector.
func TestKqueueModel(t *testing.T) { onKqueue(true).Run(t) }

// TestKqueueModelWithPipe runs it with a pipe for wake-ups, as on NetBSD and
// OpenBSD.
func TestKqueueModelWithPipe(t *testing.T) { onKqueue(false).Run(t) }

// TestKqueueModelTiny runs it with limits as those of TestEpollTiny.
func TestKqueueModelTiny(t *testing.T) {
	c := hostile(onKqueueWith(true, kqueue.Options{Events: 1, Buffers: 2, ReadBuffer: 64, Holds: 2, WriteBudget: 1, Datagram: 2000}), 2)
	c.Scale, c.Datagram, c.Turn = 200, 2000, 4*64
	c.Run(t)
}

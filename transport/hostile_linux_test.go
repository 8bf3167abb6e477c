//go:build linux

package transport

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"testing"

	"mobius/epoll"
	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/uring"
)

// hostile are limits that are met all the time, how much one write may have for
// the walk to come to an end, and whether holds are asked back on it.
var hostile = []struct {
	name  string
	most  int
	holds bool
	open  func() (proactor.Backend, error)
}{
	{"uring, plain, 2 buffers to hold", 50_000, true,
		onRing(uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 8192, Plain: true})},
	{"uring, incremental, 2 buffers", 50_000, true,
		onRing(uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 16384, WriteFrom: 1 << 30})},
	{"uring, plain, 2 buffers of 64 bytes", 3000, false, onRing(uring.Options{Buffers: 2, BufferSize: 64, Plain: true, WriteFrom: 1})},
	{"uring, plain", 50_000, false, onRing(uring.Options{Plain: true})},
	{"epoll, 2 buffers to hold", 50_000, true,
		onEpoll(epoll.Options{Events: 2, Buffers: 2, ReadBuffer: 8192, Holds: 1, WriteBudget: 1000})},
	{"epoll, byte by byte", 300, false, onEpoll(epoll.Options{Events: 1, ReadBuffer: 7, WriteBudget: 1, WriteFrom: 1 << 30})},
}

func onRing(o uring.Options) func() (proactor.Backend, error) {
	return func() (proactor.Backend, error) { return uring.Open(o) }
}

func onEpoll(o epoll.Options) func() (proactor.Backend, error) {
	return func() (proactor.Backend, error) { return epoll.Open(o) }
}

// The walks on real backends with hostile limits.
func TestRandomWalksWithHostileLimits(t *testing.T) {
	for _, tc := range hostile {
		t.Run(tc.name, func(t *testing.T) {
			testenv.Leaks(t)
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			evicted := uint64(0)
			for seed := uint64(0); seed < 4 || tc.holds && evicted == 0 && seed < 40; seed++ {
				b, err := tc.open()
				if errors.Is(err, uring.ErrUnavailable) {
					testenv.Missing(t, "%v", err)
				}
				if err != nil {
					t.Fatal(err)
				}
				k := newWalkIn(newWorldOn(t, b), rand.New(rand.NewPCG(seed, 9)), seed%2 == 0)
				k.most = tc.most
				k.walk()
				evicted += k.l.Backend().Stats().Evicted
			}
			if evicted == 0 && tc.holds {
				t.Error("no hold was asked back")
			}
		})
	}
}

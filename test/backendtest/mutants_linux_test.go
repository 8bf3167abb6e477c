//go:build linux

package backendtest_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/epoll"
	"mobius/proactor"
	"mobius/test/backendtest"
)

// realBenches are mutants of a backend of descriptors: what a simulation does
// not show, allocations, flags, threads and leaks.
func realBenches() []bench {
	on := func(o epoll.Options, starves bool) func(func(b *broken)) backendtest.Config {
		return func(change func(b *broken)) backendtest.Config {
			return backendtest.Config{
				Name: "epoll", Descriptors: true, Scale: 4, Patience: 3 * time.Second, Starves: starves,
				Turn: 4 * o.ReadBuffer,
				Open: func(tb testing.TB) proactor.Backend {
					inner, err := epoll.Open(o)
					if err != nil {
						tb.Fatal(err)
					}
					b := newBroken(inner)
					change(b)
					return b
				},
			}
		}
	}
	return []bench{
		{"epoll", epollMutants, on(epoll.Options{}, false)},
		{"epoll-tiny", epollTinyMutants, on(epoll.Options{Buffers: 2, ReadBuffer: 100, Holds: 2}, true)},
	}
}

var epollTinyMutants = []mutant{
	{"16", "lends whatever is there", "S16_AStreamHasABudgetPerTurn", func(b *broken) {
		b.poll = func(timeout time.Duration) error {
			err := b.Backend.Poll(timeout)
			for range 9 {
				err = errors.Join(err, b.Backend.Poll(0))
			}
			return err
		}
	}},
	{"3c", "does not wake up for a Release", "S3c_ServedAgainWithoutATimer", func(b *broken) {
		var mine proactor.Holds
		mine.Init(func() {})
		inner := map[*proactor.Hold]*proactor.Hold{}
		b.hold = func(op *proactor.Op, owner proactor.Evictor) *proactor.Hold {
			h := b.Backend.Hold(op, evictFunc(func(*proactor.Hold) {}))
			m := mine.New(h.Bytes, 0, owner)
			inner[m] = h
			return m
		}
		b.poll = func(timeout time.Duration) error {
			mine.Collect(func(h *proactor.Hold) { inner[h].Release() })
			return b.Backend.Poll(timeout)
		}
	}},
}

var trash []byte // where a mutant's allocations escape to

var epollMutants = []mutant{
	{"1", "allocates when an op starts", "S1_StartingAllocatesNothing", func(b *broken) {
		b.submit = func(*proactor.Op) { trash = make([]byte, 64) }
	}},
	{"6", "leaks the descriptor in CloseFD", "S6_CloseEndsTheStreamForThePeer", func(b *broken) {
		b.closeFD = func(h proactor.Handle) error {
			if b.Backend.Stats().Ops > 0 {
				return b.Backend.CloseFD(h)
			}
			fd, err := b.Backend.Detach(h)
			if err == nil {
				err = unix.Shutdown(fd, unix.SHUT_RDWR) // the peer sees nothing of it
			}
			return err
		}
	}},
	{"7b", "loses one Wake in a thousand", "S7b_NoWakeIsLost", func(b *broken) {
		var n atomic.Int64
		b.wake = func() {
			if n.Add(1)%1000 != 0 {
				b.Backend.Wake()
			}
		}
	}},
	{"9", "leaves descriptors to children (no CLOEXEC)", "S9_FlagsOfEverySocket", func(b *broken) {
		spoil(b, func(fd int) error { _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); return err })
	}},
	{"9", "has blocking sockets", "S9_FlagsOfEverySocket", func(b *broken) {
		spoil(b, func(fd int) error { return unix.SetNonblock(fd, false) })
	}},
	{"9", "leaves Nagle's algorithm on", "S9_FlagsOfEverySocket", func(b *broken) {
		spoil(b, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 0) })
	}},
	{"9", "forgets the options of a listener", "S9_OptionsAreInherited", func(b *broken) {
		spoil(b, func(fd int) error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 7200) })
	}},
	{"14", "runs Func on the loop", "S14_RunsAwayFromTheLoop", func(b *broken) {
		late := map[*proactor.Op]func(){}
		b.submit = func(op *proactor.Op) {
			if op.Kind == proactor.OpWork {
				late[op], op.Func = op.Func, func() {}
			}
		}
		b.complete = on(proactor.OpWork, func(op *proactor.Op, pass func()) {
			late[op]()
			pass()
		})
	}},
	{"14", "calls a Func canceled that has run", "S14_CancelOfAStartedWork", func(b *broken) {
		stopped := map[*proactor.Op]bool{}
		b.cancel = func(op *proactor.Op) { stopped[op] = true; b.Backend.Cancel(op) }
		b.complete = on(proactor.OpWork, func(op *proactor.Op, pass func()) {
			if stopped[op] {
				op.Err = proactor.ErrCanceled
			}
			pass()
		})
	}},
	{"15", "closes what it detaches", "S15_DetachedIsUsableByOthers", func(b *broken) {
		b.detach = func(h proactor.Handle) (int, error) {
			fd, err := b.Backend.Detach(h)
			if err == nil {
				err = unix.Shutdown(fd, unix.SHUT_RDWR)
			}
			return fd, err
		}
	}},
	{"16", "spins while it waits", "S16_AnIdleBackendDoesNotSpin", func(b *broken) {
		b.poll = func(timeout time.Duration) error {
			end := b.Now() + timeout
			for had := b.Backend.Stats().Completed; ; {
				err := b.Backend.Poll(0)
				if err != nil || b.Backend.Stats().Completed != had || b.Now() >= end {
					return err
				}
			}
		}
	}},
	{"close", "leaks a descriptor", "Close_ManyTimes", func(b *broken) {
		if _, err := unix.Dup(0); err != nil {
			panic(err)
		}
	}},
	{"close", "leaks a goroutine", "Close_ManyTimes", func(b *broken) { go func() { <-forEver }() }},
	{"close", "leaks a mapping", "Close_ManyTimes", func(b *broken) {
		for i := range 2 { // of two kinds, or the kernel makes one of them
			if _, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ<<i, unix.MAP_ANON|unix.MAP_PRIVATE); err != nil {
				panic(err)
			}
		}
	}},
}

var forEver = make(chan struct{})

// spoil has f change each descriptor that is detached.
func spoil(b *broken, f func(fd int) error) {
	b.detach = func(h proactor.Handle) (int, error) {
		fd, err := b.Backend.Detach(h)
		if err == nil {
			f(fd)
		}
		return fd, err
	}
}

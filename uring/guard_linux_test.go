//go:build linux && (amd64 || arm64)

package uring

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// On both sides of a pool's memory stands a page that the kernel cannot write
// for anybody, and every byte between is there.
func TestPoolsStandBetweenGuards(t *testing.T) {
	page := unix.Getpagesize()
	onConfigs(t, func(t *testing.T, b *Backend) {
		pools := b.pools
		if b.mail.pool != nil {
			pools = append(pools[:len(pools):len(pools)], b.mail.pool)
		}
		r := newTestRing(t, Setup{Entries: 4, Flags: testFlags})
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(pair[0])
		defer unix.Close(pair[1])
		// into receives a byte to an offset of a pool's memory.
		into := func(p *pool, at int) int32 {
			if _, err := unix.Write(pair[0], []byte{1}); err != nil {
				t.Fatal(err)
			}
			prep(t, r).PrepRecv(pair[1], unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&p.arena[0]), page+at)), 1), 0, 1)
			if _, err := r.Wait(1, -1); err != nil {
				t.Fatal(err)
			}
			c, _ := r.NextCQE()
			return c.Res
		}
		for i, p := range pools {
			end := len(p.arena) - 2*page
			for at, want := range map[int]int32{0: 1, len(p.memory) - 1: 1, -1: -int32(unix.EFAULT), end: -int32(unix.EFAULT)} {
				if res := into(p, at); res != want {
					t.Errorf("pool %d of %d bytes: a receive to offset %d ends with %d, want %d", i, len(p.memory), at, res, want)
				}
			}
			if end-len(p.memory) >= page || end < len(p.memory) {
				t.Errorf("pool %d: %d bytes between guards, for %d", i, end, len(p.memory))
			}
		}
	})
}

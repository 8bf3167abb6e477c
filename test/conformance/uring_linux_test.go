//go:build linux

package conformance

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"mobius/internal/testenv"
	"mobius/proactor"
	"mobius/test/backendtest"
	"mobius/uring"
)

// onUring returns a configuration for rings with the given options.
func onUring(o uring.Options) backendtest.Config {
	return backendtest.Config{
		Name: "uring",
		Open: func(tb testing.TB) proactor.Backend {
			tb.Helper()
			b, err := uring.Open(o)
			if errors.Is(err, uring.ErrUnavailable) {
				testenv.Missing(tb, "%v", err)
			}
			if err != nil {
				tb.Fatal(err)
			}
			return b
		},
		Datagram:    65535,
		Descriptors: true,
		Turn:        32 << 18, // all buffers: the kernel gets none back before the next Poll
	}
}

// incremental reports whether the kernel at hand has incremental buffers.
func incremental() bool {
	for _, c := range uring.Probe().Choices {
		if c.Feature == uring.Incremental {
			return c.Used
		}
	}
	return false
}

// before reports whether a kernel's release is older than major.minor. Only for
// a test to know what it must find: the backend asks the kernel.
func before(release string, major, minor int) bool {
	var x, y int
	n, _ := fmt.Sscanf(release, "%d.%d", &x, &y)
	return n == 2 && (x < major || x == major && y < minor)
}

// TestUring runs the suite on rings as they are shipped, restrictions included.
func TestUring(t *testing.T) {
	c := onUring(uring.Options{})
	reaches(t, &c, counters{"Spliced": spliced, "RelayCopied": copied})
	c.Run(t)
}

// TestUringPlain runs it with rings of whole buffers, by size class.
func TestUringPlain(t *testing.T) { onUring(uring.Options{Plain: true}).Run(t) }

// tinyRing are limits that are reached all the time.
var tinyRing = uring.Options{Entries: 4, CQEntries: 8, Buffers: 2, BufferSize: 256, Datagrams: 2, Plain: true}

// TestUringTiny runs it with a submission queue of 4, a completion queue of 8,
// two buffers of 64 and of 512 bytes, and minimum socket buffers.
func TestUringTiny(t *testing.T) {
	for _, size := range []int{64, 512} {
		t.Run("buffer="+itoa(size), func(t *testing.T) {
			o := tinyRing
			o.BufferSize = size
			c := hostile(onUring(o), 1)
			c.Turn = 2 * size
			reaches(t, &c, counters{"Starved": starved, "Evicted": evicted, "Rearmed": rearmed, "Overflowed": overflowed})
			c.Run(t)
		})
	}
}

// TestUringFewHolds runs it with many small buffers, of which holds may keep
// four: the cap is reached long before streams starve. The loop looks before each wait.
func TestUringFewHolds(t *testing.T) {
	c := onUring(uring.Options{Plain: true, Buffers: 256, BufferSize: 64, Holds: 4, Spin: 100 * time.Microsecond})
	c.Scale, c.Holds = 32, 4
	reaches(t, &c, counters{"Evicted": evicted})
	c.Run(t)
}

// TestUringIncrementalTiny shares two small buffers among all streams.
func TestUringIncrementalTiny(t *testing.T) {
	if release := uring.Probe().Kernel; !incremental() {
		if before(release, 6, 12) {
			t.Skipf("incremental buffers came with Linux 6.12, and this is %s", release)
		}
		testenv.Missing(t, "this kernel has no incremental buffers")
	}
	o := tinyRing
	o.Plain, o.BufferSize = false, 4096
	c := hostile(onUring(o), 0)
	c.Turn = 2 * o.BufferSize
	reaches(t, &c, counters{"Starved": starved, "Evicted": evicted})
	c.Run(t)
}

// TestUringMasked plays older kernels: it runs the suite without each feature
// in turn, and without all of them.
func TestUringMasked(t *testing.T) {
	all := uring.Features()
	for _, f := range all {
		t.Run("without="+string(f), func(t *testing.T) {
			c := onUring(uring.Options{Without: []uring.Feature{f}})
			c.Scale = 8
			c.Run(t)
		})
	}
	t.Run("without=all", func(t *testing.T) { onUring(uring.Options{Without: all}).Run(t) })
}

// TestUringDirect runs what is about streams with those in the ring's table. An
// accept needs no descriptor there, and does not end without one.
func TestUringDirect(t *testing.T) {
	o := uring.Options{Direct: direct(t)}
	for name, c := range map[string]backendtest.Config{"default": onUring(o), "tiny": onTiny(o)} {
		t.Run(name, func(t *testing.T) {
			c.Skip, c.SendsOnly = []string{"S16_NoDescriptorLeft", "S12", "S13", "S14", "S7b"}, true
			c.Scale = 32
			c.Run(t)
		})
	}
}

// TestUringZeroCopy runs the suite with every Send one that lends its memory, and
// every entry one that does without a copy, until the kernel says that it copied.
func TestUringZeroCopy(t *testing.T) {
	if r := uring.Probe(); r.ZeroCopy != "" {
		if before(r.Kernel, 6, 2) {
			t.Skipf("sends without a copy need Linux 6.2, and this is %s: %s", r.Kernel, r.ZeroCopy)
		}
		testenv.Missing(t, "%s", r.ZeroCopy)
	}
	o := tinyRing
	o.ZeroCopy, o.CloseTimeout = 1, 500*time.Millisecond
	// With minimum socket buffers there is room for one page, so for one send, whose
	// acknowledgement is a delayed one.
	tiny := onUring(o)
	tiny.Turn, tiny.Starves, tiny.Holds = 2*o.BufferSize, true, 1
	roomy := onUring(uring.Options{ZeroCopy: 1, CloseTimeout: o.CloseTimeout})
	for name, c := range map[string]backendtest.Config{"default": roomy, "tiny": tiny} {
		t.Run(name, func(t *testing.T) {
			open := c.Open
			c.Open = func(tb testing.TB) proactor.Backend { return backendtest.Pinned(open(tb)) }
			c.Allocates, c.Scale = true, 32
			// Peers that do not read there leave the kernel memory, and handles busy.
			c.Skip = []string{"S6_BusyWhileAnOpIsActive", "S15_DetachEndsTheGeneration", "S16_AnIdle", "S11_SinkFails",
				"S3b", "S3c", "S7", "S8_T", "S8_AC", "S9", "S10", "S12", "S13", "S14"} // and the rest has little to do with streams' sends
			reaches(t, &c, counters{"Copied": func(s proactor.Stats) uint64 { return s.Copied },
				"ZeroCopyOff": func(s proactor.Stats) uint64 { return s.ZeroCopyOff }})
			c.Run(t)
		})
	}
}

// onTiny returns a configuration for rings with tiny limits and a table.
func onTiny(o uring.Options) backendtest.Config {
	tiny := tinyRing
	tiny.Direct = o.Direct
	return hostile(onUring(tiny), 1)
}

// direct returns a size for the ring's table.
func direct(t *testing.T) int {
	if r := uring.Probe(); r.Direct != "" {
		if before(r.Kernel, 6, 13) {
			t.Skipf("sockets in the ring's table need Linux 6.13, and this is %s: %s", r.Kernel, r.Direct)
		}
		testenv.Missing(t, "%s", r.Direct)
	}
	return 4096
}

// TestUringUnrestricted runs it without the allow-list, and with streams that the
// loop reads by itself from their fourth piece on.
func TestUringUnrestricted(t *testing.T) {
	onUring(uring.Options{Unrestricted: true, BulkFrom: 1}).Run(t)
}

// TestUringBulkTiny has four buffers for such streams and all others.
func TestUringBulkTiny(t *testing.T) {
	o := tinyRing
	o.Buffers, o.BufferSize, o.BulkFrom = 4, 512, 1
	c := hostile(onUring(o), 1)
	c.Turn = 4 * o.BufferSize
	reaches(t, &c, counters{"Starved": starved, "Evicted": evicted, "Rearmed": rearmed})
	c.Run(t)
}

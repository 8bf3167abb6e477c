package conformance

import (
	"strconv"
	"testing"

	"mobius/proactor"
	"mobius/test/backendtest"
)

// notYet are the kinds that rings and package net answer with ErrUnsupported.
var notYet = []proactor.Kind{proactor.OpRecvFrom, proactor.OpSendTo, proactor.OpPoll, proactor.OpChild}

// hostile says that the limits of c are tiny: amounts are scaled down, and the
// socket buffers are as small as the kernel makes them.
func hostile(c backendtest.Config, holds int) backendtest.Config {
	c.Hostile, c.Starves, c.Holds = true, true, holds
	return c
}

// counters are some of proactor.Stats, by name.
type counters map[string]func(proactor.Stats) uint64

// reaches makes t fail unless the counters of all tests together show that
// the limits of c were reached.
func reaches(t *testing.T, c *backendtest.Config, counters counters) {
	seen := map[string]uint64{}
	c.Watch = func(s proactor.Stats) {
		for name, of := range counters {
			seen[name] += of(s)
		}
	}
	t.Cleanup(func() {
		for name := range counters {
			if seen[name] == 0 {
				t.Errorf("%s: 0 in all tests: the limits are not hostile enough", name)
			}
		}
	})
}

var (
	starved    = func(s proactor.Stats) uint64 { return s.Starved }
	rearmed    = func(s proactor.Stats) uint64 { return s.Rearmed }
	evicted    = func(s proactor.Stats) uint64 { return s.Evicted }
	overflowed = func(s proactor.Stats) uint64 { return s.Overflowed }
	spliced    = func(s proactor.Stats) uint64 { return s.Spliced }
	copied     = func(s proactor.Stats) uint64 { return s.RelayCopied }
)

func itoa(n int) string { return strconv.Itoa(n) }

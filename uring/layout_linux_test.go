//go:build linux && (amd64 || arm64)

package uring

import (
	"testing"
	"unsafe"
)

// A slot is one cache line and a relay is three, in the allocator's classes of 64 and
// 192 bytes, which begin at a line.
func TestLayout(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n != 64 {
		t.Errorf("a slot has %d bytes, want 64", n)
	}
	if n := unsafe.Sizeof(relay{}); n != 192 {
		t.Errorf("a relay has %d bytes, want 192", n)
	}
}

// The table of slots grows without moving one, and leaves nothing behind.
func TestSlotsStay(t *testing.T) {
	var table slots
	var taken []*slot
	grow := func() {
		for range 4 * slotChunk {
			taken = append(taken, table.take(nil, receiving))
		}
	}
	taken = make([]*slot, 0, 4*slotChunk)
	if n := testing.AllocsPerRun(1, func() { table, taken = slots{}, taken[:0]; grow() }); n > 4+3 {
		t.Errorf("%v allocations for four chunks", n)
	}
	for i, s := range taken {
		if table.at(uint32(i)) != s || s.number() != uint32(i) {
			t.Fatalf("slot %d is elsewhere, or slot %d", i, s.number())
		}
		s.armed = true
		s.user = userData(kindOp, 7, s.number())
	}
	s := taken[700]
	if table.find(s.user) != s || table.find(userData(kindOp, 6, 700)) != nil || table.find(userData(kindOp, 7, table.made)) != nil {
		t.Error("a completion finds another slot than its own")
	}
	s.armed = false
	table.give(s)
	if again := table.take(nil, sending); again != s || again.user != userData(kindOp, 7, 700) || table.used != len(taken) {
		t.Errorf("%+v is used again, with %d used", again, table.used)
	}
}

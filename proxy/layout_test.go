package proxy

import (
	"testing"
	"unsafe"
)

// A session is one object of 896 bytes with the allocator's header of 8, and
// what a relay's turn reads and writes of it lies within a cache line: else each idle
// connection costs 128 bytes more, and each turn two misses.
func TestSessionLayout(t *testing.T) {
	const header, class, line = 8, 896, 64
	var s Session
	if n := unsafe.Sizeof(s); n+header > class {
		t.Errorf("a session has %d bytes, want at most %d", n, class-header)
	}
	for name, p := range map[string]*pipe{"up": &s.up, "down": &s.down} {
		base := uintptr(unsafe.Pointer(&s))
		first := uintptr(unsafe.Pointer(&p.relay.Head)) + 8 - base + header // the length
		last := uintptr(unsafe.Pointer(&p.relay.Last)) + 7 - base + header
		if first/line != last/line {
			t.Errorf("%s: what a turn touches lies from %d to %d: in two lines of %d", name, first, last, line)
		}
	}
}

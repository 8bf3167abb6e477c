//go:build linux && (amd64 || arm64)

package uring

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A multishot accept whose last result is no connection, as kernels 6.2 to 6.7
// have it when the completion queue is full, takes nobody's descriptor, and goes on.
func TestAcceptThatNamesAForeignDescriptor(t *testing.T) {
	b := openTest(t, Options{})
	l := &late{b: b}
	addr := listenFor(t, b, l)
	rawDial(t, addr)
	until(t, b, "it is accepted", func() bool { return l.h != 0 })
	mine := l.h
	file, socket := pair(t)
	_ = unix.Close(file)
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	other := rawDial(t, serve(t, b).address)
	for what, fd := range map[string]int{
		"no descriptor": 1 << 20, "a file": null, "a socket of another kind": socket, "a connection to another port": other,
		"a handle's": int(mine.Index()),
	} {
		before := b.Stats()
		s := accepting1(b)
		s.armed = false // the last result of this arming: what the kernel still has is stale from now on
		b.inflight--
		l.h = 0
		b.accepted(s, int32(fd), false)
		if st := b.Stats(); l.h != 0 || st.Stale != before.Stale+1 || st.PeerGone != 0 {
			t.Errorf("%s is taken: %v, %+v", what, l.h, st)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil && fd != 1<<20 {
			t.Errorf("%s was closed", what)
		}
	}
}

// accepting1 returns the slot of the first accept.
func accepting1(b *Backend) *slot {
	var first *slot
	b.slots.each(func(s *slot) {
		if s.role == accepting && s.op != nil && first == nil {
			first = s
		}
	})
	return first
}

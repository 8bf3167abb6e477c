//go:build linux && (amd64 || arm64)

package uring

import (
	"sync/atomic"
	"testing"
	"time"
)

// The kernel may leave IORING_SQ_TASKRUN set although there is no work: Poll
// waits nonetheless, and hears a Wake. With many processors busy it happened
// now and then, and the loop entered the ring without end.
func TestFlagOfWorkWithoutWork(t *testing.T) {
	b := openTest(t, Options{})
	if err := b.Poll(0); err != nil { // the waker is armed
		t.Fatal(err)
	}
	leave := func() { atomic.OrUint32(b.ring.sq.flags, IORING_SQ_TASKRUN) }
	leave()
	before := b.Stats().Enters
	if err := b.Poll(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if n := b.Stats().Enters - before; n > 4 {
		t.Errorf("%d enters in 50 ms with nothing to do", n)
	}
	leave()
	woken := b.Stats().Woken
	time.AfterFunc(20*time.Millisecond, b.Wake)
	if err := b.Poll(10 * time.Second); err != nil {
		t.Fatal(err)
	}
	if b.Stats().Woken == woken {
		t.Error("a Wake was not heard in 10 s")
	}
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mobius/internal/testenv"
)

// Urgent data (TCP's URG, MSG_OOB) makes a socket ready for POLLPRI until it is
// read or overtaken. Peers must not be able to start threads here with it.
func TestUrgentDataStartsNoThread(t *testing.T) {
	testenv.Eventually(t, 10*time.Second, "workers of tests before are gone", func() bool { return workerThreads() == 0 })
	b := openTest(t, Options{})
	s := serve(t, b)
	fd := rawDial(t, s.address)
	for i := range 5 {
		if err := unix.Sendto(fd, []byte("abc"), unix.MSG_OOB, nil); err != nil {
			t.Fatal(err)
		}
		before := b.Stats().Enters
		for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
			_ = b.Poll(50*time.Millisecond - time.Since(start))
		}
		if n := b.Stats().Enters - before; n > 20 {
			t.Errorf("round %d: %d enters", i, n)
		}
	}
	if n := workerThreads(); n != 0 {
		t.Errorf("%d worker threads", n)
	}
	if _, err := unix.Write(fd, []byte("end")); err != nil {
		t.Fatal(err)
	}
	until(t, b, "bytes behind the urgent one are echoed", func() bool { return b.Stats().Completed > 8 })
}

//go:build linux && (amd64 || arm64)

package uring

// kernelRetries is after how many pieces, each with more behind it, the kernel
// interrupts a multishot receive and puts it at the end of its queue
// (MULTISHOT_MAX_RETRY in io_uring/net.c, since 6.8).
const kernelRetries = 32

// mindTheEnd has a multishot receive armed again that the kernel has
// interrupted, once it has taken what was there.
//
// When the kernel goes on with such a receive it stops after the last byte
// without another look, and waits for a wake-up. If the end of the stream was
// there already, none comes: seen on 6.18, with the end of a unix stream and with
// the reset of a TCP one (the end of a TCP stream is counted as one more byte).
// An arming looks.
func (b *Backend) mindTheEnd(s *slot, c CQE) {
	switch {
	case c.Flags&IORING_CQE_F_SOCK_NONEMPTY != 0:
		s.retries = min(s.retries+1, kernelRetries)
	case s.retries == kernelRetries && s.armed:
		b.cancelSlot(s)
	}
}

//go:build linux && (amd64 || arm64)

package uring

import (
	"fmt"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// tryZeroCopy finds out whether Options.ZeroCopy can be had.
func (c *choice) tryZeroCopy(r *Ring) error {
	if !c.ops[IORING_OP_SEND_ZC] {
		return fmt.Errorf("Options.ZeroCopy: the kernel has no such send, Linux 6.2 is needed: %w", unix.EOPNOTSUPP)
	}
	t := trial{r: r}
	if err := t.zeroCopy(); err != nil {
		return fmt.Errorf("Options.ZeroCopy: %w", err)
	}
	return nil
}

// zeroCopy sends on a unix socket, on which nothing is sent without a copy so far. The
// result may say so, and a notification must follow it all the same.
func (t *trial) zeroCopy() error {
	closePair, err := t.pair()
	if err != nil {
		return err
	}
	defer closePair()
	p := pattern(3)
	t.entry().PrepSendZeroCopy(t.a, p, sendFlags, t.user)
	c, err := t.next()
	switch {
	case err != nil:
		return err
	case c.Res == -int32(unix.EINVAL):
		return fmt.Errorf("the kernel does not say whether it copied, Linux 6.2 is needed: %w", unix.EINVAL)
	case c.Res < 0 && c.Res != -int32(unix.EOPNOTSUPP):
		return syscall.Errno(-c.Res)
	case !c.More():
		return fmt.Errorf("%w: %d, flags %#x of the first completion", errResult, c.Res, c.Flags)
	}
	c, err = t.next()
	runtime.KeepAlive(p)
	if err == nil && (c.More() || c.Flags&IORING_CQE_F_NOTIF == 0) {
		err = fmt.Errorf("%w: %d, flags %#x of the second completion", errResult, c.Res, c.Flags)
	}
	return err
}
